//! Something that changes, and the last of its changes, for any number of listeners.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use super::cursor::{After, Cursor};
use super::event::Event;
use super::{Next, Source};
use crate::doc::Counters;
use crate::transport::Close;

/// What a feed is about.
pub(crate) trait Snapshot: Send + 'static {
    /// The name of the event that holds [all of it](Self::snapshot).
    const NAME: &'static str;

    /// All of it at this moment, as one line of JSON: what somebody needs who has none of it.
    fn snapshot(&self) -> String;
}

/// A state and its last changes. Cheap to clone; all clones are the same feed.
#[derive(Debug)]
pub(crate) struct Feed<S>(Arc<Shared<S>>);

impl<S> Clone for Feed<S> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

#[derive(Debug)]
struct Shared<S> {
    /// Bytes of events that are kept.
    limit: usize,
    counters: Arc<Counters>,
    log: Mutex<Log<S>>,
}

#[derive(Debug)]
struct Log<S> {
    state: S,
    tag: u32,
    /// The number of the last event.
    last: u64,
    /// The last events there were, `last` being the last of them.
    events: VecDeque<Event>,
    /// What they cost.
    bytes: usize,
    /// The state as an event, if somebody has asked since it changed.
    snapshot: Option<Event>,
    ended: Option<Close>,
    /// Who has found nothing new, by the number of the reader.
    waiting: HashMap<u64, Waker>,
    readers: u64,
}

/// Collects what is new. See [`Feed::update`].
#[derive(Debug, Default)]
pub(crate) struct News(Vec<(&'static str, String)>);

impl News {
    /// One more event. `json`: one line.
    pub(crate) fn push(&mut self, name: &'static str, json: String) {
        self.0.push((name, json));
    }

    /// What was collected.
    #[cfg(test)]
    pub(crate) fn into_events(self) -> Vec<(&'static str, String)> {
        self.0
    }
}

impl<S: Snapshot> Feed<S> {
    /// A feed that keeps events of this many bytes for those who are slow or come back. `tag`: as good as random, so that no
    /// place in another feed is taken for one in this.
    pub(crate) fn new(state: S, tag: u32, limit: usize, counters: Arc<Counters>) -> Self {
        let log = Log {
            state,
            tag,
            last: 0,
            events: VecDeque::new(),
            bytes: 0,
            snapshot: None,
            ended: None,
            waiting: HashMap::new(),
            readers: 0,
        };
        Self(Arc::new(Shared { limit, counters, log: Mutex::new(log) }))
    }

    /// Changes the state and tells all who listen.
    pub(crate) fn update<T>(&self, change: impl FnOnce(&mut S, &mut News) -> T) -> T {
        let (result, waiting) = {
            let mut log = self.lock();
            let mut news = News::default();
            let result = change(&mut log.state, &mut news);
            log.snapshot = None;
            if news.0.is_empty() {
                return result;
            }
            for (name, json) in news.0 {
                log.add(name, &json, self.0.limit);
            }
            (result, std::mem::take(&mut log.waiting))
        };
        waiting.into_values().for_each(Waker::wake);
        result
    }

    /// Looks at the state.
    pub(crate) fn look<T>(&self, look: impl FnOnce(&S) -> T) -> T {
        look(&self.lock().state)
    }

    /// The state as an event. Its id is the place from which on a listener misses nothing.
    pub(crate) fn snapshot(&self) -> Event {
        self.lock().snapshot()
    }

    /// A listener of its own.
    pub(crate) fn reader(&self, after: After) -> Reader<S> {
        let mut log = self.lock();
        log.readers += 1;
        let at = match after {
            After::Place(Cursor { tag, number }) if tag == log.tag && number <= log.last => {
                Position::Behind(number)
            }
            After::Beginning | After::Nowhere | After::Place(_) => Position::Anew,
        };
        Reader { feed: self.clone(), number: log.readers, at }
    }

    fn lock(&self) -> MutexGuard<'_, Log<S>> {
        // A change that panics has changed the state of its own document only, and says so there.
        self.0.log.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<S> Feed<S> {
    /// Ends it: listeners get what there is, and then this.
    pub(crate) fn end(&self, why: Close) {
        let waiting = {
            let mut log = self.0.log.lock().unwrap_or_else(PoisonError::into_inner);
            log.ended.get_or_insert(why);
            std::mem::take(&mut log.waiting)
        };
        waiting.into_values().for_each(Waker::wake);
    }

    /// Whether it was [ended](Self::end).
    pub(crate) fn has_ended(&self) -> bool {
        self.0.log.lock().unwrap_or_else(PoisonError::into_inner).ended.is_some()
    }
}

impl<S: Snapshot> Log<S> {
    fn add(&mut self, name: &'static str, json: &str, limit: usize) {
        self.last += 1;
        let event = Event::new(Some(Cursor { tag: self.tag, number: self.last }), name, json);
        self.bytes += event.cost();
        self.events.push_back(event);
        while self.bytes > limit
            && let Some(oldest) = self.events.pop_front()
        {
            self.bytes -= oldest.cost();
        }
    }

    fn snapshot(&mut self) -> Event {
        let place = Cursor { tag: self.tag, number: self.last };
        self.snapshot.get_or_insert_with(|| Event::new(Some(place), S::NAME, &self.state.snapshot())).clone()
    }

    /// What comes behind the event of this number.
    fn behind(&self, number: u64) -> Behind<'_> {
        let from_end = usize::try_from(self.last.saturating_sub(number)).unwrap_or(usize::MAX);
        if from_end == 0 {
            return Behind::Nothing;
        }
        let kept = self.events.len().checked_sub(from_end).and_then(|at| self.events.get(at));
        kept.map_or(Behind::Forgotten, Behind::Event)
    }
}

/// What comes behind an event.
enum Behind<'a> {
    Event(&'a Event),
    /// Something that is not kept any more.
    Forgotten,
    /// It was the last.
    Nothing,
}

/// One listener's place in a feed.
#[derive(Debug)]
pub(crate) struct Reader<S> {
    feed: Feed<S>,
    number: u64,
    at: Position,
}

#[derive(Clone, Copy, Debug)]
enum Position {
    /// It needs the state.
    Anew,
    /// It has everything up to the event of this number.
    Behind(u64),
}

impl<S: Snapshot> Source for Reader<S> {
    fn poll_event(&mut self, cx: &mut Context<'_>) -> Poll<Next> {
        let mut log = self.feed.lock();
        let found = match self.at {
            Position::Anew => Behind::Forgotten,
            Position::Behind(number) => log.behind(number),
        };
        match found {
            Behind::Event(event) => {
                let event = event.clone();
                if let Position::Behind(number) = &mut self.at {
                    *number += 1;
                }
                Poll::Ready(Next::Event(event))
            }
            Behind::Forgotten => {
                if let Position::Behind(_) = self.at {
                    Counters::add(&self.feed.0.counters.stream_skips, 1);
                }
                self.at = Position::Behind(log.last);
                Poll::Ready(Next::Event(log.snapshot()))
            }
            Behind::Nothing => {
                if let Some(why) = &log.ended {
                    return Poll::Ready(Next::End(why.clone()));
                }
                log.waiting.insert(self.number, cx.waker().clone());
                Poll::Pending
            }
        }
    }

    fn place(&self) -> Cursor {
        let log = self.feed.lock();
        let number = match self.at {
            Position::Anew => log.last,
            Position::Behind(number) => number,
        };
        Cursor { tag: log.tag, number }
    }
}

impl<S> Drop for Reader<S> {
    fn drop(&mut self) {
        let mut log = self.feed.0.log.lock().unwrap_or_else(PoisonError::into_inner);
        log.waiting.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering;
    use std::task::Waker;

    use super::*;

    /// A number that is counted up.
    #[derive(Debug)]
    struct Count(u64);

    impl Snapshot for Count {
        const NAME: &'static str = "count";

        fn snapshot(&self) -> String {
            self.0.to_string()
        }
    }

    fn feed(limit: usize) -> Feed<Count> {
        Feed::new(Count(0), 7, limit, Arc::default())
    }

    fn count(feed: &Feed<Count>) {
        feed.update(|count, news| {
            count.0 += 1;
            news.push("one", count.0.to_string());
        });
    }

    fn next<S: Snapshot>(reader: &mut Reader<S>) -> Option<String> {
        match reader.poll_event(&mut Context::from_waker(Waker::noop())) {
            Poll::Pending => None,
            Poll::Ready(Next::Event(event)) => {
                let data = str::from_utf8(event.data()).unwrap();
                Some(format!("{} {data} at {}", event.name, event.id.unwrap().number))
            }
            Poll::Ready(Next::End(why)) => Some(format!("end {}", why.code())),
        }
    }

    fn all<S: Snapshot>(reader: &mut Reader<S>) -> Vec<String> {
        std::iter::from_fn(|| next(reader)).collect()
    }

    #[test]
    fn a_newcomer_gets_the_state_and_then_what_changes() {
        let feed = feed(10_000);
        count(&feed);
        let mut reader = feed.reader(After::Beginning);
        assert_eq!(all(&mut reader), ["count 1 at 1"]);
        count(&feed);
        count(&feed);
        assert_eq!(all(&mut reader), ["one 2 at 2", "one 3 at 3"]);
        assert_eq!(reader.place(), Cursor { tag: 7, number: 3 });
        assert_eq!(feed.snapshot().data(), "3");
    }

    #[test]
    fn who_comes_back_goes_on_where_it_was_and_others_get_the_state() {
        let feed = feed(10_000);
        (0..5).for_each(|_| count(&feed));
        let at = |tag, number| After::Place(Cursor { tag, number });
        assert_eq!(all(&mut feed.reader(at(7, 3))), ["one 4 at 4", "one 5 at 5"]);
        assert_eq!(all(&mut feed.reader(at(7, 5))), Vec::<String>::new());
        for elsewhere in [at(8, 3), at(7, 6), After::Nowhere, After::Beginning] {
            assert_eq!(all(&mut feed.reader(elsewhere)), ["count 5 at 5"], "{elsewhere:?}");
        }
    }

    #[test]
    fn one_that_is_too_slow_gets_the_state_instead() {
        let cost = Event::new(Some(Cursor { tag: 7, number: 1 }), "one", "1").cost();
        let feed = feed(3 * cost);
        let mut reader = feed.reader(After::Place(Cursor { tag: 7, number: 0 }));
        (0..3).for_each(|_| count(&feed));
        assert_eq!(next(&mut reader).unwrap(), "one 1 at 1");
        (0..3).for_each(|_| count(&feed));
        assert_eq!(all(&mut reader), ["count 6 at 6"]);
        assert_eq!(feed.0.counters.stream_skips.load(Ordering::Relaxed), 1);
        // What is larger than all that is kept.
        feed.update(|_, news| news.push("large", "1".repeat(10 * cost)));
        assert_eq!(all(&mut reader), ["count 6 at 7"]);
    }

    #[test]
    fn a_feed_that_has_ended_says_so_behind_what_there_is() {
        let feed = feed(10_000);
        let mut reader = feed.reader(After::Place(Cursor { tag: 7, number: 0 }));
        count(&feed);
        feed.end(Close::Deleted);
        assert_eq!(next(&mut reader).unwrap(), "one 1 at 1");
        assert_eq!(next(&mut reader).unwrap(), "end 4404");
    }

    #[test]
    fn who_waits_is_woken_and_who_has_gone_is_forgotten() {
        let feed = feed(10_000);
        let mut readers: Vec<_> =
            (0..3).map(|_| feed.reader(After::Place(Cursor { tag: 7, number: 0 }))).collect();
        assert!(readers.iter_mut().all(|reader| next(reader).is_none()));
        assert_eq!(feed.lock().waiting.len(), 3);
        readers.pop();
        assert_eq!(feed.lock().waiting.len(), 2);
        count(&feed);
        assert_eq!(feed.lock().waiting.len(), 0);
    }
}
