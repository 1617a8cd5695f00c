//! Holding back clients that come back with what was refused.
//!
//! An editor whose document holds a change that is too large sends it again after every reconnect, and comes back a moment
//! after it was closed, for ever. Nothing that it understands tells it to stop, but a handshake that takes long slows it
//! down. It is known by where it comes from; two clients that look alike there only wait a little longer.

use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher as _, Hash};
use std::net::IpAddr;
use std::sync::Mutex;
use std::time::Duration;

use http::HeaderMap;
use http::header::{self, HeaderName};
use tokio::time::Instant;

/// Refusals without a pause, for those who mend what was refused.
const FREE: u32 = 2;

/// From a refusal to the next connection. With it a client comes back fewer than ten times a minute.
const PAUSE: Duration = Duration::from_secs(10);

/// After this time without a refusal, everything is forgotten.
const FORGET: Duration = Duration::from_mins(1);

/// Clients remembered at a time. When there are more, new ones are not held back.
const CLIENTS: usize = 4096;

/// Who comes back: an address as seen by us and, behind a proxy, by the proxy; a program; a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Returner(u64);

/// Remembers refusals.
#[derive(Debug, Default)]
pub(super) struct Pauses {
    hasher: RandomState,
    refused: Mutex<HashMap<Returner, Refused>>,
}

#[derive(Debug)]
struct Refused {
    times: u32,
    last: Instant,
}

impl Pauses {
    /// Whoever sends these headers for this document, or these documents.
    pub(super) fn returner(&self, peer: IpAddr, headers: &HeaderMap, what: &impl Hash) -> Returner {
        const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
        let value = |name| headers.get(name).map(http::HeaderValue::as_bytes);
        Returner(self.hasher.hash_one((peer, value(FORWARDED_FOR), value(header::USER_AGENT), what)))
    }

    /// Notes that a connection was closed because of what it sent.
    pub(super) fn refused(&self, returner: Returner, now: Instant) {
        let mut refused = self.refused.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if refused.len() >= CLIENTS {
            refused.retain(|_, refused| now.duration_since(refused.last) < FORGET);
        }
        if refused.len() >= CLIENTS && !refused.contains_key(&returner) {
            return;
        }
        let entry = refused.entry(returner).or_insert(Refused { times: 0, last: now });
        if now.duration_since(entry.last) >= FORGET {
            entry.times = 0;
        }
        *entry = Refused { times: entry.times.saturating_add(1), last: now };
    }

    /// When this one may connect, if not at once.
    pub(super) fn until(&self, returner: Returner, now: Instant) -> Option<Instant> {
        let refused = self.refused.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let Refused { times, last } = refused.get(&returner)?;
        let until = *last + PAUSE;
        (*times > FREE && now < until).then_some(until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn returner(pauses: &Pauses, forwarded_for: &str, doc: &str) -> Returner {
        let mut headers = HeaderMap::new();
        headers.insert("x-forwarded-for", forwarded_for.parse().unwrap());
        pauses.returner([127, 0, 0, 1].into(), &headers, &doc)
    }

    #[test]
    fn only_one_who_was_refused_again_and_again_waits() {
        let (pauses, start) = (Pauses::default(), Instant::now());
        let [one, elsewhere, other] =
            [("a", "x"), ("a", "y"), ("b", "x")].map(|(f, d)| returner(&pauses, f, d));
        for _ in 0..FREE {
            pauses.refused(one, start);
            assert_eq!(pauses.until(one, start), None);
        }
        pauses.refused(one, start);
        assert_eq!(pauses.until(one, start), Some(start + PAUSE));
        assert_eq!(pauses.until(one, start + PAUSE), None);
        assert_eq!((pauses.until(elsewhere, start), pauses.until(other, start)), (None, None));
        pauses.refused(one, start + FORGET);
        assert_eq!(pauses.until(one, start + FORGET), None);
    }

    #[test]
    fn fewer_than_ten_refusals_a_minute() {
        let (pauses, start) = (Pauses::default(), Instant::now());
        let one = returner(&pauses, "a", "x");
        let (mut now, mut times) = (start, 0);
        while now < start + Duration::from_mins(1) {
            pauses.refused(one, now);
            times += 1;
            now = pauses.until(one, now).unwrap_or(now);
        }
        assert!(times < 10, "{times}");
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let (pauses, start) = (Pauses::default(), Instant::now());
        for index in 0..CLIENTS + 100 {
            pauses.refused(returner(&pauses, &index.to_string(), "x"), start);
        }
        assert_eq!(pauses.refused.lock().unwrap().len(), CLIENTS);
        pauses.refused(returner(&pauses, "new", "x"), start + FORGET);
        assert_eq!(pauses.refused.lock().unwrap().len(), 1);
    }
}
