//! A database handle that is opened anew after an error that it does not survive.
//!
//! redb and sled both refuse all further work after a failed write, for good reason: they no longer know what is in their
//! files. Opening the files again finds out, so a full disk or a passing fault does not need a restart of the process.

use std::any::Any;
use std::cell::Cell;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{PoisonError, RwLock};

use crate::error::EngineError;

/// Holds a database of type `D`, or nothing while it could not be opened again.
pub(super) struct Reopening<D> {
    engine: &'static str,
    open: Box<dyn Fn() -> Result<D, EngineError> + Send + Sync>,
    handle: RwLock<Handle<D>>,
}

struct Handle<D> {
    /// How often it has been opened: tells whether a failed call saw the handle that is here now.
    opened: u64,
    database: Option<D>,
}

/// How a call on the database failed.
#[derive(Debug)]
pub(super) struct Failure {
    /// What to tell the caller.
    pub(super) error: EngineError,
    /// Whether the handle is of no further use.
    pub(super) broken: bool,
}

impl<D> Reopening<D> {
    /// Opens it for the first time.
    pub(super) fn new(
        engine: &'static str,
        open: impl Fn() -> Result<D, EngineError> + Send + Sync + 'static,
    ) -> Result<Self, EngineError> {
        let open = Box::new(open);
        let database = Some(contained(engine, "open its files", &open)?);
        Ok(Self { engine, open, handle: RwLock::new(Handle { opened: 1, database }) })
    }

    /// Runs a call on the database, opened again before if it must be. A panic inside is an error like any other.
    pub(super) fn call<R>(
        &self,
        operation: &'static str,
        call: impl FnOnce(&D) -> Result<R, Failure>,
    ) -> Result<R, EngineError> {
        loop {
            let handle = self.handle.read().unwrap_or_else(PoisonError::into_inner);
            if let Some(database) = &handle.database {
                let opened = handle.opened;
                let failure = match contain(|| call(database)) {
                    Ok(Ok(answer)) => return Ok(answer),
                    Ok(Err(failure)) => failure,
                    Err(panic) => {
                        Failure { error: panicked(self.engine, operation, panic.as_ref()), broken: true }
                    }
                };
                drop(handle);
                if failure.broken {
                    self.close(opened);
                }
                return Err(failure.error);
            }
            drop(handle);
            self.reopen()?;
        }
    }

    /// Runs a call that needs the database for itself; all others wait meanwhile. Otherwise like [`Self::call`].
    pub(super) fn call_alone<R>(
        &self,
        operation: &'static str,
        call: impl FnOnce(&mut D) -> Result<R, Failure>,
    ) -> Result<R, EngineError> {
        self.call(operation, |_| Ok(()))?;
        let mut handle = self.handle.write().unwrap_or_else(PoisonError::into_inner);
        let Handle { opened, database } = &mut *handle;
        let opened = *opened;
        let Some(database) = database else {
            // Another call has failed in between.
            let message = "its files are closed".to_owned();
            return Err(EngineError::Failed { engine: self.engine, operation, message });
        };
        let failure = match contain(|| call(database)) {
            Ok(Ok(answer)) => return Ok(answer),
            Ok(Err(failure)) => failure,
            Err(panic) => Failure { error: panicked(self.engine, operation, panic.as_ref()), broken: true },
        };
        drop(handle);
        if failure.broken {
            self.close(opened);
        }
        Err(failure.error)
    }

    fn close(&self, opened: u64) {
        let mut handle = self.handle.write().unwrap_or_else(PoisonError::into_inner);
        if handle.opened == opened
            && let Some(database) = handle.database.take()
            && let Err(panic) = contain(|| drop(database))
        {
            tracing::warn!(engine = self.engine, panic = message(panic.as_ref()), "closing failed");
        }
    }

    fn reopen(&self) -> Result<(), EngineError> {
        let mut handle = self.handle.write().unwrap_or_else(PoisonError::into_inner);
        if handle.database.is_none() {
            handle.database = Some(contained(self.engine, "open its files again", &self.open)?);
            handle.opened += 1;
            tracing::info!(engine = self.engine, "the store's files were opened again after an error");
        }
        Ok(())
    }
}

impl<D> fmt::Debug for Reopening<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reopening").field("engine", &self.engine).finish_non_exhaustive()
    }
}

thread_local! {
    static CONTAINED: Cell<bool> = const { Cell::new(false) };
}

/// Whether a panic on this thread, now, would be one of an engine that becomes an [`EngineError`]: for panic hooks, which
/// need not report it.
pub fn panic_is_contained() -> bool {
    CONTAINED.get()
}

/// Calls an engine. The payload of a panic is the error.
fn contain<R>(call: impl FnOnce() -> R) -> std::thread::Result<R> {
    let before = CONTAINED.replace(true);
    let outcome = catch_unwind(AssertUnwindSafe(call));
    CONTAINED.set(before);
    outcome
}

/// Turns a panic into an error: damaged files make both engines panic when they are opened.
fn contained<R>(
    engine: &'static str,
    operation: &'static str,
    call: impl FnOnce() -> Result<R, EngineError>,
) -> Result<R, EngineError> {
    match contain(call) {
        Ok(result) => result,
        Err(panic) => Err(panicked(engine, operation, panic.as_ref())),
    }
}

fn panicked(engine: &'static str, operation: &'static str, panic: &(dyn Any + Send)) -> EngineError {
    EngineError::Failed {
        engine,
        operation,
        message: format!("it gave up ({}); its files may be damaged", message(panic)),
    }
}

fn message(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("without a message")
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    fn failure(broken: bool) -> Failure {
        let error = EngineError::Failed { engine: "test", operation: "work", message: "no".into() };
        Failure { error, broken }
    }

    /// Its databases are numbers: how often it was opened.
    fn counted() -> Reopening<u64> {
        let opened = Arc::new(AtomicU64::new(0));
        Reopening::new("test", move || Ok(opened.fetch_add(1, Ordering::Relaxed) + 1)).unwrap()
    }

    #[test]
    fn only_a_broken_handle_is_opened_again() {
        let counted = counted();
        counted.call("work", |_| Err::<(), _>(failure(false))).unwrap_err();
        assert_eq!(counted.call("work", |n| Ok(*n)).unwrap(), 1);
        counted.call("work", |_| Err::<(), _>(failure(true))).unwrap_err();
        assert_eq!(counted.call("work", |n| Ok(*n)).unwrap(), 2);
    }

    #[test]
    fn a_panic_is_an_error_and_breaks_the_handle() {
        let counted = counted();
        assert!(!panic_is_contained());
        let inside = counted.call("work", |_| Ok(panic_is_contained())).unwrap();
        assert!(inside && !panic_is_contained());
        let error = counted.call::<()>("work", |_| panic!("oh {}", 1)).unwrap_err();
        assert!(!panic_is_contained());
        assert!(error.to_string().contains("test could not work: it gave up (oh 1)"), "{error}");
        assert_eq!(counted.call("work", |n| Ok(*n)).unwrap(), 2);
        let error = Reopening::<()>::new("test", || panic!("bad files")).unwrap_err();
        assert!(error.to_string().contains("bad files"), "{error}");
    }

    #[test]
    fn while_it_cannot_be_opened_the_reason_is_the_answer() {
        let opened = AtomicU64::new(0);
        let reopening = Reopening::new("test", move || match opened.fetch_add(1, Ordering::Relaxed) {
            1 => Err(failure(true).error),
            n => Ok(n),
        })
        .unwrap();
        reopening.call("work", |_| Err::<(), _>(failure(true))).unwrap_err();
        reopening.call("work", |_| Ok(())).unwrap_err();
        assert_eq!(reopening.call("work", |n| Ok(*n)).unwrap(), 2);
    }

    #[test]
    fn a_call_alone_fails_like_any_other() {
        let counted = counted();
        assert_eq!(counted.call_alone("work", |n| Ok(std::mem::replace(n, 11))).unwrap(), 1);
        assert_eq!(counted.call("work", |n| Ok(*n)).unwrap(), 11);
        counted.call_alone::<()>("work", |_| panic!("oh")).unwrap_err();
        assert_eq!(counted.call_alone("work", |n| Ok(*n)).unwrap(), 2);
        counted.call_alone::<()>("work", |_| Err(failure(true))).unwrap_err();
        assert_eq!(counted.call("work", |n| Ok(*n)).unwrap(), 3);
    }

    #[test]
    fn a_late_failure_does_not_close_a_fresh_handle() {
        let counted = counted();
        counted.close(1);
        counted.reopen().unwrap();
        counted.close(1);
        assert_eq!(counted.call("work", |n| Ok(*n)).unwrap(), 2);
    }
}
