//! Reading more at a time than is asked for.
//!
//! The library for WebSockets reads into a buffer that it keeps for as long as the connection lives, and never more at a time than that
//! buffer has room for. So the buffer is small, and what the system has is taken here in one go; what is left over is kept only until it has
//! been asked for.

use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf as _, Bytes};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Read at a time.
const AT_A_TIME: usize = 8 << 10;

/// A stream that is read ahead. Writing passes through.
#[derive(Debug)]
pub(super) struct ReadAhead<T> {
    io: T,
    /// What has been read, and nobody has asked for yet. At most [`AT_A_TIME`].
    ahead: Bytes,
}

impl<T> ReadAhead<T> {
    pub(super) fn new(io: T) -> Self {
        Self { io, ahead: Bytes::new() }
    }

    /// The stream below.
    pub(super) fn inner(&mut self) -> &mut T {
        &mut self.io
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for ReadAhead<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let Self { io, ahead } = &mut *self;
        if ahead.is_empty() {
            let mut space = [MaybeUninit::uninit(); AT_A_TIME];
            let mut read = ReadBuf::uninit(&mut space);
            ready!(Pin::new(io).poll_read(cx, &mut read))?;
            let read = read.filled();
            let (now, later) = read.split_at(read.len().min(buf.remaining()));
            buf.put_slice(now);
            if !later.is_empty() {
                *ahead = Bytes::copy_from_slice(later);
            }
        } else {
            buf.put_slice(&ahead.split_to(ahead.len().min(buf.remaining())));
            if !ahead.has_remaining() {
                // Gives the memory back.
                *ahead = Bytes::new();
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for ReadAhead<T> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};

    use super::*;

    #[tokio::test]
    async fn everything_is_read_in_order_in_portions_of_any_size() {
        let (near, mut far) = duplex(3 * AT_A_TIME);
        let sent: Vec<u8> = (0..=250).cycle().take(3 * AT_A_TIME - 7).collect();
        far.write_all(&sent).await.unwrap();
        drop(far);
        let mut ahead = ReadAhead::new(near);
        let mut received = Vec::new();
        for size in [1, 2, 14, 256, AT_A_TIME + 1].into_iter().cycle() {
            let mut portion = vec![0; size];
            let length = ahead.read(&mut portion).await.unwrap();
            if length == 0 {
                break;
            }
            received.extend_from_slice(&portion[..length]);
        }
        assert_eq!(received, sent);
        assert_eq!(ahead.read(&mut [0]).await.unwrap(), 0);
    }

    #[tokio::test]
    async fn what_is_left_over_is_there_at_once_and_then_takes_no_memory() {
        let (near, mut far) = duplex(100);
        let mut ahead = ReadAhead::new(near);
        far.write_all(b"abc").await.unwrap();
        let mut portion = [0; 2];
        ahead.read_exact(&mut portion).await.unwrap();
        assert_eq!((&portion, &ahead.ahead[..]), (b"ab", &b"c"[..]));
        ahead.read_exact(&mut portion[..1]).await.unwrap();
        assert_eq!(&portion, b"cb");
        assert!(ahead.ahead.is_empty());
        ahead.write_all(b"d").await.unwrap();
        far.read_exact(&mut portion[..1]).await.unwrap();
        assert_eq!(&portion, b"db");
    }
}
