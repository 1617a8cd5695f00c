//! Who is connected by which permit, and what was taken back.
//!
//! A permit that has opened a connection becomes a [`Pass`], which tells the connection when its rights end or change. What
//! is taken back concerns passes at once and permits from then on; both happen under one lock, so that nobody slips through
//! between being checked and being connected.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use quire_sync_protocol::DocId;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

use super::authorizer::Identity;
use super::claims::CLOCK_SKEW;
use super::gate::Permit;
use super::grants::{Right, Rights};
use super::revocation::{Revocation, Revocations};

/// How long before its end a client that can is asked for another token.
const WARNING: Duration = Duration::from_secs(30);

/// Everybody who is connected, and everything that was taken back. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub(crate) struct Live {
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    next: u64,
    passes: HashMap<u64, Holder>,
    revocations: Revocations,
}

#[derive(Debug)]
struct Holder {
    identity: Arc<Identity>,
    about: About,
    told: Arc<Told>,
}

/// What a connection is told of its rights. (A watch of tokio is made for many who wait, and takes half a kilobyte.)
#[derive(Debug)]
struct Told {
    state: Mutex<Rightful>,
    /// The one connection waits for this. A notification that nobody waits for is kept.
    news: Notify,
}

/// The rights that are left.
#[derive(Debug)]
struct Rightful {
    rights: Option<Rights>,
    /// The connection does not know of them yet.
    is_new: bool,
}

/// What a pass is for.
#[derive(Clone, Debug)]
enum About {
    /// A document, with what the grants give on it; what was taken back is taken off.
    Document(DocId, Rights),
    /// What is the user's own.
    User,
}

impl About {
    /// What is left of the rights.
    fn left(&self, identity: &Identity, revocations: &Revocations, now: SystemTime) -> Option<Rights> {
        match self {
            Self::Document(doc, granted) => revocations.left(identity, doc, *granted, now),
            Self::User => (!revocations.is_revoked(identity, now)).then_some(OWN),
        }
    }
}

/// What a user may do with its own.
const OWN: Rights = Rights { right: Right::Write, presence: true };

/// A connection's rights, from its beginning to its end.
#[derive(Debug)]
pub(crate) struct Pass {
    live: Live,
    number: u64,
    told: Arc<Told>,
    ends: Ends,
}

/// When a pass ends by itself.
#[derive(Clone, Copy, Debug)]
enum Ends {
    Never,
    At(Instant),
    /// As above, and the warning has been given.
    Warned(Instant),
}

/// What becomes of a pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PassEvent {
    /// It is for more or for less from now on.
    Rights(Rights),
    /// It ends in half a minute. Another token makes another pass.
    Expiring,
    /// It has ended.
    Expired,
    /// It was taken back.
    Revoked,
}

impl Live {
    /// With these revocations from before.
    pub(crate) fn with(revocations: Revocations) -> Self {
        Self { state: Arc::new(Mutex::new(State { revocations, ..State::default() })) }
    }

    /// What is left of these rights after all that was taken back.
    pub(crate) fn left(&self, identity: &Identity, doc: &DocId, granted: Rights) -> Option<Rights> {
        self.lock().revocations.left(identity, doc, granted, SystemTime::now())
    }

    /// Whether the identity as a whole was taken back, whatever it is about.
    pub(crate) fn is_revoked(&self, identity: &Identity) -> bool {
        self.lock().revocations.is_revoked(identity, SystemTime::now())
    }

    /// A connection begins. If the permit was taken back meanwhile, the pass says so at once.
    pub(crate) fn enter(&self, permit: &Permit, doc: &DocId) -> Pass {
        let about = About::Document(doc.clone(), permit.granted());
        self.begin(Arc::clone(permit.identity()), about, permit.rights())
    }

    /// The same for a connection to what is the user's own.
    pub(crate) fn enter_user(&self, identity: Arc<Identity>) -> Pass {
        self.begin(identity, About::User, OWN)
    }

    fn begin(&self, identity: Arc<Identity>, about: About, had: Rights) -> Pass {
        let ends = Ends::of(&identity);
        let mut state = self.lock();
        let left = about.left(&identity, &state.revocations, SystemTime::now());
        let rightful = Rightful { rights: left, is_new: left != Some(had) };
        let told = Arc::new(Told { state: Mutex::new(rightful), news: Notify::new() });
        let number = state.next;
        state.next += 1;
        let holder = Holder { identity, about, told: Arc::clone(&told) };
        state.passes.insert(number, holder);
        drop(state);
        Pass { live: self.clone(), number, told, ends }
    }

    /// Takes something back: from now on, and from all who are connected. Gives how many of them it concerns, or `None` if
    /// there is no place for more.
    pub(crate) fn revoke(&self, revocation: Revocation) -> Option<usize> {
        let mut state = self.lock();
        let now = SystemTime::now();
        state.revocations.add(revocation, now)?;
        Some(state.take(now))
    }

    /// Puts these in the place of what was taken back so far, and takes from the connected what they take. What earlier ones took from
    /// them stays taken.
    pub(crate) fn replace(&self, revocations: Revocations) {
        let mut state = self.lock();
        state.revocations = revocations;
        state.take(SystemTime::now());
    }

    /// Gives back what the revocation of this number took. Connections that it ended stay ended.
    pub(crate) fn restore(&self, number: u64) -> bool {
        self.lock().revocations.remove(number)
    }

    /// Everything that is taken back at present.
    pub(crate) fn revocations(&self) -> Revocations {
        self.lock().revocations.clone()
    }

    /// Connections at present.
    #[cfg(test)]
    fn len(&self) -> usize {
        self.lock().passes.len()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing that can panic runs while the state is half changed.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Takes from the connected what is taken back and they still have. Gives how many that concerns.
    fn take(&self, now: SystemTime) -> usize {
        let changed = self.passes.values().filter(|holder| {
            let left = holder.about.left(&holder.identity, &self.revocations, now);
            holder.told.take(left)
        });
        changed.count()
    }
}

impl Told {
    /// Leaves this, if it is less than there was.
    fn take(&self, left: Option<Rights>) -> bool {
        let mut state = self.lock();
        let is_less = match (state.rights, left) {
            (Some(rights), Some(left)) => left.right < rights.right,
            (Some(_), None) => true,
            (None, _) => false,
        };
        if is_less {
            *state = Rightful { rights: left, is_new: true };
            self.news.notify_one();
        }
        is_less
    }

    /// Waits for other rights. Cancel safe. For one that waits at a time.
    async fn changed(&self) -> Option<Rights> {
        loop {
            {
                let mut state = self.lock();
                if std::mem::take(&mut state.is_new) {
                    return state.rights;
                }
            }
            // One from before the look makes it look again.
            self.news.notified().await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Rightful> {
        // Nothing that can panic runs while the state is half changed.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ends {
    fn of(identity: &Identity) -> Self {
        let Some(expires) = identity.expires else { return Self::Never };
        let expires = expires.checked_add(CLOCK_SKEW).unwrap_or(expires);
        let left = expires.duration_since(SystemTime::now()).unwrap_or_default();
        match Instant::now().checked_add(left) {
            None => Self::Never,
            // What ends so soon is not worth a warning.
            Some(at) if left <= CLOCK_SKEW + WARNING => Self::Warned(at),
            Some(at) => Self::At(at),
        }
    }
}

impl Pass {
    /// Waits for the next thing that becomes of it; after [`PassEvent::Expired`] and [`PassEvent::Revoked`] nothing new
    /// does. Cancel safe.
    pub(crate) async fn event(&mut self) -> PassEvent {
        let (ends, soon) = match self.ends {
            Ends::Never => (None, None),
            Ends::At(at) => (Some(at), at.checked_sub(CLOCK_SKEW + WARNING)),
            Ends::Warned(at) => (Some(at), None),
        };
        tokio::select! {
            biased;
            rights = self.told.changed() => rights.map_or(PassEvent::Revoked, PassEvent::Rights),
            () = at(ends) => PassEvent::Expired,
            () = at(soon) => {
                if let Ends::At(at) = self.ends {
                    self.ends = Ends::Warned(at);
                }
                PassEvent::Expiring
            }
        }
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        self.live.lock().passes.remove(&self.number);
    }
}

async fn at(time: Option<Instant>) {
    match time {
        // In a box, which most do not need.
        Some(time) => Box::pin(sleep_until(time)).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use super::super::grants::Grants;
    use super::*;

    fn permit(subject: &str, expires_in: Option<u64>) -> Permit {
        let expires = expires_in.map(|seconds| SystemTime::now() + Duration::from_secs(seconds));
        let identity = Identity {
            subject: Some(subject.into()),
            expires,
            ..Identity::anonymous(Grants::everywhere(Right::Write))
        };
        Permit::for_tests(identity, Rights { right: Right::Write, presence: true })
    }

    fn doc() -> DocId {
        DocId::new("a").unwrap()
    }

    fn taken_from(user: &str, access: Option<Right>) -> Revocation {
        Revocation { user: Some(user.into()), access, ..Revocation::for_tests() }
    }

    #[tokio::test(start_paused = true)]
    async fn a_pass_warns_and_then_ends() {
        let live = Live::default();
        let start = Instant::now();
        let mut pass = live.enter(&permit("ada", Some(60)), &doc());
        assert_eq!(pass.event().await, PassEvent::Expiring);
        assert!((29..=30).contains(&start.elapsed().as_secs()), "{:?}", start.elapsed());
        assert_eq!(pass.event().await, PassEvent::Expired);
        assert!((64..=65).contains(&start.elapsed().as_secs()), "{:?}", start.elapsed());
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_taken_back_is_taken_from_the_connected_and_from_who_comes_later() {
        let live = Live::default();
        let mut ada = live.enter(&permit("ada", None), &doc());
        let mut bob = live.enter(&permit("bob", None), &doc());
        assert_eq!(live.revoke(taken_from("ada", Some(Right::Read))), Some(1));
        assert_eq!(ada.event().await, PassEvent::Rights(Rights { right: Right::Read, presence: true }));
        assert_eq!(live.revoke(taken_from("ada", None)), Some(1));
        assert_eq!(ada.event().await, PassEvent::Revoked);
        assert!(tokio::time::timeout(Duration::from_secs(1), bob.event()).await.is_err());
        // What others have taken back; and what they give back comes too late for who is connected.
        let mut others = Revocations::default();
        others.add(taken_from("bob", Some(Right::Read)), SystemTime::now()).unwrap();
        live.replace(others);
        assert_eq!(bob.event().await, PassEvent::Rights(Rights { right: Right::Read, presence: true }));
        live.replace(Revocations::default());
        assert!(tokio::time::timeout(Duration::from_secs(1), bob.event()).await.is_err());
        assert_eq!(live.revoke(taken_from("ada", None)), Some(0));
        // Who was checked before, and connects after it.
        assert_eq!(live.enter(&permit("ada", None), &doc()).event().await, PassEvent::Revoked);
        drop((ada, bob));
        assert_eq!(live.len(), 0);
    }
}
