//! What is measured, and on whom.

mod idle;
mod joins;
mod restart;
mod typing;
mod watching;

use std::path::PathBuf;

use anyhow::{Result, bail};
use tempfile::TempDir;

use crate::process::Server;
use crate::report::Figures;

pub(crate) use typing::Typing;

/// Who is measured.
#[derive(Clone, Debug)]
pub(crate) enum Subject {
    /// Quire, stored by this engine in a folder of its own under this one.
    Quire { program: PathBuf, store: String, data: PathBuf },
    /// The bare server in this binary.
    Bare,
    /// A server that runs already.
    Other { url: String, pid: Option<u32> },
}

/// A server that was started for one measurement.
#[derive(Debug)]
pub(crate) struct Started {
    pub(crate) server: Server,
    /// Whether it confirms edits by their echo.
    pub(crate) confirms: bool,
    /// Removed after the server has ended.
    _data: Option<TempDir>,
}

impl Subject {
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Quire { .. } => "quire",
            Self::Bare => "bare",
            Self::Other { .. } => "other",
        }
    }

    /// Starts it. The bare server answers joins with this many bytes.
    pub(crate) async fn start(&self, answer_bytes: usize) -> Result<Started> {
        match self {
            Self::Quire { program, store, data } => {
                let data = TempDir::with_prefix_in("load-", data)?;
                let server = start_quire(program, store, data.path()).await?;
                Ok(Started { server, confirms: true, _data: Some(data) })
            }
            Self::Bare => {
                let bytes = answer_bytes.to_string();
                let arguments = ["bare", "--listen", "127.0.0.1:0", "--answer-bytes", &bytes];
                let server = Server::start(&std::env::current_exe()?, &arguments).await?;
                Ok(Started { server, confirms: false, _data: None })
            }
            Self::Other { url, pid } => {
                Ok(Started { server: Server::elsewhere(url, *pid)?, confirms: false, _data: None })
            }
        }
    }
}

async fn start_quire(program: &std::path::Path, store: &str, data: &std::path::Path) -> Result<Server> {
    let data = data.display().to_string();
    let mut arguments =
        vec!["serve", "--listen", "127.0.0.1:0", "--log", "warn", "--max-connections", "20000"];
    arguments.extend(["--max-per-document", "20000"]);
    arguments.extend(["--store", store, "--data", &data]);
    Server::start(program, &arguments).await
}

/// What can be measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Scenario {
    /// 100 clients of one document, ten of whom type.
    Fanout100,
    /// 1,000 clients of one document, ten of whom type.
    Fanout1000,
    /// 1,000 documents with two clients each, both typing.
    Documents,
    /// 5,000 connections, each with a document of its own, that do nothing.
    Idle,
    /// 2,000 clients join one document.
    Joins,
    /// A recorded session is pushed, the server killed, and a client joins after its restart.
    B4,
    /// 10,000 clients watch one document in which one client types: by server-sent events (part 1) and as editors (part 2).
    Watch,
    /// A few of everything but B4, to see that it works.
    Smoke,
}

impl Scenario {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Fanout100 => "fanout-100",
            Self::Fanout1000 => "fanout-1000",
            Self::Documents => "documents",
            Self::Idle => "idle",
            Self::Joins => "joins",
            Self::B4 => "b4",
            Self::Watch => "watch",
            Self::Smoke => "smoke",
        }
    }

    /// Runs it once.
    pub(crate) async fn run(self, subject: &Subject, seconds: u64) -> Result<Vec<Figures>> {
        Ok(match self {
            Self::Fanout100 => {
                vec![
                    Typing { documents: 1, clients: 100, writers: 10, rate: 20, seconds }
                        .run(subject)
                        .await?,
                ]
            }
            Self::Fanout1000 => {
                vec![
                    Typing { documents: 1, clients: 1000, writers: 10, rate: 2, seconds }
                        .run(subject)
                        .await?,
                ]
            }
            Self::Documents => {
                vec![Typing { documents: 1000, clients: 2, writers: 2, rate: 2, seconds }.run(subject).await?]
            }
            Self::Idle => vec![idle::run(subject, 5000, 30).await?],
            Self::Joins => vec![joins::run(subject, 2000).await?],
            Self::B4 => match subject {
                Subject::Quire { program, store, data } => restart::run(program, store, data).await?,
                Subject::Bare | Subject::Other { .. } => Vec::new(),
            },
            Self::Watch => watching::run(subject, 10_000, seconds).await?,
            Self::Smoke => {
                let mut parts = vec![
                    Typing { documents: 3, clients: 4, writers: 2, rate: 20, seconds: 1 }
                        .run(subject)
                        .await?,
                    idle::run(subject, 10, 1).await?,
                    joins::run(subject, 20).await?,
                ];
                parts.extend(watching::run(subject, 20, 1).await?);
                parts
            }
        })
    }
}

/// Many things at once go wrong in many ways; the first is told.
async fn all<T: 'static>(mut tasks: tokio::task::JoinSet<Result<T>>) -> Result<Vec<T>> {
    let mut results = Vec::with_capacity(tasks.len());
    while let Some(result) = tasks.join_next().await {
        match result {
            Ok(Ok(result)) => results.push(result),
            Ok(Err(error)) => return Err(error),
            Err(error) => bail!("a client ended: {error}"),
        }
    }
    Ok(results)
}
