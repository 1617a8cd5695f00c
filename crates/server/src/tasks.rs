//! Tasks that a server waits for when it ends, and ends when they take too long.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::Poll;

use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::seldom::Seldom;

/// Tasks that end together. Cheap to clone; all clones are the same tasks.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tasks {
    tracker: TaskTracker,
    cut: CancellationToken,
}

impl Tasks {
    /// Runs a future until it ends or [`Tasks::cut`].
    pub(crate) fn spawn(&self, future: impl Future<Output = ()> + Send + 'static) {
        self.spawn_on(&Handle::current(), future);
    }

    /// The same in this runtime.
    pub(crate) fn spawn_on(&self, runtime: &Handle, future: impl Future<Output = ()> + Send + 'static) {
        // A future that is moved into another one takes its room twice.
        let mut future = Box::pin(future);
        let mut cut = Seldom::new(self.cut.clone().cancelled_owned());
        let task = poll_fn(move |cx| {
            if Pin::new(&mut cut).poll(cx).is_ready() { Poll::Ready(()) } else { future.as_mut().poll(cx) }
        });
        self.tracker.spawn_on(task, runtime);
    }

    /// Waits until no task runs. Tasks may still be added meanwhile.
    pub(crate) async fn ended(&self) {
        self.tracker.close();
        self.tracker.wait().await;
    }

    /// Tasks that run.
    pub(crate) fn running(&self) -> usize {
        self.tracker.len()
    }

    /// Ends all tasks where they stand.
    pub(crate) fn cut(&self) {
        self.cut.cancel();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn tasks_that_take_too_long_are_cut() {
        let tasks = Tasks::default();
        tasks.spawn(async {});
        tasks.spawn(std::future::pending());
        assert_eq!(tasks.running(), 2);
        tasks.cut();
        tasks.ended().await;
        assert_eq!(tasks.running(), 0);
    }
}
