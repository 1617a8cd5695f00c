//! How fast one connection may send: a little faster than its rate for a while, then no faster. Who sends more is read more
//! slowly, and TCP pushes back; nothing is lost.

use std::time::Duration;

use tokio::time::Instant;

/// Bounds on what one connection sends.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rates {
    /// Messages in a second.
    pub(crate) messages: usize,
    /// Bytes in a second.
    pub(crate) bytes: usize,
}

/// How far ahead somebody may be.
const BURST: Duration = Duration::from_secs(4);

/// What one connection has sent.
#[derive(Debug)]
pub(super) struct Meter {
    rates: Rates,
    /// Until when what has been sent would have taken, at the rate.
    messages_until: Instant,
    bytes_until: Instant,
}

impl Meter {
    pub(super) fn new(rates: Rates, now: Instant) -> Self {
        Self { rates, messages_until: now, bytes_until: now }
    }

    /// Notes a message of this size. Gives until when no more should be read, if that is not at once.
    pub(super) fn note(&mut self, bytes: usize, now: Instant) -> Option<Instant> {
        self.messages_until = self.messages_until.max(now) + share(1, self.rates.messages);
        self.bytes_until = self.bytes_until.max(now) + share(bytes, self.rates.bytes);
        let ahead = self.messages_until.max(self.bytes_until).checked_sub(BURST)?;
        (ahead > now).then_some(ahead)
    }
}

fn share(count: usize, rate: usize) -> Duration {
    // Of what fits into a message this is exact; a rate need not be for more.
    Duration::from_nanos((count as u64).saturating_mul(1_000_000_000) / rate.max(1) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn after_a_burst_it_goes_at_the_rate() {
        let start = Instant::now();
        let mut meter = Meter::new(Rates { messages: 100, bytes: 1_000_000 }, start);
        let mut now = start;
        for _ in 0..1_000 {
            now = meter.note(10, now).unwrap_or(now);
        }
        let took = (now - start).as_secs_f64();
        assert!((5.9..6.1).contains(&took), "{took}");
    }

    #[tokio::test(start_paused = true)]
    async fn bytes_count_as_well_and_pauses_make_up() {
        let start = Instant::now();
        let mut meter = Meter::new(Rates { messages: 100, bytes: 1_000 }, start);
        assert_eq!(meter.note(4_000, start), None);
        assert_eq!(meter.note(1_000, start), Some(start + Duration::from_secs(1)));
        let later = start + Duration::from_mins(1);
        assert_eq!(meter.note(4_000, later), None);
    }
}
