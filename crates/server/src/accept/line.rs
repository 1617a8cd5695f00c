//! A byte stream that knows when bytes last moved on it, and does not wait for ever to be read.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, Sleep, sleep};

use super::Wire;

/// A connection to a peer. A write fails with [`io::ErrorKind::TimedOut`] once the peer has taken no byte for the whole
/// limit although there was one to take. Reading has no limit here: silence means different things to HTTP and to an editor.
#[derive(Debug)]
pub(crate) struct Line<T> {
    stream: T,
    limit: Duration,
    activity: Arc<Activity>,
    /// Runs while a write waits. Boxed, since most connections never need one.
    waiting: Option<Pin<Box<Sleep>>>,
    /// What allows this connection to be open, for as long as it is.
    _slot: Option<OwnedSemaphorePermit>,
}

impl<T> Line<T> {
    pub(crate) fn new(stream: T, limit: Duration, slot: Option<OwnedSemaphorePermit>) -> Self {
        Self { stream, limit, activity: Arc::new(Activity::new()), waiting: None, _slot: slot }
    }

    /// When bytes last moved, for those who do not hold the stream itself.
    pub(crate) fn activity(&self) -> &Arc<Activity> {
        &self.activity
    }
}

impl Line<Wire> {
    /// Has the present runtime tell from now on when there is something to read or to write. Whoever waited for that is to ask again. If it
    /// fails, the former one does.
    pub(crate) fn move_here(&mut self) -> io::Result<()> {
        self.waiting = None;
        self.stream.move_here()
    }
}

/// When bytes last moved on a [`Line`]; at first, when it was made. To the millisecond.
#[derive(Debug)]
pub(crate) struct Activity {
    made: Instant,
    heard: AtomicU64,
    moved: AtomicU64,
}

impl Activity {
    fn new() -> Self {
        Self { made: Instant::now(), heard: AtomicU64::new(0), moved: AtomicU64::new(0) }
    }

    /// When the last byte came in.
    pub(crate) fn heard(&self) -> Instant {
        self.made + Duration::from_millis(self.heard.load(Ordering::Relaxed))
    }

    /// When the last byte came in or went out.
    pub(crate) fn moved(&self) -> Instant {
        self.made + Duration::from_millis(self.moved.load(Ordering::Relaxed))
    }

    fn note(&self, clocks: &[&AtomicU64]) {
        let now = u64::try_from(self.made.elapsed().as_millis()).unwrap_or(u64::MAX);
        for clock in clocks {
            clock.store(now, Ordering::Relaxed);
        }
    }
}

impl<T: AsyncWrite + Unpin> Line<T> {
    fn poll_progress(
        &mut self,
        cx: &mut Context<'_>,
        write: impl FnOnce(Pin<&mut T>, &mut Context<'_>) -> Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        if let Poll::Ready(result) = write(Pin::new(&mut self.stream), cx) {
            self.waiting = None;
            self.activity.note(&[&self.activity.moved]);
            return Poll::Ready(result);
        }
        let limit = self.limit;
        ready!(self.waiting.get_or_insert_with(|| Box::pin(sleep(limit))).as_mut().poll(cx));
        Poll::Ready(Err(io::Error::from(io::ErrorKind::TimedOut)))
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Line<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buf))?;
        if buf.filled().len() > before {
            self.activity.note(&[&self.activity.heard, &self.activity.moved]);
        }
        Poll::Ready(Ok(()))
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Line<T> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_progress(cx, |stream, cx| stream.poll_write(cx, buf))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.poll_progress(cx, |stream, cx| stream.poll_write_vectored(cx, bufs))
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};
    use tokio::time::advance;

    use super::*;

    const LIMIT: Duration = Duration::from_mins(1);

    #[tokio::test(start_paused = true)]
    async fn a_peer_that_takes_nothing_ends_the_write() {
        let (near, _far) = duplex(4);
        let start = Instant::now();
        let error = Line::new(near, LIMIT, None).write_all(&[0; 8]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert_eq!(start.elapsed().as_secs(), LIMIT.as_secs());
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_peer_is_waited_for() {
        let (near, mut far) = duplex(4);
        let mut line = Line::new(near, LIMIT, None);
        let writing = tokio::spawn(async move { line.write_all(&[0; 40]).await });
        for _ in 0..10 {
            sleep(LIMIT * 9 / 10).await;
            far.read_exact(&mut [0; 4]).await.unwrap();
        }
        writing.await.unwrap().unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn bytes_in_and_out_are_noticed_and_the_end_is_not() {
        let (near, mut far) = duplex(4);
        let mut line = Line::new(near, LIMIT, None);
        let activity = Arc::clone(line.activity());
        advance(LIMIT).await;
        far.write_all(&[0]).await.unwrap();
        line.read_exact(&mut [0]).await.unwrap();
        let heard = Instant::now();
        assert_eq!((activity.heard(), activity.moved()), (heard, heard));
        advance(LIMIT).await;
        line.write_all(&[0]).await.unwrap();
        let moved = Instant::now();
        assert_eq!((activity.heard(), activity.moved()), (heard, moved));
        drop(far);
        advance(LIMIT).await;
        assert_eq!(line.read(&mut [0]).await.unwrap(), 0);
        assert_eq!((activity.heard(), activity.moved()), (heard, moved));
    }
}
