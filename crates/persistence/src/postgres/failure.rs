//! What can go wrong on the way to a database, and what is said of it.

use std::error::Error as _;
use std::io;

use tokio_postgres::error::SqlState;

use crate::error::{EngineError, StoreError};

/// The engine's name in errors.
const ENGINE: &str = "postgres";

/// Why something did not happen.
#[derive(Debug)]
pub(super) enum Failure {
    /// It concerns a document or an inbox.
    Store(StoreError),
    /// The client or the server says why.
    Client(tokio_postgres::Error),
    /// The server did not answer in time.
    Late,
    /// It may not, or cannot, be done; says why.
    Refused(String),
}

impl Failure {
    /// The error of an operation, as in "postgres could not `operation`". Holds no password: neither client nor server repeat it.
    pub(super) fn told(self, operation: &'static str) -> StoreError {
        match self {
            Self::Store(error) => error,
            other => StoreError::Engine(other.engine(operation)),
        }
    }

    /// The same where no document is concerned.
    pub(super) fn engine(self, operation: &'static str) -> EngineError {
        let failed = |message| EngineError::Failed { engine: ENGINE, operation, message };
        match self {
            Self::Store(StoreError::Engine(error)) => error,
            Self::Store(error) => failed(error.to_string()),
            Self::Client(error) if error.code() == Some(&SqlState::DISK_FULL) => {
                let source = io::Error::new(io::ErrorKind::StorageFull, said(&error));
                EngineError::Io { engine: ENGINE, operation, source }
            }
            Self::Client(error) => failed(said(&error)),
            Self::Late => failed("the database did not answer in time".to_owned()),
            Self::Refused(reason) => failed(reason),
        }
    }

    /// Whether the server says that a lock could not be had in time.
    pub(super) fn is_locked_out(&self) -> bool {
        matches!(self, Self::Client(error) if error.code() == Some(&SqlState::LOCK_NOT_AVAILABLE))
    }
}

/// What an error says with its causes. Details that the server gives are left out: they quote rows.
fn said(error: &tokio_postgres::Error) -> String {
    if let Some(error) = error.as_db_error() {
        return format!("{} (SQLSTATE {})", error.message(), error.code().code());
    }
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<tokio_postgres::Error> for Failure {
    fn from(error: tokio_postgres::Error) -> Self {
        Self::Client(error)
    }
}

/// A number as a `bigint`.
pub(super) fn signed(number: u64) -> Result<i64, Failure> {
    i64::try_from(number).map_err(|_| Failure::Refused(format!("{number} is too large for PostgreSQL")))
}
