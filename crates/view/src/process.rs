//! One worker process, seen from the pool.

use std::{
    io,
    process::{ExitStatus, Stdio},
    time::Duration,
};

use tokio::{
    process::{Child, ChildStdin, ChildStdout, Command},
    time::timeout,
};

use crate::{
    PoolConfig,
    wire::{self, Answer, Question, Setup},
};

/// How long a worker outlives its time limit when nobody kills it.
const GIVE_UP_AFTER: Duration = Duration::from_secs(2);

/// How long the pool waits to learn how a dead worker ended. It has closed its output, so it ends at once.
const STATUS_WITHIN: Duration = Duration::from_secs(1);

/// A running worker. Dropping it kills it.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    input: ChildStdin,
    output: ChildStdout,
    /// The largest body of an answer: content and a patch, which is smaller.
    max_body_bytes: usize,
}

impl Process {
    /// Starts a worker and tells it its limits.
    pub(crate) async fn start(config: &PoolConfig) -> io::Result<Self> {
        let mut command = Command::new(&config.program);
        command
            .args(&config.args)
            // What reads hostile documents has no business with the secrets of its parent.
            .env_clear()
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            // Messages of panics may quote the document.
            .stderr(Stdio::null())
            .kill_on_drop(true);
        // Out of reach of the terminal's Ctrl-C, which is for the parent to handle; a worker ends with its input.
        #[cfg(unix)]
        command.process_group(0);
        let mut child = command.spawn()?;
        let (Some(input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(io::Error::other("a child has no pipes"));
        };
        let max_body_bytes = config.max_answer_bytes.saturating_mul(2);
        let mut process = Self { child, input, output, max_body_bytes };
        let give_up = config.timeout.saturating_add(GIVE_UP_AFTER);
        let setup = Setup {
            memory_bytes: config.memory_bytes,
            give_up_millis: u64::try_from(give_up.as_millis()).unwrap_or(u64::MAX),
            max_question_bytes: u32::try_from(
                config.max_document_bytes.saturating_add(config.max_answer_bytes),
            )
            .unwrap_or(u32::MAX),
            max_answer_bytes: u32::try_from(config.max_answer_bytes).unwrap_or(u32::MAX),
        };
        wire::write_async(&mut process.input, &setup, &[]).await?;
        Ok(process)
    }

    /// Whether it still runs, as far as is known.
    pub(crate) fn is_alive(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Asks one question. After an error or a cancelled call the process is of no more use.
    pub(crate) async fn ask(&mut self, question: &Question, body: &[&[u8]]) -> io::Result<(Answer, Vec<u8>)> {
        wire::write_async(&mut self.input, question, body).await?;
        wire::read_async(&mut self.output, self.max_body_bytes).await
    }

    /// Ends it, and says how it ended if it had done so by itself.
    pub(crate) async fn end(mut self) -> Option<ExitStatus> {
        let status = timeout(STATUS_WITHIN, self.child.wait()).await;
        status.ok()?.ok()
    }
}
