//! How far a document task is with its first load, for those who wait for it. (A watch of tokio is made for changes without end, and takes
//! half a kilobyte of each document.)

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::error::OpenError;

/// The task's side. When it is dropped before it has told anything, that counts as an error of ours.
#[derive(Debug)]
pub(crate) struct Loading(Arc<State>);

/// The side of those who wait. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct FirstLoad(Arc<State>);

#[derive(Debug)]
struct State {
    readiness: Mutex<Readiness>,
    told: Notify,
}

#[derive(Debug)]
enum Readiness {
    Loading,
    Ready,
    Failed(OpenError),
}

/// A load that has begun.
pub(crate) fn first_load() -> (Loading, FirstLoad) {
    let state = State { readiness: Mutex::new(Readiness::Loading), told: Notify::new() };
    let state = Arc::new(state);
    (Loading(Arc::clone(&state)), FirstLoad(state))
}

impl Loading {
    /// The document is in memory.
    pub(crate) fn is_ready(&self) {
        self.0.tell(Readiness::Ready);
    }

    /// It could not be loaded.
    pub(crate) fn has_failed(&self, error: OpenError) {
        self.0.tell(Readiness::Failed(error));
    }
}

impl Drop for Loading {
    fn drop(&mut self) {
        if matches!(*self.0.lock(), Readiness::Loading) {
            self.has_failed(OpenError::Internal);
        }
    }
}

impl FirstLoad {
    /// Waits for the end of the load. Cancel safe.
    pub(crate) async fn ended(&self) -> Result<(), OpenError> {
        loop {
            // Before the look: it notices what is told from now on.
            let told = self.0.told.notified();
            match &*self.0.lock() {
                Readiness::Ready => return Ok(()),
                Readiness::Failed(error) => return Err(error.clone()),
                Readiness::Loading => {}
            }
            told.await;
        }
    }
}

impl State {
    fn tell(&self, readiness: Readiness) {
        *self.lock() = readiness;
        self.told.notify_waiters();
    }

    fn lock(&self) -> MutexGuard<'_, Readiness> {
        // Nothing that can panic runs while it is half changed.
        self.readiness.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    #[tokio::test]
    async fn all_who_wait_and_who_come_later_are_told_the_last_word() {
        let (loading, load) = first_load();
        let waiting = [(); 2].map(|()| {
            let load = load.clone();
            tokio::spawn(async move { load.ended().await })
        });
        tokio::task::yield_now().await;
        assert_eq!(load.ended().now_or_never(), None);
        loading.is_ready();
        for waiting in waiting {
            assert_eq!(waiting.await.unwrap(), Ok(()));
        }
        assert_eq!(load.ended().now_or_never(), Some(Ok(())));
        loading.has_failed(OpenError::Draining);
        drop(loading);
        assert_eq!(load.ended().now_or_never(), Some(Err(OpenError::Draining)));
    }

    #[tokio::test]
    async fn a_task_that_ends_without_a_word_is_an_error() {
        let (loading, load) = first_load();
        drop(loading);
        assert_eq!(load.ended().await, Err(OpenError::Internal));
    }
}
