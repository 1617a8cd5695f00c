//! `quire serve`: runs the server until it is told to stop.

use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use tokio::runtime::{self, Runtime};
use tracing::{error, warn};

use super::check_config;
use crate::config::{Config, Raw};
use crate::server::{Server, Shutdown};
use crate::telemetry;

/// How long the process waits, after everything is closed and stored, for threads that hang in a system call.
const LINGER: Duration = Duration::from_millis(200);

/// Runs the server. Exit code 0 after a shutdown that was asked for, 1 if it could not start.
pub(super) fn run(raw: &Raw) -> ExitCode {
    let config = match Config::resolve(raw) {
        Ok(config) => config,
        Err(faults) => return check_config::report(&faults),
    };
    telemetry::start(&config);
    for warning in raw.warnings() {
        warn!("{warning}");
    }
    let runtime = match runtime() {
        Ok(runtime) => runtime,
        Err(error) => {
            error!(%error, "the runtime cannot be started");
            return ExitCode::FAILURE;
        }
    };
    let code = runtime.block_on(serve(config));
    runtime.shutdown_timeout(LINGER);
    code
}

fn runtime() -> io::Result<Runtime> {
    runtime::Builder::new_multi_thread().enable_all().thread_name("quire").build()
}

async fn serve(config: Config) -> ExitCode {
    // Before anything is opened: a signal that comes while the store recovers is not to kill the process.
    let shutdown = match Shutdown::on_signals() {
        Ok(shutdown) => shutdown,
        Err(error) => {
            error!(%error, "signals cannot be received");
            return ExitCode::FAILURE;
        }
    };
    let server = match Server::bind(config).await {
        Ok(server) => server,
        Err(error) => {
            error!(%error, "the server cannot be started");
            return ExitCode::FAILURE;
        }
    };
    if let Err(error) = announce(server.scheme(), server.address()) {
        // Whoever started the server may have closed its standard output; that is no reason not to serve.
        warn!(%error, "standard output cannot be written");
    }
    server.run(shutdown).await;
    ExitCode::SUCCESS
}

/// The one line on standard output, written when connections are accepted.
fn announce(scheme: &str, address: SocketAddr) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    writeln!(stdout, "quire listens on {scheme}://{address}")?;
    stdout.flush()
}
