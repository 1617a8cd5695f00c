//! One connection, each of whose questions is answered within a time.

use std::collections::HashMap;
use std::future::Future;
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Config, Row, Statement};

use super::address::PostgresUrl;
use super::failure::Failure;
use super::tls::Tls;
use crate::error::EngineError;

/// How long a connection may take to be made.
const CONNECT: Duration = Duration::from_secs(10);

/// How long one question may take, the network included. Longer than what the server gives it, which says more.
const ANSWER: Duration = Duration::from_secs(40);

/// When nothing comes from a server for so long, it is asked for a sign of life, and given up after as long again.
const SILENCE: Duration = Duration::from_secs(10);

/// What every connection begins with. A transaction that stands still, because its process is paused or cut off, ends after ten
/// seconds and lets go of its locks; what is committed is flushed to the device, or to more than one where the server is set so.
const BEGINNING: &str = "\
    SET statement_timeout = '30s'; \
    SET lock_timeout = '10s'; \
    SET idle_in_transaction_session_timeout = '10s'; \
    SET tcp_keepalives_idle = 10; SET tcp_keepalives_interval = 5; SET tcp_keepalives_count = 3; \
    SET default_transaction_isolation = 'read committed'; \
    SET client_min_messages = 'warning'; \
    SELECT set_config('synchronous_commit', 'on', false) \
        WHERE current_setting('synchronous_commit') NOT IN ('on', 'remote_apply')";

/// Values for a statement.
pub(super) type Values<'a> = &'a [&'a (dyn ToSql + Sync)];

/// Makes connections.
#[derive(Clone)]
pub(super) struct Connector {
    config: Config,
    tls: Tls,
}

impl Connector {
    pub(super) fn new(url: &PostgresUrl) -> Result<Self, EngineError> {
        let tls =
            Tls::new(&url.trust).map_err(|error| Failure::Refused(error.to_string()).engine("use TLS"))?;
        let mut config = Config::clone(&url.config);
        config.keepalives_idle(SILENCE).keepalives_interval(SILENCE / 3).keepalives_retries(3);
        config.tcp_user_timeout(2 * SILENCE).connect_timeout(CONNECT);
        if config.get_application_name().is_none() {
            config.application_name("quire");
        }
        Ok(Self { config, tls })
    }

    pub(super) async fn connect(&self) -> Result<Connection, Failure> {
        let connecting = async {
            let (client, connection) = self.config.connect(self.tls.clone()).await?;
            // What ends it is told to whoever asks something.
            let driver = tokio::spawn(async move { drop(connection.await) });
            let connection = Connection { client, statements: HashMap::new(), driver };
            connection.client.batch_execute(BEGINNING).await?;
            Ok(connection)
        };
        timeout(CONNECT, connecting).await.unwrap_or(Err(Failure::Late))
    }
}

/// A connection. Dropping it ends what it was doing.
pub(super) struct Connection {
    pub(super) client: Client,
    statements: HashMap<&'static str, Statement>,
    driver: JoinHandle<()>,
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

impl Connection {
    /// Whether it is known to have ended.
    pub(super) fn is_closed(&self) -> bool {
        self.client.is_closed()
    }

    /// Returns when it has ended.
    pub(super) async fn ended(&mut self) {
        // Whether in order or not does not matter.
        let _ = (&mut self.driver).await;
    }

    /// The statement, which the server has read; asked for once on each connection.
    pub(super) async fn prepared(&mut self, sql: &'static str) -> Result<Statement, Failure> {
        if let Some(statement) = self.statements.get(sql) {
            return Ok(statement.clone());
        }
        let statement = within(self.client.prepare(sql)).await?;
        self.statements.insert(sql, statement.clone());
        Ok(statement)
    }

    pub(super) async fn rows(&mut self, sql: &'static str, values: Values<'_>) -> Result<Vec<Row>, Failure> {
        let statement = self.prepared(sql).await?;
        within(self.client.query(&statement, values)).await
    }

    pub(super) async fn row(
        &mut self,
        sql: &'static str,
        values: Values<'_>,
    ) -> Result<Option<Row>, Failure> {
        Ok(self.rows(sql, values).await?.pop())
    }

    /// Gives how many rows it concerned.
    pub(super) async fn execute(&mut self, sql: &'static str, values: Values<'_>) -> Result<u64, Failure> {
        let statement = self.prepared(sql).await?;
        within(self.client.execute(&statement, values)).await
    }

    /// Statements without values.
    pub(super) async fn batch(&self, sql: &str) -> Result<(), Failure> {
        within(self.client.batch_execute(sql)).await
    }
}

/// What the client gives, unless it takes too long.
pub(super) async fn within<T>(
    answer: impl Future<Output = Result<T, tokio_postgres::Error>>,
) -> Result<T, Failure> {
    match timeout(ANSWER, answer).await {
        Ok(answer) => Ok(answer?),
        Err(_) => Err(Failure::Late),
    }
}
