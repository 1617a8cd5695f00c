//! A way to a server that can be cut, stalled and slowed down.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

/// Passes bytes between whoever connects to it and a server on the loopback interface.
#[derive(Debug)]
pub struct Proxy {
    port: u16,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug)]
struct State {
    way: Way,
    delay: Duration,
    open: Vec<TcpStream>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// Bytes pass.
    Open,
    /// Nothing passes, and nobody is told: neither bytes nor the end of a connection. New connections are taken, and hear nothing.
    Stalled,
    /// New connections end at once.
    Refused,
    /// Everything has ended.
    Gone,
}

impl Proxy {
    /// A way to a port.
    pub fn to(server: u16) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let state = State { way: Way::Open, delay: Duration::ZERO, open: Vec::new() };
        let shared = Arc::new(Shared { state: Mutex::new(state), changed: Condvar::new() });
        let accepting = Arc::clone(&shared);
        std::thread::spawn(move || accepting.accept(&listener, server));
        Self { port, shared }
    }

    /// Where it listens.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Its URL.
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Ends all connections. New ones are passed on.
    pub fn cut(&self) {
        self.shared.set(Way::Open, true);
    }

    /// Ends all connections, and new ones at once.
    pub fn refuse(&self) {
        self.shared.set(Way::Refused, true);
    }

    /// From now on nothing passes, and nobody is told.
    pub fn stall(&self) {
        self.shared.set(Way::Stalled, false);
    }

    /// Everything passes again; what has stalled does, too.
    pub fn open(&self) {
        self.shared.set(Way::Open, false);
    }

    /// Every piece takes so much longer, either way.
    pub fn delay(&self, delay: Duration) {
        self.shared.state().delay = delay;
    }

    /// How many connections are open.
    pub fn connections(&self) -> usize {
        let mut state = self.shared.state();
        state.open.retain(|stream| stream.peer_addr().is_ok());
        state.open.len() / 2
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.set(Way::Gone, true);
        // The one that accepts notices it with the next connection.
        let _ = TcpStream::connect(("127.0.0.1", self.port));
    }
}

impl Shared {
    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set(&self, way: Way, is_cut: bool) {
        let mut state = self.state();
        state.way = way;
        if is_cut {
            for stream in state.open.drain(..) {
                let _ = stream.shutdown(Shutdown::Both);
            }
        }
        self.changed.notify_all();
    }

    fn accept(self: Arc<Self>, listener: &TcpListener, server: u16) {
        while let Ok((client, _)) = listener.accept() {
            let mut state = self.state();
            match state.way {
                Way::Gone => return,
                Way::Refused => continue,
                Way::Open | Way::Stalled => {}
            }
            let Ok(server) = TcpStream::connect(("127.0.0.1", server)) else { continue };
            for stream in [&client, &server] {
                let _ = stream.set_nodelay(true);
                state.open.push(stream.try_clone().unwrap());
            }
            drop(state);
            for (from, to) in [(client.try_clone().unwrap(), server.try_clone().unwrap()), (server, client)] {
                let shared = Arc::clone(&self);
                std::thread::spawn(move || shared.pass(from, to));
            }
        }
    }

    /// Passes bytes one way until either end closes.
    fn pass(&self, mut from: TcpStream, mut to: TcpStream) {
        let mut piece = vec![0; 64 << 10];
        loop {
            let count = from.read(&mut piece).unwrap_or(0);
            let state = self.state();
            let delay = state.delay;
            drop(self.changed.wait_while(state, |state| state.way == Way::Stalled));
            std::thread::sleep(delay);
            if count == 0 || to.write_all(&piece[..count]).is_err() {
                break;
            }
        }
        let _ = to.shutdown(Shutdown::Both);
        let _ = from.shutdown(Shutdown::Both);
    }
}
