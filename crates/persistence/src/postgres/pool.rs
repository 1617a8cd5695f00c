//! A bounded number of connections, made when they are needed and kept for the next.

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use super::connection::{Connection, Connector};
use super::failure::Failure;

/// Connections at a time: of the writer, the compactor, readers, and what operators ask for.
const CONNECTIONS: usize = 10;

/// How long a call waits for one.
const WAIT: Duration = Duration::from_secs(30);

/// The connections of one store.
#[derive(Clone)]
pub(super) struct Pool {
    connector: Connector,
    turns: Arc<Semaphore>,
    idle: Arc<Mutex<Vec<Connection>>>,
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool").field("turns", &self.turns).finish_non_exhaustive()
    }
}

impl Pool {
    pub(super) fn new(connector: Connector) -> Self {
        Self { connector, turns: Arc::new(Semaphore::new(CONNECTIONS)), idle: Arc::default() }
    }

    /// A connection that is not in use, or a new one.
    pub(super) async fn lease(&self) -> Result<Lease, Failure> {
        let Ok(Ok(turn)) = timeout(WAIT, Arc::clone(&self.turns).acquire_owned()).await else {
            return Err(Failure::Refused("all connections are in use".to_owned()));
        };
        let connection = loop {
            let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
            match idle {
                Some(connection) if connection.is_closed() => {}
                Some(connection) => break connection,
                None => break self.connector.connect().await?,
            }
        };
        Ok(Lease { connection, idle: Arc::clone(&self.idle), _turn: turn })
    }
}

/// A connection in use. Dropped, it is closed, and what it has begun is undone by the server: only who has seen the end of that
/// releases it for others.
pub(super) struct Lease {
    connection: Connection,
    idle: Arc<Mutex<Vec<Connection>>>,
    _turn: OwnedSemaphorePermit,
}

impl Lease {
    /// Gives it back, with no transaction open and no lock held.
    pub(super) fn release(self) {
        if !self.connection.is_closed() {
            self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(self.connection);
        }
    }
}

impl Deref for Lease {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        &self.connection
    }
}

impl DerefMut for Lease {
    fn deref_mut(&mut self) -> &mut Connection {
        &mut self.connection
    }
}
