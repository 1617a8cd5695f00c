//! Log lines: to standard error, as text or as JSON.
//!
//! What is logged holds no tokens (query strings and headers are never logged) and no document content. Records of
//! the `log` facade are not taken in, because the WebSocket library writes message contents to it.

use std::backtrace::Backtrace;
use std::io;
use std::panic;

use quire_persistence::engines;
use tracing::Subscriber;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::{Layer as _, Registry, fmt};

use crate::config::{Config, LogFormat};

/// Starts logging for this process and sends panics there as well. Only the first call in a process has an effect.
pub(crate) fn start(config: &Config) {
    let lines = fmt::layer().with_writer(io::stderr);
    let subscriber: Box<dyn Subscriber + Send + Sync> = match config.log_format {
        LogFormat::Text => {
            Box::new(Registry::default().with(lines.with_ansi(false).with_filter(config.log.clone())))
        }
        LogFormat::Json => Box::new(
            Registry::default().with(lines.json().flatten_event(true).with_filter(config.log.clone())),
        ),
    };
    if tracing::subscriber::set_global_default(subscriber).is_ok() {
        panic::set_hook(Box::new(log_panic));
    }
}

/// Logs a panic by its place. Its message stays out, since it may quote what a client sent.
fn log_panic(panic: &panic::PanicHookInfo<'_>) {
    let place = panic.location().map_or_else(|| "an unknown place".to_owned(), ToString::to_string);
    if engines::panic_is_contained() {
        // It becomes an error, which is logged or told by whoever called the engine.
        tracing::debug!(%place, "a storage engine panicked");
        return;
    }
    let thread = std::thread::current();
    tracing::error!(
        %place,
        thread = thread.name().unwrap_or("unnamed"),
        backtrace = %Backtrace::capture(),
        "panicked: this is a fault of the server, please report it"
    );
}
