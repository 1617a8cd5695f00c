//! Carries what became of appends from the writer's thread to those who wait for it.
//!
//! One commit concerns many documents. If the thread woke the task of each, they would all run, and write to their authors, before
//! anything that editors have sent meanwhile is looked at. So all of a commit goes to one task on each [shard](crate::shards), which hands
//! on what concerns the documents there in portions with pauses between them: authors hear a few milliseconds later that their edit is
//! stored, and readers get other edits without waiting for that. A commit that somebody has hurried is handed on without pauses.
//!
//! It is a queue without a bound of its own: a report follows from an append, and what a document may append before it has heard of
//! its earlier ones is bounded by its task.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::Notify;

use super::{Log, Written};
use crate::store::pace::Began;

/// Reports that are not worth a pause. Where there is none, the runtime looks at what has come in after so many.
const AT_A_TIME: usize = 8;

/// What is between two portions: the least that the runtime's timers know. They make it up to twice as long.
const PAUSE: Duration = Duration::from_millis(1);

/// So much of the time from one commit to the next there is for each portion. So all are handed on before the next commit is done;
/// if not, that one's portions are larger, since what is left is counted, too.
const SHARE: Duration = Duration::from_millis(3);

/// What became of appends of one document.
pub(super) struct Report {
    pub(super) log: Arc<Log>,
    pub(super) written: Written,
}

/// One for each shard.
pub(super) struct Couriers(Vec<Courier>);

/// The side of the writer's thread. When it is dropped, what it was given is still handed on.
struct Courier(Arc<Bag>);

/// The side of the task, for as long as that is there.
struct Round(Arc<Bag>);

struct Bag {
    /// Into how many portions the reports of a commit are divided, at most.
    portions: usize,
    state: Mutex<State>,
    /// The task waits for this.
    filled: Notify,
}

struct State {
    reports: VecDeque<Report>,
    manner: Manner,
    carrier: Carrier,
}

/// Who hands the reports on.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Carrier {
    /// The task.
    Task,
    /// The task, until there are none left.
    TaskToTheEnd,
    /// The writer's thread itself: there is no runtime, or it has ended.
    Thread,
}

/// How reports are handed on.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Manner {
    /// As fast as it goes: somebody waits for them.
    Hurried,
    /// So many, and a pause.
    Portions(usize),
}

/// What the task does between two looks.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Step {
    Pause,
    Wait,
    GoOn,
    End,
}

impl Report {
    fn hand_on(self) {
        (self.log.report)(self.written);
    }
}

impl Couriers {
    /// Carries by a task of each of these runtimes what commits at this pace report.
    pub(super) fn start(runtimes: &[Handle], pace: Duration) -> Self {
        if runtimes.is_empty() {
            return Self(vec![Courier::start(None, pace)]);
        }
        Self(runtimes.iter().map(|runtime| Courier::start(Some(runtime), pace)).collect())
    }

    /// Hands reports over; each document gets its own in their order.
    pub(super) fn take(&self, reports: impl IntoIterator<Item = Report>, began: Began) {
        let mut reports: Vec<_> = reports.into_iter().collect();
        for (index, courier) in self.0.iter().enumerate() {
            let part: Vec<_> = reports.extract_if(.., |report| report.log.shard == index).collect();
            if !part.is_empty() {
                courier.take(part, began);
            }
        }
        debug_assert!(reports.is_empty(), "every document is on one of the shards");
    }
}

impl Courier {
    /// Carries by a task of this runtime, if there is one, what commits at this pace report.
    fn start(runtime: Option<&Handle>, pace: Duration) -> Self {
        let carrier = if runtime.is_some() { Carrier::Task } else { Carrier::Thread };
        let state = Mutex::new(State { reports: VecDeque::new(), manner: Manner::Hurried, carrier });
        let portions = usize::try_from(pace.as_millis() / SHARE.as_millis()).unwrap_or(usize::MAX).max(1);
        let bag = Arc::new(Bag { portions, state, filled: Notify::new() });
        if let Some(runtime) = runtime {
            runtime.spawn(Round(Arc::clone(&bag)).carry());
        }
        Self(bag)
    }

    /// Hands reports over; each document gets its own in their order.
    fn take(&self, reports: impl IntoIterator<Item = Report>, began: Began) {
        let mut state = self.0.lock();
        match state.carrier {
            Carrier::Task | Carrier::TaskToTheEnd => {
                state.reports.extend(reports);
                state.manner = match began {
                    Began::Hurried => Manner::Hurried,
                    Began::AtPace => {
                        Manner::Portions(state.reports.len().div_ceil(self.0.portions).max(AT_A_TIME))
                    }
                };
                drop(state);
                self.0.filled.notify_one();
            }
            Carrier::Thread => {
                drop(state);
                reports.into_iter().for_each(Report::hand_on);
            }
        }
    }
}

impl Drop for Courier {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        if state.carrier == Carrier::Task {
            state.carrier = Carrier::TaskToTheEnd;
        }
        drop(state);
        self.0.filled.notify_one();
    }
}

impl Round {
    async fn carry(self) {
        loop {
            let (portion, next) = self.portion();
            portion.into_iter().for_each(Report::hand_on);
            match next {
                Step::Pause => {
                    // What comes meanwhile may be in a hurry.
                    let _ = tokio::time::timeout(PAUSE, self.0.filled.notified()).await;
                }
                // One from before the look is kept, and makes it look again.
                Step::Wait => self.0.filled.notified().await,
                // Those who were woken run before it goes on.
                Step::GoOn => tokio::task::yield_now().await,
                Step::End => return,
            }
        }
    }

    /// The next portion, and what to do when it is handed on.
    fn portion(&self) -> (Vec<Report>, Step) {
        let mut state = self.0.lock();
        let (most, between) = match state.manner {
            Manner::Hurried => (AT_A_TIME, Step::GoOn),
            Manner::Portions(reports) => (reports, Step::Pause),
        };
        let portion = state.reports.len().min(most);
        let portion = state.reports.drain(..portion).collect();
        let is_last = state.reports.is_empty();
        if is_last {
            // It keeps no room for a large commit.
            state.reports = VecDeque::new();
        }
        let next = match state.carrier {
            Carrier::Task if is_last => Step::Wait,
            Carrier::Task => between,
            // The end of the server waits for it.
            Carrier::TaskToTheEnd | Carrier::Thread if is_last => Step::End,
            Carrier::TaskToTheEnd | Carrier::Thread => Step::GoOn,
        };
        (portion, next)
    }
}

impl Drop for Round {
    fn drop(&mut self) {
        // Where the runtime has ended, those who wait have, too; if not, they are not to wait in vain.
        let mut state = self.0.lock();
        state.carrier = Carrier::Thread;
        let left = std::mem::take(&mut state.reports);
        drop(state);
        left.into_iter().for_each(Report::hand_on);
    }
}

impl Bag {
    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing that can panic runs while the state is half changed.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use quire_persistence::Seq;
    use quire_sync_protocol::{DocId, Ticket};
    use tokio::sync::mpsc;

    use super::super::Durable;
    use super::*;
    use crate::store::pace::PACE;

    /// A log, and the tickets that are reported to it.
    fn log() -> (Arc<Log>, mpsc::UnboundedReceiver<u64>) {
        let (tell, told) = mpsc::unbounded_channel();
        let report = move |written| match written {
            Written::Durable(durable) => drop(tell.send(durable.ticket.0)),
            Written::Failed | Written::Outdated(_) => {}
        };
        let doc = DocId::new("a").unwrap();
        (Arc::new(Log { doc, shard: 0, pending: Mutex::default(), report: Box::new(report) }), told)
    }

    fn report(log: &Arc<Log>, ticket: u64) -> Report {
        let durable = Durable { ticket: Ticket(ticket), seq: Seq(ticket) };
        Report { log: Arc::clone(log), written: Written::Durable(durable) }
    }

    async fn all(mut told: mpsc::UnboundedReceiver<u64>) -> Vec<u64> {
        let mut all = Vec::new();
        while let Some(ticket) = told.recv().await {
            all.push(ticket);
        }
        all
    }

    #[tokio::test]
    async fn everything_is_handed_on_in_order_and_the_end_leaves_nothing_behind() {
        let (log, mut told) = log();
        let courier = Courier::start(Some(&Handle::current()), PACE);
        let another = report(&log, 0).log;
        courier.take((0..30).map(|ticket| report(&log, ticket)), Began::AtPace);
        for ticket in 0..30 {
            assert_eq!(told.recv().await, Some(ticket));
        }
        let thread = std::thread::spawn(move || {
            for ticket in 30..1000 {
                courier.take([report(&log, ticket)], Began::AtPace);
            }
        });
        thread.join().unwrap();
        drop(another);
        assert_eq!(all(told).await, (30..1000).collect::<Vec<_>>());
    }

    #[tokio::test(start_paused = true)]
    async fn a_large_commit_is_handed_on_in_portions_and_a_small_one_at_once() {
        let (log, mut told) = log();
        let courier = Courier::start(Some(&Handle::current()), PACE);
        let mut portions = async |reports: u64, began| {
            courier.take((0..reports).map(|ticket| report(&log, ticket)), began);
            let mut portions = Vec::new();
            let mut at = tokio::time::Instant::now();
            for _ in 0..reports {
                told.recv().await.unwrap();
                let now = tokio::time::Instant::now();
                match portions.last_mut() {
                    Some(portion) if now == at => *portion += 1,
                    _ => portions.push(1),
                }
                at = now;
            }
            portions
        };
        assert_eq!(portions(8, Began::AtPace).await, [8]);
        assert_eq!(portions(20, Began::AtPace).await, [8, 8, 4]);
        assert_eq!(portions(100, Began::AtPace).await, [17, 17, 17, 17, 17, 15]);
        assert_eq!(portions(100, Began::Hurried).await, [100]);
    }

    #[test]
    fn without_a_runtime_and_after_its_end_the_thread_does_it_itself() {
        let (log, mut told) = log();
        Courier::start(None, PACE).take([report(&log, 1)], Began::AtPace);
        assert_eq!(told.try_recv(), Ok(1));
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let courier = Courier::start(Some(runtime.handle()), PACE);
        courier.take([report(&log, 2)], Began::AtPace);
        drop(runtime);
        courier.take([report(&log, 3)], Began::AtPace);
        assert_eq!((told.try_recv(), told.try_recv()), (Ok(2), Ok(3)));
    }
}
