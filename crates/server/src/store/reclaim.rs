//! Giving space back after many deletions.
//!
//! redb cuts free space off the end of its file by itself, but what lives longest is often there. When the file is much larger
//! than what is alive, redb can move it to the front; everybody waits meanwhile, so a server does it where little is alive
//! only. sled uses free space again, and its files stay as large as they were.

use quire_persistence::{DocumentStore, StoreError};

/// The file may have this much more than it needs, and as much again as is alive.
const SLACK_BYTES: u64 = 8 << 20;

/// What may be alive where others would have to wait: a second or two of writing.
pub(crate) const SHORT_WAIT_BYTES: u64 = 256 << 20;

/// Makes the files smaller if they take much more space than is needed, and if not more than `most` bytes are alive.
pub(crate) fn reclaim(store: &dyn DocumentStore, most: u64) -> Result<(), StoreError> {
    let Some(before) = store.inspect().space()? else { return Ok(()) };
    if before.disk <= 2 * before.needed + SLACK_BYTES {
        return Ok(());
    }
    if before.needed > most {
        tracing::info!(
            disk = before.disk,
            needed = before.needed,
            "the store has much free space; `quire compact --data`, while no server runs, gives it back"
        );
        return Ok(());
    }
    store.inspect().reclaim()?;
    let after = store.inspect().space()?.unwrap_or_default();
    tracing::info!(before = before.disk, after = after.disk, needed = after.needed, "space was given back");
    Ok(())
}
