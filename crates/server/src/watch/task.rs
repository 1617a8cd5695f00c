//! The task that reads one document for all who watch it.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use quire_sync_protocol::{DocId, Replica, Update};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until};
use tracing::{info, warn};

use super::content::{Content, Trouble};
use super::{Entered, Opening};
use crate::doc::{Changes, Counters, DocHandle, OpenError};
use crate::heavy;
use crate::stream::{Feed, News, tag};
use crate::transport::Close;

/// How long a document is read for those who come back, after the last watcher has gone.
const LINGER: Duration = Duration::from_secs(30);

/// A reading is followed by a pause of so many times its length: one document takes at most a fifth of one worker.
const REST: u32 = 4;

/// What all who watch a document are told in a second, at most, beyond one event: where they are many and patches are large there are
/// fewer patches.
const BYTES_A_SECOND: f64 = (64 << 20) as f64;

/// How long to wait after a reading that failed for a reason that may pass; doubled each time, up to the second.
const AGAIN: [Duration; 2] = [Duration::from_millis(500), Duration::from_mins(1)];

/// Why nothing more is read.
enum Over {
    /// Nobody watches.
    Unwatched,
    /// The room has ended. What becomes of the document is told by opening it again.
    RoomEnded,
    /// Watchers are to be told this.
    Closed(Close),
}

/// What a reading has led to.
enum Read {
    /// Watchers were told so many bytes.
    Told(usize),
    /// It failed, and there is no use in trying again before the document changes.
    Hopeless,
    /// It failed, and may succeed when it is tried again.
    Failed,
}

pub(super) struct Task {
    entered: Entered,
    leases: watch::Receiver<usize>,
    opened: watch::Sender<Opening>,
    feed: Option<Feed<Content>>,
    /// Readings that failed one after another.
    failures: u32,
    /// Since when nobody watches, if that is so.
    left: Option<Instant>,
}

impl Task {
    pub(super) fn new(
        entered: Entered,
        leases: watch::Receiver<usize>,
        opened: watch::Sender<Opening>,
    ) -> Self {
        Self { entered, leases, opened, feed: None, failures: 0, left: None }
    }

    /// Runs until nobody watches any more, or the document ends.
    pub(super) async fn run(mut self) {
        loop {
            match self.follow().await {
                Over::Unwatched => {
                    if self.entered.release() {
                        return;
                    }
                }
                Over::RoomEnded => sleep(self.entered.shared.settings.interval).await,
                Over::Closed(close) => {
                    // Removed first: whoever hears of it and comes back begins anew.
                    self.entered.remove();
                    match &self.feed {
                        Some(feed) => feed.end(close),
                        None => _ = self.opened.send_replace(Opening::Failed(close)),
                    }
                    return;
                }
            }
        }
    }

    /// Reads the document whenever it has changed, for as long as it has one room.
    async fn follow(&mut self) -> Over {
        let doc = self.entered.doc.clone();
        let handle = match self.entered.shared.directory.open(&doc).await {
            Ok(handle) => handle,
            Err(error) => return Over::Closed(close_of(&doc, &error)),
        };
        let Ok(mut changes) = handle.changes().await else { return Over::RoomEnded };
        let mut copy = Copy::default();
        loop {
            changes.borrow_and_update();
            let begun = Instant::now();
            let Some(update) = copy.catch_up(&handle).await else { return Over::RoomEnded };
            let asked = Instant::now();
            let read = self.read(update).await;
            let counters = &self.entered.shared.counters;
            Counters::add(&counters.watch_readings, 1);
            let took = usize::try_from(asked.elapsed().as_micros()).unwrap_or(usize::MAX);
            Counters::add(&counters.watch_reading_micros, took);
            let pause = self.entered.shared.settings.interval.max(begun.elapsed() * REST);
            let (pause, again) = match read {
                #[expect(
                    clippy::cast_precision_loss,
                    reason = "at most some megabytes, and a million watchers"
                )]
                Read::Told(bytes) => {
                    self.failures = 0;
                    let watchers = *self.leases.borrow() as f64;
                    (pause.max(Duration::from_secs_f64(bytes as f64 * watchers / BYTES_A_SECOND)), None)
                }
                Read::Hopeless => (pause, None),
                Read::Failed => {
                    let [first, most] = AGAIN;
                    let again = first.saturating_mul(1 << self.failures.min(10)).min(most);
                    self.failures = self.failures.saturating_add(1);
                    // However often the document changes meanwhile.
                    let again = Instant::now() + again;
                    (again - begun, Some(again))
                }
            };
            sleep_until(begun + pause).await;
            if let Some(over) = self.until_changed(&mut changes, again).await {
                return over;
            }
        }
    }

    /// Waits until the document is to be read again.
    async fn until_changed(&mut self, changes: &mut Changes, again: Option<Instant>) -> Option<Over> {
        loop {
            let watched = *self.leases.borrow_and_update() > 0;
            if watched {
                self.left = None;
            }
            let now = Instant::now();
            let left = if watched { now } else { *self.left.get_or_insert(now) };
            tokio::select! {
                changed = changes.changed() => return changed.is_err().then_some(Over::RoomEnded),
                () = sleep_until(again.unwrap_or(left)), if again.is_some() => return None,
                // The sender lives as long as the entry.
                _ = self.leases.changed() => {}
                () = sleep_until(left + LINGER), if !watched => return Some(Over::Unwatched),
            }
        }
    }

    /// Has the document read, and tells those who watch.
    async fn read(&mut self, update: Bytes) -> Read {
        let doc = &self.entered.doc;
        let before = self.feed.as_ref().map(|feed| feed.look(Content::json)).unwrap_or_default();
        match self.entered.shared.pool.change(update, before).await {
            Ok(change) => {
                if self.trouble().is_some() {
                    info!(%doc, "a watched document can be read again");
                }
                Read::Told(self.tell(|content, news| content.take(change, news)))
            }
            Err(error) => {
                Counters::add(&self.entered.shared.counters.watch_failures, 1);
                let trouble = Trouble::of(&error);
                // A worker may also die of something else than the document, so that is tried twice before anything is said.
                let is_certain = match trouble {
                    Some(Trouble::Unreadable | Trouble::TooLarge) => true,
                    Some(Trouble::TooHard) => self.failures > 0,
                    None => false,
                };
                if let Some(trouble) = trouble.filter(|_| is_certain) {
                    if self.trouble() != Some(trouble) {
                        warn!(%doc, %error, "a watched document cannot be read");
                    }
                    self.tell(|content, news| content.fail(trouble, news));
                }
                match trouble {
                    Some(Trouble::Unreadable | Trouble::TooLarge) => Read::Hopeless,
                    Some(Trouble::TooHard) | None => Read::Failed,
                }
            }
        }
    }

    fn tell<T>(&mut self, change: impl FnOnce(&mut Content, &mut News) -> T) -> T {
        if let Some(feed) = &self.feed {
            return feed.update(change);
        }
        let shared = &self.entered.shared;
        let feed = Feed::new(Content::default(), tag(), shared.settings.kept, Arc::clone(&shared.counters));
        let told = feed.update(change);
        self.opened.send_replace(Opening::Open(feed.clone()));
        self.feed = Some(feed);
        told
    }

    fn trouble(&self) -> Option<Trouble> {
        self.feed.as_ref().and_then(|feed| feed.look(Content::trouble))
    }
}

/// A replica of what is watched, so that its document is only asked for what is new.
#[derive(Default)]
struct Copy {
    replica: Replica,
    bytes: usize,
}

impl Copy {
    /// Everything there is; `None` if the room has ended.
    async fn catch_up(&mut self, handle: &DocHandle) -> Option<Bytes> {
        // A document that was never stored has nothing.
        let new = handle.diff(self.replica.state_vector()).await.ok()?.unwrap_or_else(Update::empty);
        let update = heavy::work_on(self.bytes.max(new.bytes().len()), || {
            self.replica.insert(&new);
            self.replica.encode().bytes().clone()
        });
        self.bytes = update.len();
        Some(update)
    }
}

fn close_of(doc: &DocId, error: &OpenError) -> Close {
    match error {
        OpenError::Draining => Close::Restart,
        OpenError::Deleted => Close::Deleted,
        OpenError::Quarantined => Close::Quarantined,
        OpenError::Damaged(_) => {
            warn!(%doc, %error, "a watched document cannot be loaded");
            Close::Damaged
        }
        OpenError::NoRoom | OpenError::Unavailable(_) | OpenError::Internal => {
            warn!(%doc, %error, "a watched document cannot be loaded");
            Close::Rebuilding
        }
    }
}
