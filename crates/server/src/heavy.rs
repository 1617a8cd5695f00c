//! Work that keeps a thread for long.

use tokio::runtime::{Handle, RuntimeFlavor};

/// Work on so many bytes takes long enough (about a millisecond and more) that the runtime should know of it: the other tasks of this
/// thread then move to another one.
const HEAVY_BYTES: usize = 512 << 10;

/// Does some work on so many bytes, without holding up what else the runtime would do on this thread. Call within a runtime.
pub(crate) fn work_on<T>(bytes: usize, work: impl FnOnce() -> T) -> T {
    if bytes >= HEAVY_BYTES && Handle::current().runtime_flavor() == RuntimeFlavor::MultiThread {
        tokio::task::block_in_place(work)
    } else {
        work()
    }
}
