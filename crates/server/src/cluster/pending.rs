//! Questions to other nodes, and their answers.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Semaphore;

/// Questions that wait for answers. Each is forgotten when who asked has gone.
#[derive(Clone, Debug, Default)]
pub(super) struct Pending(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    last: AtomicU64,
    /// One permit for each answer.
    questions: Mutex<HashMap<u64, Arc<Semaphore>>>,
}

/// A question that was asked.
#[derive(Debug)]
pub(super) struct Question {
    pub(super) number: u64,
    answers: Arc<Semaphore>,
    pending: Pending,
}

impl Pending {
    /// A new question. Numbers begin at 1.
    pub(super) fn ask(&self) -> Question {
        let number = self.0.last.fetch_add(1, Ordering::Relaxed) + 1;
        let answers = Arc::new(Semaphore::new(0));
        self.0.questions.lock().unwrap_or_else(PoisonError::into_inner).insert(number, Arc::clone(&answers));
        Question { number, answers, pending: self.clone() }
    }

    /// One answer has come.
    pub(super) fn answered(&self, number: u64) {
        if let Some(answers) = self.0.questions.lock().unwrap_or_else(PoisonError::into_inner).get(&number) {
            answers.add_permits(1);
        }
    }
}

impl Question {
    /// Waits for so many answers. Cancel safe.
    pub(super) async fn answers(&self, count: usize) {
        // The semaphore is never closed.
        let _ = self.answers.acquire_many(u32::try_from(count).unwrap_or(u32::MAX)).await;
    }
}

impl Drop for Question {
    fn drop(&mut self) {
        self.pending.0.questions.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.number);
    }
}
