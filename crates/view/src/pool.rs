//! Workers, started on demand, one question each at a time.
//!
//! A question takes a place in the queue (none left: [`ViewError::Busy`] at once), then waits for its turn (not
//! come in time: [`ViewError::Busy`]), then has a worker to itself. The call that asks owns the worker while it
//! asks; a call that is dropped takes its worker with it, and the next question starts another.

use std::{
    ffi::OsString,
    path::PathBuf,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use tokio::{
    sync::Semaphore,
    time::{Instant, sleep_until, timeout},
};

use crate::{
    Change, Content, ContentRequest, ViewError,
    process::Process,
    wire::{Answer, MAX_ROOT_BYTES, Question, Refusal},
};

/// A worker that has moved more bytes than this ends after the answer: its allocator keeps what it had.
const KEEP_UP_TO_BYTES: usize = 4 << 20;

/// How a [`Pool`] starts its workers, and their bounds.
#[derive(Clone, Debug)]
pub struct PoolConfig {
    /// The program of the workers; it calls [`run_worker`](crate::run_worker) when started with `args`. It gets no
    /// environment.
    pub program: PathBuf,
    /// Its arguments.
    pub args: Vec<OsString>,
    /// Workers at most, that is questions at a time.
    pub workers: usize,
    /// Questions at most that wait for a worker.
    pub queue: usize,
    /// How long a question waits for a worker.
    pub queue_wait: Duration,
    /// How long a worker may take for one question, its start included.
    pub timeout: Duration,
    /// How long a worker without questions is kept.
    pub idle: Duration,
    /// Address space in bytes that a worker may use for a document, beyond what it needs to run. yrs holds a
    /// document in up to 200 bytes an item. Enforced where the system limits address space (Linux does, macOS
    /// does not).
    pub memory_bytes: u64,
    /// The largest document, in bytes of its update.
    pub max_document_bytes: usize,
    /// The largest answer in bytes.
    pub max_answer_bytes: usize,
}

impl PoolConfig {
    /// The defaults: two workers, 64 waiting for 5 s at most; 64 MiB in, 16 MiB out, 5 s and 1 GiB for one
    /// question; 60 s until an idle worker ends.
    pub fn new<A: Into<OsString>>(program: impl Into<PathBuf>, args: impl IntoIterator<Item = A>) -> Self {
        Self {
            program: program.into(),
            args: args.into_iter().map(Into::into).collect(),
            workers: 2,
            queue: 64,
            queue_wait: Duration::from_secs(5),
            timeout: Duration::from_secs(5),
            idle: Duration::from_mins(1),
            memory_bytes: 1 << 30,
            max_document_bytes: 64 << 20,
            max_answer_bytes: 16 << 20,
        }
    }
}

/// What has become of the questions and the workers since the pool was made.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct PoolCounts {
    /// Questions a worker has answered, with content or with the reason why not.
    pub answered: u64,
    /// Questions turned away because the pool was busy.
    pub busy: u64,
    /// Workers killed for being late.
    pub late: u64,
    /// Workers that died over a question.
    pub died: u64,
    /// Workers started.
    pub started: u64,
}

/// Reads documents in worker processes. Cloning is cheap and gives the same pool.
///
/// Must be used inside a tokio runtime with I/O and time enabled. Workers end when the last clone is dropped.
#[derive(Clone, Debug)]
pub struct Pool {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    config: PoolConfig,
    /// One permit for each question that runs or waits.
    places: Semaphore,
    /// One permit for each worker.
    turns: Semaphore,
    idle: Mutex<Idle>,
    answered: AtomicU64,
    busy: AtomicU64,
    late: AtomicU64,
    died: AtomicU64,
    started: AtomicU64,
}

/// The workers nobody asks. The one last used is taken first, so that the others grow old.
#[derive(Debug, Default)]
struct Idle {
    workers: Vec<(Instant, Process)>,
    /// Whether a task is under way that ends the old ones.
    watched: bool,
}

impl Pool {
    /// A pool without workers yet; the first question starts one.
    pub fn new(config: PoolConfig) -> Self {
        let workers = config.workers.clamp(1, Semaphore::MAX_PERMITS / 2);
        let places = workers + config.queue.min(Semaphore::MAX_PERMITS / 2);
        let shared = Shared {
            places: Semaphore::new(places),
            turns: Semaphore::new(workers),
            idle: Mutex::default(),
            answered: AtomicU64::new(0),
            busy: AtomicU64::new(0),
            late: AtomicU64::new(0),
            died: AtomicU64::new(0),
            started: AtomicU64::new(0),
            config,
        };
        Self { shared: Arc::new(shared) }
    }

    /// What the document with this v1 update says.
    ///
    /// Cancel safe: dropping the call kills the worker that works on it and gives the turn to the next.
    pub async fn content(&self, update: Bytes, request: ContentRequest) -> Result<Content, ViewError> {
        if let Some(root) = request.root()
            && root.len() > MAX_ROOT_BYTES
        {
            return Err(ViewError::UnknownRoot { root: root.to_owned() });
        }
        match self.question(&request.clone().into(), &update, &[]).await? {
            (Answer::Content, body) => self.content_of(&request, body),
            (Answer::Refused(refusal), _) => Err(self.error_of(request, refusal)),
            (Answer::Unchanged | Answer::Patched { .. } | Answer::Replaced, _) => Err(self.nonsense()),
        }
    }

    /// What the document with this v1 update says, all roots as JSON, and what leads there from `before`, which must come from
    /// an earlier answer (or be empty).
    ///
    /// Cancel safe, as [`Pool::content`] is.
    pub async fn change(&self, update: Bytes, before: Bytes) -> Result<Change, ViewError> {
        let limit = self.shared.config.max_answer_bytes;
        let question = match u32::try_from(before.len()) {
            Ok(length) if before.len() <= limit => Question::Change { before: length },
            Ok(_) | Err(_) => return Err(ViewError::AnswerTooLarge { limit }),
        };
        let (answer, body) = self.question(&question, &update, &before).await?;
        let body = Bytes::from(body);
        // Written into lines as they are, so a break in one would forge another.
        let is_line = str::from_utf8(&body).is_ok() && !body.iter().any(|byte| matches!(byte, b'\n' | b'\r'));
        match answer {
            Answer::Unchanged => Ok(Change::None),
            Answer::Replaced if is_line => Ok(Change::Whole { content: body }),
            Answer::Patched { content } if is_line && content as usize <= body.len() => {
                let mut content_and_patch = body;
                let patch = content_and_patch.split_off(content as usize);
                Ok(Change::Patch { content: content_and_patch, patch })
            }
            Answer::Refused(refusal) => Err(self.error_of(ContentRequest::All, refusal)),
            Answer::Replaced | Answer::Patched { .. } | Answer::Content => Err(self.nonsense()),
        }
    }

    /// Asks a worker, when it is this question's turn.
    async fn question(
        &self,
        question: &Question,
        update: &[u8],
        before: &[u8],
    ) -> Result<(Answer, Vec<u8>), ViewError> {
        let Shared { config, places, turns, .. } = &*self.shared;
        if update.len() > config.max_document_bytes {
            return Err(ViewError::DocumentTooLarge {
                bytes: update.len(),
                limit: config.max_document_bytes,
            });
        }
        let busy = || {
            self.shared.busy.fetch_add(1, Ordering::Relaxed);
            ViewError::Busy
        };
        let _place = places.try_acquire().map_err(|_| busy())?;
        let Ok(Ok(_turn)) = timeout(config.queue_wait, turns.acquire()).await else { return Err(busy()) };
        let Ok(answer) = timeout(config.timeout, self.ask(question, &[before, update])).await else {
            self.shared.late.fetch_add(1, Ordering::Relaxed);
            tracing::warn!(bytes = update.len(), limit = ?config.timeout, "killed a view worker that was late");
            return Err(ViewError::Late { limit: config.timeout });
        };
        let answer = answer?;
        self.shared.answered.fetch_add(1, Ordering::Relaxed);
        Ok(answer)
    }

    /// A worker answered what it was not asked.
    fn nonsense(&self) -> ViewError {
        self.shared.died.fetch_add(1, Ordering::Relaxed);
        ViewError::Died { status: "its answer was none to the question".to_owned() }
    }

    /// What has happened so far, for metrics.
    pub fn counts(&self) -> PoolCounts {
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let Shared { answered, busy, late, died, started, .. } = &*self.shared;
        PoolCounts {
            answered: count(answered),
            busy: count(busy),
            late: count(late),
            died: count(died),
            started: count(started),
        }
    }

    async fn ask(&self, question: &Question, body: &[&[u8]]) -> Result<(Answer, Vec<u8>), ViewError> {
        let asked: usize = body.iter().map(|piece| piece.len()).sum();
        let mut process = if let Some(process) = self.shared.take_idle() {
            process
        } else {
            self.shared.started.fetch_add(1, Ordering::Relaxed);
            Process::start(&self.shared.config).await.map_err(ViewError::Start)?
        };
        match process.ask(question, body).await {
            Ok((answer, body)) => {
                if asked + body.len() <= KEEP_UP_TO_BYTES {
                    Shared::keep(&self.shared, process);
                }
                Ok((answer, body))
            }
            Err(error) => {
                self.shared.died.fetch_add(1, Ordering::Relaxed);
                let status =
                    process.end().await.map_or_else(|| error.to_string(), |status| status.to_string());
                tracing::warn!(bytes = asked, %status, %error, "a view worker died");
                Err(ViewError::Died { status })
            }
        }
    }

    fn content_of(&self, request: &ContentRequest, body: Vec<u8>) -> Result<Content, ViewError> {
        let Ok(body) = String::from_utf8(body) else {
            self.shared.died.fetch_add(1, Ordering::Relaxed);
            return Err(ViewError::Died { status: "its answer was not UTF-8".to_owned() });
        };
        Ok(match request {
            ContentRequest::All | ContentRequest::Json(_) => Content::Json(body),
            ContentRequest::Text(_) => Content::Text(body),
            ContentRequest::Xml(_) => Content::Xml(body),
        })
    }

    fn error_of(&self, request: ContentRequest, refusal: Refusal) -> ViewError {
        let root = match request {
            ContentRequest::All => String::new(),
            ContentRequest::Json(root) | ContentRequest::Text(root) | ContentRequest::Xml(root) => root,
        };
        match refusal {
            Refusal::UnknownRoot => ViewError::UnknownRoot { root },
            Refusal::WrongType { found, asked } => ViewError::WrongType { root, found, asked },
            Refusal::Unreadable(reason) => ViewError::Unreadable { reason },
            Refusal::AnswerTooLarge => {
                ViewError::AnswerTooLarge { limit: self.shared.config.max_answer_bytes }
            }
        }
    }
}

impl Shared {
    /// The list of idle workers. Held for a few steps, never across an await; a panic leaves it whole.
    fn idle(&self) -> MutexGuard<'_, Idle> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take_idle(&self) -> Option<Process> {
        loop {
            let (_, mut process) = self.idle().workers.pop()?;
            // One may have died since, which is no answer to any question.
            if process.is_alive() {
                return Some(process);
            }
        }
    }

    /// Puts a worker back, and sees to it that it ends when nobody asks it for a while.
    fn keep(shared: &Arc<Self>, process: Process) {
        let mut idle = shared.idle();
        idle.workers.push((Instant::now(), process));
        if idle.watched {
            return;
        }
        idle.watched = true;
        let first_end = Instant::now() + shared.config.idle;
        let shared = Arc::downgrade(shared);
        tokio::spawn(async move {
            let mut next_end = first_end;
            loop {
                sleep_until(next_end).await;
                let Some(shared) = shared.upgrade() else { return };
                match shared.end_old() {
                    Some(end) => next_end = end,
                    None => return,
                }
            }
        });
    }

    /// Ends the workers that have been idle for long enough; says when the next one will have been.
    fn end_old(&self) -> Option<Instant> {
        let mut idle = self.idle();
        let now = Instant::now();
        idle.workers.retain(|(since, _)| *since + self.config.idle > now);
        let next = idle.workers.iter().map(|(since, _)| *since + self.config.idle).min();
        idle.watched = next.is_some();
        next
    }
}
