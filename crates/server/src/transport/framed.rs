//! The WebSocket protocol over a stream, for one task that reads and writes.
//!
//! The library's state machine calls a blocking stream, and asks for what would block again later. Here it is given the task's stream
//! for the time of one call, with the waker of that call. (Its usual async wrapper keeps two wakers of its own beside each
//! connection, which every event passes through, for reading and writing by different tasks.)

use std::io::{self, Read, Write};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_tungstenite::tungstenite::error::Error;
use tokio_tungstenite::tungstenite::protocol::{Message, WebSocketContext};

/// A WebSocket whose handshake is done. Each call replaces the waker of the one before it, so all are to be given the same.
#[derive(Debug)]
pub(super) struct Framed<T> {
    io: T,
    protocol: WebSocketContext,
    /// Something is to be flushed before more is written.
    is_full: bool,
    /// Nothing more will be read.
    is_over: bool,
}

/// A stream during one call.
struct Call<'a, 'b, T> {
    io: &'a mut T,
    cx: &'a mut Context<'b>,
}

impl<T: AsyncRead + AsyncWrite + Unpin> Framed<T> {
    pub(super) fn new(io: T, protocol: WebSocketContext) -> Self {
        Self { io, protocol, is_full: false, is_over: false }
    }

    /// The stream below.
    pub(super) fn io(&mut self) -> &mut T {
        &mut self.io
    }

    /// The next message; `None` after the end, be it in good order or by an error. Has pings answered.
    pub(super) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Message, Error>>> {
        if self.is_over {
            return Poll::Ready(None);
        }
        let read = self.protocol.read(&mut Call { io: &mut self.io, cx });
        Poll::Ready(match ready!(unless_it_blocks(read)) {
            Ok(message) => Some(Ok(message)),
            Err(error) => {
                self.is_over = true;
                let in_order = matches!(error, Error::ConnectionClosed | Error::AlreadyClosed);
                (!in_order).then_some(Err(error))
            }
        })
    }

    /// Waits until [`Self::put`] may be called.
    pub(super) fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        if self.is_full { self.poll_flush(cx) } else { Poll::Ready(Ok(())) }
    }

    /// Takes a message, which waits in a buffer until that is large enough or flushed.
    pub(super) fn put(&mut self, cx: &mut Context<'_>, message: Message) -> Result<(), Error> {
        match unless_it_blocks(self.protocol.write(&mut Call { io: &mut self.io, cx }, message)) {
            Poll::Ready(put) => put,
            Poll::Pending => {
                // It is in the buffer, which is as large as it is to be.
                self.is_full = true;
                Ok(())
            }
        }
    }

    /// Hands everything to the operating system.
    pub(super) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        let flushed = ready!(unless_it_blocks(self.protocol.flush(&mut Call { io: &mut self.io, cx })));
        self.is_full = false;
        Poll::Ready(match flushed {
            // The last of it was the end of the closing handshake.
            Err(Error::ConnectionClosed) => Ok(()),
            flushed => flushed,
        })
    }
}

fn unless_it_blocks<R>(result: Result<R, Error>) -> Poll<Result<R, Error>> {
    match result {
        Err(Error::Io(error)) if error.kind() == io::ErrorKind::WouldBlock => Poll::Pending,
        result => Poll::Ready(result),
    }
}

fn or_block<R>(poll: Poll<io::Result<R>>) -> io::Result<R> {
    match poll {
        Poll::Ready(result) => result,
        Poll::Pending => Err(io::ErrorKind::WouldBlock.into()),
    }
}

impl<T: AsyncRead + Unpin> Read for Call<'_, '_, T> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let mut buf = ReadBuf::new(buf);
        or_block(Pin::new(&mut *self.io).poll_read(self.cx, &mut buf))?;
        Ok(buf.filled().len())
    }
}

impl<T: AsyncWrite + Unpin> Write for Call<'_, '_, T> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        or_block(Pin::new(&mut *self.io).poll_write(self.cx, buf))
    }

    fn flush(&mut self) -> io::Result<()> {
        or_block(Pin::new(&mut *self.io).poll_flush(self.cx))
    }
}
