//! How many connections one address, one user and one document may have, and how often one may come.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::Hash;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use quire_sync_protocol::DocId;
use tokio::time::Instant;

use crate::http::ApiError;

/// Bounds on connections by whose they are.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::struct_field_names, reason = "each says what the bound is of")]
pub(crate) struct Bounds {
    pub(crate) per_address: usize,
    pub(crate) per_user: usize,
    pub(crate) per_document: usize,
    /// Connections that one user, or one address of strangers, may begin in a minute, once it has begun as many as it may
    /// have.
    pub(crate) per_minute: usize,
}

/// Those that come often are remembered, so many of them.
const REMEMBERED: usize = 65_536;

/// Counts connections. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Quotas {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    bounds: Bounds,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    addresses: HashMap<IpAddr, usize>,
    users: HashMap<Arc<str>, usize>,
    documents: HashMap<DocId, usize>,
    comings: HashMap<Comer, Bucket>,
}

/// Who comes often.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Comer {
    User(Arc<str>),
    Address(IpAddr),
}

/// Fills with time, and is taken from.
#[derive(Clone, Copy, Debug)]
struct Bucket {
    level: f64,
    at: Instant,
}

/// A connection that counts, for as long as this is held.
#[derive(Debug)]
pub(crate) struct Counted {
    quotas: Quotas,
    address: Option<IpAddr>,
    user: Option<Arc<str>>,
    doc: Option<DocId>,
}

/// Whether somebody comes, or has been there just now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Comes {
    Anew,
    /// By one request after another, as polls do. Does not count as often.
    Again,
}

impl Quotas {
    pub(crate) fn new(bounds: Bounds) -> Self {
        Self { shared: Arc::new(Shared { bounds, state: Mutex::default() }) }
    }

    /// One more connection, or why there cannot be. Addresses of this machine are not bounded: behind a proxy that is not
    /// known, they are everybody.
    pub(crate) fn enter(
        &self,
        address: IpAddr,
        user: Option<&Arc<str>>,
        doc: Option<&DocId>,
        comes: Comes,
        now: Instant,
    ) -> Result<Counted, ApiError> {
        let bounds = self.shared.bounds;
        let address = Some(address).filter(|address| !address.is_loopback());
        let mut state = self.shared.state.lock().unwrap_or_else(PoisonError::into_inner);
        let State { addresses, users, documents, comings } = &mut *state;
        let is_full = |count: Option<&usize>, most: usize| count.is_some_and(|count| *count >= most);
        if is_full(address.and_then(|address| addresses.get(&address)), bounds.per_address) {
            return Err(ApiError::TooManyOf("this address"));
        }
        if is_full(user.and_then(|user| users.get(user)), bounds.per_user) {
            return Err(ApiError::TooManyOf("this user"));
        }
        if is_full(doc.and_then(|doc| documents.get(doc)), bounds.per_document) {
            return Err(ApiError::TooManyOf("this document"));
        }
        let of_address = address.map(|address| (Comer::Address(address), bounds.per_address));
        let of_user = user.map(|user| (Comer::User(Arc::clone(user)), bounds.per_user));
        if comes == Comes::Anew
            && let Some((comer, burst)) = of_user.or(of_address)
            && !may_come(comings, comer, burst, bounds.per_minute, now)
        {
            return Err(ApiError::TooOften);
        }
        if let Some(address) = address {
            *addresses.entry(address).or_default() += 1;
        }
        if let Some(user) = user {
            *users.entry(Arc::clone(user)).or_default() += 1;
        }
        if let Some(doc) = doc {
            *documents.entry(doc.clone()).or_default() += 1;
        }
        Ok(Counted { quotas: self.clone(), address, user: user.cloned(), doc: doc.cloned() })
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        let mut state = self.quotas.shared.state.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(address) = self.address {
            one_less(&mut state.addresses, address);
        }
        if let Some(user) = self.user.take() {
            one_less(&mut state.users, user);
        }
        if let Some(doc) = self.doc.take() {
            one_less(&mut state.documents, doc);
        }
    }
}

fn one_less<K: Hash + Eq>(counts: &mut HashMap<K, usize>, key: K) {
    if let Entry::Occupied(mut entry) = counts.entry(key) {
        *entry.get_mut() -= 1;
        if *entry.get() == 0 {
            entry.remove();
        }
    }
}

fn may_come(
    comings: &mut HashMap<Comer, Bucket>,
    comer: Comer,
    burst: usize,
    per_minute: usize,
    now: Instant,
) -> bool {
    #[expect(clippy::cast_precision_loss, reason = "settings of at most a million")]
    let (most, per_minute) = (burst as f64, per_minute as f64);
    let filled = |bucket: &Bucket| {
        let minutes = now.duration_since(bucket.at).as_secs_f64() / Duration::from_mins(1).as_secs_f64();
        (bucket.level + minutes * per_minute).min(most)
    };
    if comings.len() >= REMEMBERED {
        comings.retain(|_, bucket| filled(bucket) < most);
    }
    if comings.len() >= REMEMBERED && !comings.contains_key(&comer) {
        // As many come often as can be remembered: whoever else comes is let in.
        return true;
    }
    let bucket = comings.entry(comer).or_insert(Bucket { level: most, at: now });
    *bucket = Bucket { level: filled(bucket), at: now };
    if bucket.level < 1.0 {
        return false;
    }
    bucket.level -= 1.0;
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUNDS: Bounds = Bounds { per_address: 3, per_user: 2, per_document: 5, per_minute: 1000 };

    fn address(last: u8) -> IpAddr {
        [10, 0, 0, last].into()
    }

    fn enter(quotas: &Quotas, last: u8, user: Option<&str>, doc: &str) -> Result<Counted, ApiError> {
        let user = user.map(Arc::from);
        quotas.enter(
            address(last),
            user.as_ref(),
            Some(&DocId::new(doc).unwrap()),
            Comes::Anew,
            Instant::now(),
        )
    }

    #[test]
    fn each_is_bounded_and_who_goes_makes_room() {
        let quotas = Quotas::new(BOUNDS);
        let mut all: Vec<_> = (0..3).map(|_| enter(&quotas, 1, None, "a").unwrap()).collect();
        assert_eq!(enter(&quotas, 1, None, "b").unwrap_err(), ApiError::TooManyOf("this address"));
        all.extend((0..2).map(|index| enter(&quotas, 2 + index, Some("ada"), "a").unwrap()));
        assert_eq!(enter(&quotas, 4, Some("ada"), "b").unwrap_err(), ApiError::TooManyOf("this user"));
        assert_eq!(enter(&quotas, 5, Some("bob"), "a").unwrap_err(), ApiError::TooManyOf("this document"));
        all.clear();
        let (ada, later) = (Arc::from("ada"), Instant::now() + Duration::from_mins(1));
        quotas.enter(address(1), Some(&ada), None, Comes::Anew, later).unwrap();
        let state = quotas.shared.state.lock().unwrap();
        assert!(state.addresses.is_empty() && state.users.is_empty() && state.documents.is_empty());
    }

    #[test]
    fn this_machine_is_not_bounded() {
        let quotas = Quotas::new(Bounds { per_address: 1, per_document: 100, ..BOUNDS });
        let doc = DocId::new("a").unwrap();
        let here =
            || quotas.enter([127, 0, 0, 1].into(), None, Some(&doc), Comes::Anew, Instant::now()).unwrap();
        let _all: Vec<_> = (0..10).map(|_| here()).collect();
    }

    #[test]
    fn who_comes_too_often_waits() {
        let quotas = Quotas::new(Bounds { per_user: 60, per_minute: 60, ..BOUNDS });
        let (doc, start) = (DocId::new("a").unwrap(), Instant::now());
        let user: Arc<str> = "ada".into();
        let come = |now| quotas.enter(address(1), Some(&user), Some(&doc), Comes::Anew, now).map(drop);
        for _ in 0..60 {
            come(start).unwrap();
        }
        assert_eq!(come(start), Err(ApiError::TooOften));
        come(start + Duration::from_secs(1)).unwrap();
        assert_eq!(come(start + Duration::from_secs(1)), Err(ApiError::TooOften));
        quotas.enter(address(1), Some(&user), Some(&doc), Comes::Again, start).unwrap();
        quotas.enter(address(2), None, Some(&doc), Comes::Anew, start).unwrap();
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut comings = HashMap::new();
        let now = Instant::now();
        for index in 0..REMEMBERED + 10 {
            assert!(may_come(&mut comings, Comer::User(index.to_string().into()), 2, 2, now));
        }
        assert_eq!(comings.len(), REMEMBERED);
        assert!(may_come(&mut comings, Comer::User("new".into()), 2, 2, now + Duration::from_mins(1)));
        assert_eq!(comings.len(), 1);
    }
}
