//! A connection that HTTP is spoken on, and that can be taken away from it.
//!
//! What a library for HTTP keeps for a connection (buffers, a state machine, the service's future) is several times what an event
//! stream needs for hours, so the stream takes the connection and the rest goes.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::{Line, Wire};

/// A connection, held by several; whoever takes it has it alone. Then the others read its end.
#[derive(Clone, Debug)]
pub(crate) struct Held(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    line: Option<Line<Wire>>,
    /// Something was given to write, and no flush has ended since.
    is_unflushed: bool,
}

impl Held {
    pub(crate) fn new(line: Line<Wire>) -> Self {
        Self(Arc::new(Mutex::new(State { line: Some(line), is_unflushed: false })))
    }

    /// Takes the connection, if everything that was written before is on its way.
    pub(crate) fn take_line(&self) -> Option<Line<Wire>> {
        let mut state = self.lock();
        if state.is_unflushed { None } else { state.line.take() }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // What a panic leaves behind is a connection, which fails or does not.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(
        &self,
        write: impl FnOnce(Pin<&mut Line<Wire>>) -> Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        let mut state = self.lock();
        state.is_unflushed = true;
        match &mut state.line {
            Some(line) => write(Pin::new(line)),
            None => Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
        }
    }
}

impl AsyncRead for Held {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match &mut self.lock().line {
            Some(line) => Pin::new(line).poll_read(cx, buf),
            None => Poll::Ready(Ok(())),
        }
    }
}

impl AsyncWrite for Held {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.write(|line| line.poll_write(cx, buf))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.write(|line| line.poll_write_vectored(cx, bufs))
    }

    fn is_write_vectored(&self) -> bool {
        self.lock().line.as_ref().is_some_and(AsyncWrite::is_write_vectored)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut state = self.lock();
        let flushed = match &mut state.line {
            Some(line) => Pin::new(line).poll_flush(cx),
            None => Poll::Ready(Ok(())),
        };
        if flushed.is_ready() {
            state.is_unflushed = false;
        }
        flushed
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.lock().line {
            Some(line) => Pin::new(line).poll_shutdown(cx),
            None => Poll::Ready(Ok(())),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::{TcpListener, TcpStream};

    use super::*;

    #[tokio::test]
    async fn what_is_taken_is_written_to_by_nobody_else() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (far, near) = tokio::join!(TcpStream::connect(listener.local_addr().unwrap()), listener.accept());
        let (mut far, near) = (far.unwrap(), near.unwrap().0);
        let mut held = Held::new(Line::new(Wire::Plain(near), Duration::from_mins(1), None));
        held.write_all(b"a").await.unwrap();
        assert!(held.take_line().is_none(), "it is not flushed");
        held.flush().await.unwrap();
        let mut line = held.take_line().unwrap();
        assert!(held.take_line().is_none());
        assert!(held.write_all(b"b").await.is_err());
        assert_eq!(held.read(&mut [0]).await.unwrap(), 0);
        line.write_all(b"c").await.unwrap();
        drop(line);
        let mut read = String::new();
        far.read_to_string(&mut read).await.unwrap();
        assert_eq!(read, "ac");
    }
}
