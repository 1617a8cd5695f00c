//! Real Redis servers for tests, and a way to them that can be cut.
//!
//! Each test has its own servers, on free ports of the loopback interface, with nothing on the disk but their log. They end with
//! the test. `redis-server` must be installed (on Debian: `apt-get install redis-server`).

mod cluster;
mod proxy;
mod server;

pub use cluster::RedisCluster;
pub use proxy::Proxy;
pub use server::RedisServer;

use std::net::TcpListener;
use std::time::{Duration, Instant};

/// How long servers get for what they do at once, on a machine that has other work.
const PATIENCE: Duration = Duration::from_secs(20);

/// A port that nobody listens on.
fn free_port() -> u16 {
    TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port()
}

/// Waits until it gives something.
fn wait_for<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "{what} has not come within {PATIENCE:?}");
        std::thread::sleep(Duration::from_millis(5));
    }
}
