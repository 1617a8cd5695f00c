//! Threads among which documents are divided, each with a runtime of its own.
//!
//! What belongs to a document (its task, the connections of its editors, and who tells it that edits are stored) runs on one thread. On
//! its way an edit passes through three tasks, and where several threads share all tasks each step may wake another thread, for which
//! readers wait. Nothing depends on where a task runs: they send each other messages wherever they are. Of a document with more editors
//! than [`CROWD`] the later ones are spread over all threads.
//!
//! Everything else (taking connections, HTTP, event streams) runs in the runtime of whoever started the server.

use std::io;
use std::sync::Arc;

use tokio::runtime::{Builder, Handle, Runtime};

/// So many connections of one document are on its thread. To write to more takes longer than to wake other threads.
const CROWD: usize = 32;

/// The threads. They end when nobody holds this any more. Cheap to clone; all clones are the same threads.
#[derive(Clone, Debug, Default)]
pub(crate) struct Shards(Option<Arc<Threads>>);

/// At least one.
#[derive(Debug)]
struct Threads(Vec<Runtime>);

/// One of the threads or, if there are none, the runtime of whoever spawns. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub(crate) struct Shard {
    index: usize,
    runtime: Option<Handle>,
}

impl Shards {
    /// Starts so many threads, at least one.
    pub(crate) fn start(count: usize) -> io::Result<Self> {
        // With one worker, not of the kind that has none: while a task blocks for long its place is taken by another thread.
        let runtime =
            |_| Builder::new_multi_thread().worker_threads(1).enable_all().thread_name("quire-shard").build();
        let runtimes = (0..count.max(1)).map(runtime).collect::<io::Result<_>>()?;
        Ok(Self(Some(Arc::new(Threads(runtimes)))))
    }

    /// The runtimes of all threads or, if there are none, the caller's, if there is that.
    pub(crate) fn runtimes(&self) -> Vec<Handle> {
        match &self.0 {
            Some(threads) => threads.0.iter().map(|runtime| runtime.handle().clone()).collect(),
            None => Handle::try_current().into_iter().collect(),
        }
    }

    /// The one with the fewest tasks.
    pub(crate) fn emptiest(&self) -> Shard {
        let runtimes = self.0.iter().flat_map(|threads| &threads.0).map(Runtime::handle).enumerate();
        let emptiest = runtimes.min_by_key(|(_, runtime)| runtime.metrics().num_alive_tasks());
        emptiest
            .map_or_else(Shard::default, |(index, runtime)| Shard { index, runtime: Some(runtime.clone()) })
    }

    /// Where the connection of one more editor is to be, in a document on `home` that has so many with it.
    pub(crate) fn for_editor(&self, home: &Shard, editors: usize) -> Shard {
        if editors <= CROWD { home.clone() } else { self.emptiest() }
    }
}

impl Shard {
    /// Which of them it is, counted from 0.
    pub(crate) fn index(&self) -> usize {
        self.index
    }

    /// Its runtime, or else the caller's. Call within a runtime.
    pub(crate) fn runtime(&self) -> Handle {
        self.runtime.clone().unwrap_or_else(Handle::current)
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        // Not by waiting for them: this may be one of them, or a thread that must not block.
        self.0.drain(..).for_each(Runtime::shutdown_background);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::thread;
    use std::time::Duration;

    use tokio::sync::oneshot;
    use tokio::time::timeout;

    use super::*;

    const PATIENCE: Duration = Duration::from_mins(1);

    /// Places something on a shard that stays there.
    fn occupy(shard: &Shard) {
        shard.runtime().spawn(std::future::pending::<()>());
    }

    #[tokio::test]
    async fn what_comes_goes_to_the_emptiest_and_a_crowd_to_all() {
        let shards = Shards::start(3).unwrap();
        let home = shards.emptiest();
        occupy(&home);
        let mut used = HashSet::from([home.index()]);
        for _ in 0..2 {
            let shard = shards.emptiest();
            occupy(&shard);
            assert!(used.insert(shard.index()));
        }
        for editors in 1..=CROWD {
            let shard = shards.for_editor(&home, editors);
            assert_eq!(shard.index(), home.index());
            occupy(&shard);
        }
        assert_ne!(shards.for_editor(&home, CROWD + 1).index(), home.index());
    }

    #[tokio::test]
    async fn each_is_one_thread_and_none_is_the_callers() {
        let shards = Shards::start(2).unwrap();
        for runtime in shards.runtimes() {
            let names = [0; 3].map(|_| runtime.spawn(async { thread::current().id() }));
            let mut ids = HashSet::new();
            for name in names {
                ids.insert(name.await.unwrap());
            }
            assert_eq!(ids.len(), 1);
            assert!(!ids.contains(&thread::current().id()));
        }
        let none = Shards::default();
        assert_eq!(none.runtimes().len(), 1);
        let here = none.emptiest().runtime().spawn(async { thread::current().id() }).await.unwrap();
        assert_eq!(here, thread::current().id());
    }

    #[tokio::test]
    async fn a_task_that_blocks_for_long_does_not_hold_up_the_others() {
        let shards = Shards::start(1).unwrap();
        let runtime = shards.emptiest().runtime();
        let (go, gone) = std::sync::mpsc::channel::<()>();
        let blocking = runtime.spawn(async move { tokio::task::block_in_place(move || gone.recv()) });
        timeout(PATIENCE, runtime.spawn(async {})).await.unwrap().unwrap();
        go.send(()).unwrap();
        blocking.await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn they_end_with_the_last_who_holds_them_be_it_one_of_them() {
        let shards = Shards::start(2).unwrap();
        let (held, mut ended) = oneshot::channel::<()>();
        let (begin, begun) = oneshot::channel::<()>();
        let runtime = shards.emptiest().runtime();
        runtime.spawn(async move {
            let _held = held;
            std::future::pending::<()>().await;
        });
        let last = shards.clone();
        runtime.spawn(async move {
            begun.await.unwrap();
            drop(last);
        });
        drop(shards);
        assert!(ended.try_recv().is_err_and(|error| error == oneshot::error::TryRecvError::Empty));
        begin.send(()).unwrap();
        // Tasks are dropped with their thread.
        assert!(timeout(PATIENCE, ended).await.unwrap().is_err());
    }
}
