//! Posting, reading, and telling who listens.

use std::collections::HashMap;
use std::panic::{self, AssertUnwindSafe};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use quire_persistence::{DocumentStore, Inbox, Inboxes, Marks, Notification, Posted, Posting, UserId};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::NotifyError;
use super::delivery::Delivery;
use crate::cluster::{Cluster, Listener, UserMember};
use crate::doc::Counters;
use crate::presence::Moment;
use crate::stream::{After, Feed, Snapshot, tag};

/// Calls of the store at a time.
const CALLS: usize = 4;

/// Calls that may wait for their turn.
const WAITING: usize = 256;

/// How long one waits for its turn.
const WAIT: Duration = Duration::from_secs(5);

/// Bytes of marks that are kept for slow listeners. One that misses some shows as unread what is not.
const BELL_BYTES: usize = 16 << 10;

/// Posts and reads notifications. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Notifications(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    store: Arc<dyn DocumentStore>,
    /// Notifications that one inbox holds.
    keep: usize,
    calls: Arc<Semaphore>,
    waiting: Semaphore,
    counters: Arc<Counters>,
    cluster: Option<Cluster>,
    doors: Mutex<HashMap<UserId, Weak<Door>>>,
}

/// Where those who listen to one user's notifications stand. There is one while anybody does.
#[derive(Debug)]
pub(super) struct Door {
    pub(super) bell: Feed<Bell>,
    user: UserId,
    notifications: Notifications,
    /// Held so that what is posted at other nodes rings here.
    _member: Option<UserMember>,
}

/// Nothing is known from a doorbell but that somebody rings.
#[derive(Debug)]
pub(crate) struct Bell;

/// The event that says that there is something in the inbox.
pub(super) const RUNG: &str = "rung";

/// The event that says that something is read.
pub(super) const READ: &str = "read";

impl Snapshot for Bell {
    const NAME: &'static str = RUNG;

    fn snapshot(&self) -> String {
        "null".to_owned()
    }
}

impl Listener for Feed<Bell> {
    fn ring(&self, event: Option<(&str, &str)>) {
        let (event, says) = match event {
            Some((READ, says)) => (READ, says),
            // Whatever it is, the inbox says it.
            Some(_) | None => (RUNG, "null"),
        };
        self.update(|_, news| news.push(event, says.to_owned()));
    }
}

impl Notifications {
    /// `keep`: notifications that one inbox holds.
    pub(crate) fn new(
        store: Arc<dyn DocumentStore>,
        keep: usize,
        counters: Arc<Counters>,
        cluster: Option<Cluster>,
    ) -> Self {
        let (calls, waiting) = (Arc::new(Semaphore::new(CALLS)), Semaphore::new(WAITING));
        Self(Arc::new(Shared { store, keep, calls, waiting, counters, cluster, doors: Mutex::default() }))
    }

    /// Puts a notification into an inbox; it is durable when this returns, and on its way to who listens.
    ///
    /// If the caller goes away, it is posted all the same.
    pub(crate) async fn post(&self, user: UserId, posting: Posting) -> Result<Posted, NotifyError> {
        let this = self.clone();
        let posting = tokio::spawn(async move {
            let (to, keep) = (user.clone(), this.0.keep);
            let posted = this.call(move |store| Ok(store.post(&to, &posting, keep, tag())?)).await?;
            if posted.is_new {
                Counters::add(&this.0.counters.notifications, 1);
                Counters::add(
                    &this.0.counters.notifications_evicted,
                    usize::try_from(posted.evicted).unwrap_or(usize::MAX),
                );
                this.ring(&user, RUNG, "null".to_owned());
            }
            Ok(posted)
        });
        posting.await.unwrap_or(Err(NotifyError::Internal))
    }

    /// At most `limit` notifications behind `after`; `None` if there never was one.
    pub(crate) async fn read(
        &self,
        user: UserId,
        after: u64,
        limit: usize,
    ) -> Result<Option<(Inbox, Vec<Notification>)>, NotifyError> {
        self.call(move |store| Ok(store.inbox(&user, after, limit, Moment::now().wall)?)).await
    }

    /// Notes what is read, and tells who listens. `says`: the same for them, as JSON.
    pub(crate) async fn mark_read(
        &self,
        user: UserId,
        marks: Marks,
        says: String,
    ) -> Result<(), NotifyError> {
        let this = self.clone();
        let marking = tokio::spawn(async move {
            let whose = user.clone();
            this.call(move |store| Ok(store.mark_read(&whose, &marks)?)).await?;
            this.ring(&user, READ, says);
            Ok(())
        });
        marking.await.unwrap_or(Err(NotifyError::Internal))
    }

    /// Listens to what comes into an inbox.
    pub(crate) fn listen(&self, user: &UserId, after: After) -> Delivery {
        Delivery::new(self.clone(), user.clone(), self.door(user), after)
    }

    fn door(&self, user: &UserId) -> Arc<Door> {
        let mut doors = self.0.doors.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(door) = doors.get(user).and_then(Weak::upgrade) {
            return door;
        }
        let bell = Feed::new(Bell, tag(), BELL_BYTES, Arc::clone(&self.0.counters));
        let member = self.0.cluster.as_ref().map(|cluster| cluster.user(user, Arc::new(bell.clone())));
        let door = Arc::new(Door { bell, user: user.clone(), notifications: self.clone(), _member: member });
        doors.insert(user.clone(), Arc::downgrade(&door));
        door
    }

    fn ring(&self, user: &UserId, event: &'static str, says: String) {
        let door = {
            let doors = self.0.doors.lock().unwrap_or_else(PoisonError::into_inner);
            doors.get(user).and_then(Weak::upgrade)
        };
        if let Some(cluster) = &self.0.cluster {
            cluster.ring(user, event, &says);
        }
        if let Some(door) = door {
            door.bell.update(|_, news| news.push(event, says));
        }
    }

    /// Runs a call on a blocking thread. If the caller goes away, a call that has begun runs to its end.
    async fn call<T: Send + 'static>(
        &self,
        call: impl FnOnce(&dyn Inboxes) -> Result<T, NotifyError> + Send + 'static,
    ) -> Result<T, NotifyError> {
        let _waiting = self.0.waiting.try_acquire().map_err(|_| NotifyError::Busy)?;
        let permit = timeout(WAIT, Arc::clone(&self.0.calls).acquire_owned()).await;
        // The semaphore is never closed.
        let permit = permit.map_err(|_| NotifyError::Busy)?.map_err(|_| NotifyError::Internal)?;
        let store = Arc::clone(&self.0.store);
        let running = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            panic::catch_unwind(AssertUnwindSafe(|| call(store.inboxes())))
        });
        running.await.ok().and_then(Result::ok).unwrap_or(Err(NotifyError::Internal))
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        let shared = Arc::clone(&self.notifications.0);
        let mut doors = shared.doors.lock().unwrap_or_else(PoisonError::into_inner);
        // Somebody may have made another one in between.
        if doors.get(&self.user).is_some_and(|door| door.strong_count() == 0) {
            doors.remove(&self.user);
        }
    }
}
