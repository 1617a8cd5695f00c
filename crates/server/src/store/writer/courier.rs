//! Carries what became of appends from the writer's thread to those who wait for it.
//!
//! One commit concerns many documents. If the thread woke the task of each, they would all run before anything that editors have sent
//! meanwhile is looked at. So all of a commit goes to one task of the runtime, which hands on a few at a time and then lets the runtime
//! see what has come in.
//!
//! It is a queue without a bound of its own: a report follows from an append, and what a document may append before it has heard of
//! its earlier ones is bounded by its task.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::runtime::Handle;
use tokio::sync::Notify;

use super::{Log, Written};

/// Reports that are handed on before the runtime looks at what has come in.
const AT_A_TIME: usize = 8;

/// What became of appends of one document.
pub(super) struct Report {
    pub(super) log: Arc<Log>,
    pub(super) written: Written,
}

/// The side of the writer's thread. When it is dropped, what it was given is still handed on.
pub(super) struct Courier(Arc<Bag>);

/// The side of the task, for as long as that is there.
struct Round(Arc<Bag>);

struct Bag {
    state: Mutex<State>,
    /// The task waits for this.
    filled: Notify,
}

struct State {
    reports: VecDeque<Report>,
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

impl Report {
    fn hand_on(self) {
        (self.log.report)(self.written);
    }
}

impl Courier {
    /// Carries by a task of this runtime, if there is one.
    pub(super) fn start(runtime: Option<&Handle>) -> Self {
        let carrier = if runtime.is_some() { Carrier::Task } else { Carrier::Thread };
        let state = Mutex::new(State { reports: VecDeque::new(), carrier });
        let bag = Arc::new(Bag { state, filled: Notify::new() });
        if let Some(runtime) = runtime {
            runtime.spawn(Round(Arc::clone(&bag)).carry());
        }
        Self(bag)
    }

    /// Hands reports over; each document gets its own in their order.
    pub(super) fn take(&self, reports: impl IntoIterator<Item = Report>) {
        let mut state = self.0.lock();
        match state.carrier {
            Carrier::Task | Carrier::TaskToTheEnd => {
                state.reports.extend(reports);
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
            let (some, carrier) = self.some();
            if !some.is_empty() {
                some.into_iter().for_each(Report::hand_on);
                // Those who were woken run, and what has come in is looked at, before it goes on.
                tokio::task::yield_now().await;
            } else if carrier == Carrier::Task {
                // One from before the look is kept, and makes it look again.
                self.0.filled.notified().await;
            } else {
                return;
            }
        }
    }

    /// The next few.
    fn some(&self) -> (Vec<Report>, Carrier) {
        let mut state = self.0.lock();
        let few = state.reports.len().min(AT_A_TIME);
        let some = state.reports.drain(..few).collect();
        if state.reports.is_empty() {
            // It keeps no room for a large commit.
            state.reports = VecDeque::new();
        }
        (some, state.carrier)
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

    /// A log, and the tickets that are reported to it.
    fn log() -> (Arc<Log>, mpsc::UnboundedReceiver<u64>) {
        let (tell, told) = mpsc::unbounded_channel();
        let report = move |written| match written {
            Written::Durable(durable) => drop(tell.send(durable.ticket.0)),
            Written::Failed | Written::Outdated(_) => {}
        };
        let doc = DocId::new("a").unwrap();
        (Arc::new(Log { doc, pending: Mutex::default(), report: Box::new(report) }), told)
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
        let courier = Courier::start(Some(&Handle::current()));
        let another = report(&log, 0).log;
        courier.take((0..30).map(|ticket| report(&log, ticket)));
        for ticket in 0..30 {
            assert_eq!(told.recv().await, Some(ticket));
        }
        let thread = std::thread::spawn(move || {
            for ticket in 30..1000 {
                courier.take([report(&log, ticket)]);
            }
        });
        thread.join().unwrap();
        drop(another);
        assert_eq!(all(told).await, (30..1000).collect::<Vec<_>>());
    }

    #[tokio::test]
    async fn others_run_between_a_few_reports_and_the_next() {
        let (log, mut told) = log();
        let courier = Courier::start(Some(&Handle::current()));
        courier.take((0..100).map(|ticket| report(&log, ticket)));
        tokio::task::yield_now().await;
        let mut first = 0;
        while told.try_recv().is_ok() {
            first += 1;
        }
        assert_eq!(first, AT_A_TIME);
    }

    #[test]
    fn without_a_runtime_and_after_its_end_the_thread_does_it_itself() {
        let (log, mut told) = log();
        Courier::start(None).take([report(&log, 1)]);
        assert_eq!(told.try_recv(), Ok(1));
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let courier = Courier::start(Some(runtime.handle()));
        courier.take([report(&log, 2)]);
        drop(runtime);
        courier.take([report(&log, 3)]);
        assert_eq!((told.try_recv(), told.try_recv()), (Ok(2), Ok(3)));
    }
}
