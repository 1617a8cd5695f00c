//! What a test may ask the server to do on purpose.

use std::time::Duration;

use super::value;

/// Faults to inject; none by default.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Injection {
    /// Each commit of the store takes this much longer.
    pub(crate) store_delay: Duration,
    /// A log is compacted as soon as it has about so many updates, instead of when it is worth it.
    pub(crate) eager_compaction: Option<u64>,
}

impl Injection {
    /// Takes in one fault, as it is written: `store-delay=500ms`.
    pub(super) fn add(&mut self, text: &str) -> Result<(), String> {
        match text.split_once('=') {
            Some(("store-delay", time)) => {
                self.store_delay = value::duration(time, Duration::ZERO..=Duration::from_mins(1))?;
            }
            Some(("eager-compaction", updates)) => {
                self.eager_compaction = Some(value::count(updates, 1..=1_000_000)? as u64);
            }
            _ => {
                return Err(format!(
                    "{text:?} is no fault that can be injected; there are store-delay=TIME and eager-compaction=UPDATES"
                ));
            }
        }
        Ok(())
    }
}
