//! Questions to other nodes, and their answers.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Semaphore;

/// Questions that wait for answers. Each is forgotten when who asked has gone.
#[derive(Clone, Debug, Default)]
pub(super) struct Pending(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    last: AtomicU64,
    questions: Mutex<HashMap<u64, Asked>>,
}

#[derive(Debug)]
struct Asked {
    answers: Vec<Arc<str>>,
    /// One permit for each answer.
    came: Arc<Semaphore>,
}

/// A question that was asked.
#[derive(Debug)]
pub(super) struct Question {
    pub(super) number: u64,
    came: Arc<Semaphore>,
    pending: Pending,
}

impl Pending {
    /// A new question. Numbers begin at 1.
    pub(super) fn ask(&self) -> Question {
        let number = self.0.last.fetch_add(1, Ordering::Relaxed) + 1;
        let came = Arc::new(Semaphore::new(0));
        self.lock().insert(number, Asked { answers: Vec::new(), came: Arc::clone(&came) });
        Question { number, came, pending: self.clone() }
    }

    /// An answer has come; one that says nothing is one, too.
    pub(super) fn answered(&self, number: u64, says: Option<Arc<str>>) {
        if let Some(asked) = self.lock().get_mut(&number) {
            asked.answers.extend(says);
            asked.came.add_permits(1);
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<u64, Asked>> {
        self.0.questions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Question {
    /// Waits until so many answers have come. Cancel safe.
    pub(super) async fn answered(&self, count: usize) {
        // The semaphore is never closed.
        let _ = self.came.acquire_many(u32::try_from(count).unwrap_or(u32::MAX)).await;
    }

    /// The answers that have come.
    pub(super) fn answers(&self) -> Vec<Arc<str>> {
        self.pending
            .lock()
            .get_mut(&self.number)
            .map(|asked| std::mem::take(&mut asked.answers))
            .unwrap_or_default()
    }
}

impl Drop for Question {
    fn drop(&mut self) {
        self.pending.lock().remove(&self.number);
    }
}
