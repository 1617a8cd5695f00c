//! The binary `quire`.

use std::process::ExitCode;

/// glibc keeps the memory of documents that have gone: its arenas shrink at their ends only, where something small is always alive.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    quire_server::cli::main()
}
