//! Writing past the library for WebSockets.
//!
//! The library copies what is written into a buffer, which a connection then keeps at the size of the largest it has had. What
//! is large is written from where it is instead, and whatever the library writes meanwhile (the answer to a ping) waits until it has
//! passed, so that no frame gets into the middle of another.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::buf::Chain;
use bytes::{Buf as _, Bytes};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_util::io::poll_write_buf;

/// A stream that is written past. Reading passes through.
#[derive(Debug)]
pub(super) struct Bypass<T> {
    io: T,
    /// What is written before anything else: a frame's header and its payload. In a box, which most do not need.
    first: Option<Box<Chain<Bytes, Bytes>>>,
}

impl<T: AsyncWrite + Unpin> Bypass<T> {
    pub(super) fn new(io: T) -> Self {
        Self { io, first: None }
    }

    /// The stream below.
    pub(super) fn inner(&mut self) -> &mut T {
        &mut self.io
    }

    /// Has this frame written with the next flush, before whatever is written later. What was to be written before it must
    /// have been flushed.
    pub(super) fn put(&mut self, header: Bytes, payload: Bytes) {
        debug_assert!(self.first.is_none(), "the one before it has not been flushed");
        self.first = Some(Box::new(header.chain(payload)));
    }

    fn poll_first(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while let Some(first) = &mut self.first
            && first.has_remaining()
        {
            if ready!(poll_write_buf(Pin::new(&mut self.io), cx, &mut **first))? == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
        }
        self.first = None;
        Poll::Ready(Ok(()))
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Bypass<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(cx, buf)
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Bypass<T> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        ready!(self.poll_first(cx))?;
        Pin::new(&mut self.io).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_first(cx))?;
        Pin::new(&mut self.io).poll_flush(cx)
    }

    /// What has not been written is not written any more.
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};

    use super::*;

    #[tokio::test]
    async fn nothing_gets_into_the_middle() {
        let (near, mut far) = duplex(4);
        let mut bypass = Bypass::new(near);
        bypass.put(Bytes::from_static(b"ab"), Bytes::from_static(b"cdefgh"));
        // There is no room for all of it, and so none for the other.
        assert!(bypass.flush().now_or_never().is_none());
        assert!(bypass.write(b"x").now_or_never().is_none());
        let mut read = [0; 4];
        far.read_exact(&mut read).await.unwrap();
        assert_eq!(&read, b"abcd");
        assert!(bypass.write(b"x").now_or_never().is_none());
        far.read_exact(&mut read).await.unwrap();
        assert_eq!(&read, b"efgh");
        bypass.write_all(b"x").await.unwrap();
        bypass.put(Bytes::from_static(b"y"), Bytes::new());
        bypass.flush().await.unwrap();
        assert!(bypass.first.is_none());
        far.read_exact(&mut read[..2]).await.unwrap();
        assert_eq!(&read[..2], b"xy");
    }
}
