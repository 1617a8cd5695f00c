//! Waiting for what hardly ever happens, beside something that happens all the time.
//!
//! A task that waits for several things asks all of them whenever one has woken it. For a busy one that is costly where asking
//! takes a lock that all tasks share (a cancellation token, a watch) or sets a timer anew. [`Seldom`] asks only if it was that
//! thing which woke the task; [`Alarm`] leaves a timer where it is unless it would go off too late.

use std::fmt;
use std::future::{pending, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker, ready};

use futures_util::task::AtomicWaker;
use tokio::time::{Instant, Sleep, sleep_until};

/// A future that is polled at first, and from then on only when it was woken itself.
pub(crate) struct Seldom<T = ()> {
    future: Pin<Box<dyn Future<Output = T> + Send>>,
    bell: Arc<Bell>,
}

/// The waker of the future.
struct Bell {
    rung: AtomicBool,
    task: AtomicWaker,
}

impl<T> Seldom<T> {
    pub(crate) fn new(future: impl Future<Output = T> + Send + 'static) -> Self {
        let bell = Bell { rung: AtomicBool::new(true), task: AtomicWaker::new() };
        Self { future: Box::pin(future), bell: Arc::new(bell) }
    }
}

impl<T> Future for Seldom<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        // Before looking: who rings after the look wakes this task.
        self.bell.task.register(cx.waker());
        if !self.bell.rung.load(Ordering::Acquire) {
            return Poll::Pending;
        }
        self.bell.rung.store(false, Ordering::Release);
        let waker = Waker::from(Arc::clone(&self.bell));
        self.future.as_mut().poll(&mut Context::from_waker(&waker))
    }
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.rung.store(true, Ordering::Release);
        self.task.wake();
    }
}

impl<T> fmt::Debug for Seldom<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Seldom").finish_non_exhaustive()
    }
}

/// A timer for a time that is often put off. Takes memory from its first use on.
#[derive(Debug, Default)]
pub(crate) struct Alarm(Option<Pin<Box<Sleep>>>);

impl Alarm {
    /// Waits until this time, for ever without one. Cancel safe.
    pub(crate) async fn until(&mut self, due: Option<Instant>) {
        let Some(due) = due else { return pending().await };
        let sleep = self.0.get_or_insert_with(|| Box::pin(sleep_until(due)));
        if sleep.is_elapsed() || due < sleep.deadline() {
            sleep.as_mut().reset(due);
        }
        poll_fn(|cx| {
            loop {
                ready!(sleep.as_mut().poll(cx));
                if due <= sleep.deadline() {
                    return Poll::Ready(());
                }
                // It was set for an earlier time, before that was put off.
                sleep.as_mut().reset(due);
            }
        })
        .await;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;
    use std::time::Duration;

    use futures_util::FutureExt as _;
    use tokio::sync::Notify;

    use super::*;

    #[tokio::test]
    async fn it_is_asked_when_it_was_woken_and_at_no_other_time() {
        let (notify, asked) = (Arc::new(Notify::new()), Arc::new(AtomicUsize::new(0)));
        let mut waiting = Box::pin({
            let notify = Arc::clone(&notify);
            async move { notify.notified().await }
        });
        let counting = {
            let asked = Arc::clone(&asked);
            poll_fn(move |cx| {
                asked.fetch_add(1, Ordering::Relaxed);
                waiting.as_mut().poll(cx)
            })
        };
        let mut seldom = Seldom::new(counting);
        for _ in 0..10 {
            assert_eq!((&mut seldom).now_or_never(), None);
        }
        assert_eq!(asked.load(Ordering::Relaxed), 1);
        let waiting = tokio::spawn(seldom);
        notify.notify_one();
        waiting.await.unwrap();
        assert_eq!(asked.load(Ordering::Relaxed), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn an_alarm_goes_off_at_the_last_time_it_was_given() {
        let (start, mut alarm) = (Instant::now(), Alarm::default());
        let after = |seconds| start + Duration::from_secs(seconds);
        assert_eq!(alarm.until(None).now_or_never(), None);
        // Put off, brought forward, and put off again.
        for seconds in [10, 20, 5, 30] {
            assert_eq!(alarm.until(Some(after(seconds))).now_or_never(), None);
        }
        alarm.until(Some(after(30))).await;
        assert_eq!(start.elapsed().as_secs(), 30);
        alarm.until(Some(after(30))).await;
        assert_eq!(start.elapsed().as_secs(), 30);
        alarm.until(Some(after(40))).await;
        assert_eq!(start.elapsed().as_secs(), 40);
    }
}
