//! A connection, encrypted or not.

use std::io::{self, IoSlice};
use std::net;
use std::os::fd::AsFd as _;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;

/// A connection as it comes over the network.
#[derive(Debug)]
pub(crate) enum Wire {
    /// As it is.
    Plain(TcpStream),
    /// Encrypted. Boxed, since it is large and most connections stand behind a proxy that has decrypted them.
    Tls(Box<TlsStream<TcpStream>>),
}

impl Wire {
    /// Has the present runtime tell from now on when there is something to read or to write. Whoever waited for that is to ask again. If it
    /// fails, the former one does.
    pub(super) fn move_here(&mut self) -> io::Result<()> {
        let stream = match self {
            Self::Plain(stream) => stream,
            Self::Tls(tls) => tls.get_mut().0,
        };
        // It cannot be taken out of there, so a second handle of it takes its place.
        let again = net::TcpStream::from(stream.as_fd().try_clone_to_owned()?);
        *stream = TcpStream::from_std(again)?;
        Ok(())
    }
}

impl AsyncRead for Wire {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_read(cx, buf),
            Self::Tls(stream) => Pin::new(stream).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Wire {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write(cx, buf),
            Self::Tls(stream) => Pin::new(stream).poll_write(cx, buf),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
            Self::Tls(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Plain(stream) => stream.is_write_vectored(),
            Self::Tls(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Self::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    use super::*;
    use crate::shards::Shards;

    #[tokio::test]
    async fn what_comes_after_it_has_moved_is_told_by_the_runtime_it_has_moved_to() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (far, near) = tokio::join!(TcpStream::connect(listener.local_addr().unwrap()), listener.accept());
        let (mut far, mut near) = (far.unwrap(), Wire::Plain(near.unwrap().0));
        let mut word = [0; 3];
        far.write_all(b"one").await.unwrap();
        near.read_exact(&mut word).await.unwrap();
        // Here before it moves, and not read.
        far.write_all(b"two").await.unwrap();
        let shards = Shards::start(1).unwrap();
        let echo = shards.emptiest().runtime().spawn(async move {
            near.move_here().unwrap();
            let mut word = [0; 3];
            for _ in 0..2 {
                near.read_exact(&mut word).await.unwrap();
                near.write_all(&word).await.unwrap();
            }
        });
        far.read_exact(&mut word).await.unwrap();
        assert_eq!(&word, b"two");
        far.write_all(b"six").await.unwrap();
        far.read_exact(&mut word).await.unwrap();
        assert_eq!(&word, b"six");
        echo.await.unwrap();
        // It was one connection all the time, and has ended with the task.
        assert_eq!(far.read(&mut word).await.unwrap(), 0);
    }
}
