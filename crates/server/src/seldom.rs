//! Waiting for what hardly ever happens, beside something that happens all the time.
//!
//! A task that waits for several things asks all of them whenever one has woken it. For a busy one that is costly: most of them take a
//! lock that all tasks share (a cancellation token, a watch), or look at memory that nobody has touched for long (a timer).
//! A [`Bell`] is a waker that remembers whether it has rung, and what it was given to is asked only then; [`Seldom`] has one for a
//! future and a timer.

use std::fmt;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

use tokio::time::{Instant, Sleep, sleep_until};

/// A future and a timer that are polled at first, and from then on only when one of them has woken the task.
pub(crate) struct Seldom<'a, T = ()> {
    future: Pin<Box<dyn Future<Output = T> + Send + 'a>>,
    /// Takes memory from its first use on.
    timer: Option<Pin<Box<Sleep>>>,
    /// When the timer goes off, if it is set.
    set_for: Option<Instant>,
    bell: Bell,
}

/// What has happened.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Rare<T> {
    /// The future is ready. It must not be asked again.
    Happened(T),
    /// The time has come.
    Due,
}

/// Wakes the task that it hangs in, and remembers that it did.
#[derive(Debug)]
pub(crate) struct Bell {
    /// The task, as the rope knows it.
    task: Option<Waker>,
    rope: Arc<Rope>,
    /// The rope, for those who are to pull it.
    waker: Waker,
}

/// What others pull to ring a [`Bell`]: its waker.
///
/// No ring is lost. It says first that it has rung, then wakes the task that it knows, which it goes on knowing; the task makes itself known
/// first, then looks whether it has rung. So if a ring still woke the task that was known before, the one that has come in its place sees
/// that it rang. And while the task stays the same every ring wakes it, so that it need only look when it is awake.
#[derive(Debug)]
struct Rope {
    rung: AtomicBool,
    task: Mutex<Option<Waker>>,
}

impl<'a, T> Seldom<'a, T> {
    pub(crate) fn new(future: impl Future<Output = T> + Send + 'a) -> Self {
        Self { future: Box::pin(future), timer: None, set_for: None, bell: Bell::new() }
    }

    /// Asks the future, and whether this time has come. The time may be another one at each call.
    pub(crate) fn poll_until(&mut self, cx: &mut Context<'_>, due: Option<Instant>) -> Poll<Rare<T>> {
        // One that is set for an earlier time stays: when a time is put off again and again, it is set once in a while.
        if let Some(due) = due
            && self.set_for.is_none_or(|set_for| due < set_for)
        {
            self.set(due);
            self.bell.is_to_ring();
        }
        let Self { future, timer, set_for, bell } = self;
        bell.poll(cx, |cx| {
            if let Poll::Ready(happened) = future.as_mut().poll(cx) {
                return Poll::Ready(Rare::Happened(happened));
            }
            while let Some((timer, at)) = timer.as_mut().zip(*set_for)
                && timer.as_mut().poll(cx).is_ready()
            {
                *set_for = None;
                match due {
                    None => break,
                    Some(due) if due <= at => return Poll::Ready(Rare::Due),
                    Some(due) => {
                        timer.as_mut().reset(due);
                        *set_for = Some(due);
                    }
                }
            }
            Poll::Pending
        })
    }

    fn set(&mut self, due: Instant) {
        match &mut self.timer {
            Some(timer) => timer.as_mut().reset(due),
            none => *none = Some(Box::pin(sleep_until(due))),
        }
        self.set_for = Some(due);
    }
}

impl<T> Future for Seldom<'_, T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        match self.poll_until(cx, None) {
            Poll::Ready(Rare::Happened(happened)) => Poll::Ready(happened),
            // Nothing is due without a time.
            Poll::Ready(Rare::Due) | Poll::Pending => Poll::Pending,
        }
    }
}

impl Bell {
    /// One that has rung.
    pub(crate) fn new() -> Self {
        let rope = Arc::new(Rope { rung: AtomicBool::new(true), task: Mutex::default() });
        Self { task: None, waker: Waker::from(Arc::clone(&rope)), rope }
    }

    /// The waker that rings it, for something that is asked in any case. The task is woken by it.
    pub(crate) fn waker(&mut self, cx: &Context<'_>) -> &Waker {
        if !self.task.as_ref().is_some_and(|known| known.will_wake(cx.waker())) {
            let before = self.rope.lock().replace(cx.waker().clone());
            // Not under the lock: it may be the last of a task, with all that it holds.
            drop(before);
            self.task = Some(cx.waker().clone());
        }
        &self.waker
    }

    /// Asks, if it has rung since what was asked had nothing to give; who is asked is to ring it.
    pub(crate) fn poll<T>(
        &mut self,
        cx: &mut Context<'_>,
        ask: impl FnOnce(&mut Context<'_>) -> Poll<T>,
    ) -> Poll<T> {
        self.waker(cx);
        let Rope { rung, .. } = &*self.rope;
        if !(rung.load(Ordering::Acquire) && rung.swap(false, Ordering::AcqRel)) {
            return Poll::Pending;
        }
        let answer = ask(&mut Context::from_waker(&self.waker));
        if answer.is_ready() {
            // There may be more.
            self.is_to_ring();
        }
        answer
    }

    /// At the next time it has rung.
    fn is_to_ring(&self) {
        self.rope.rung.store(true, Ordering::Release);
    }
}

impl Rope {
    fn lock(&self) -> MutexGuard<'_, Option<Waker>> {
        self.task.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Wake for Rope {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.rung.store(true, Ordering::Release);
        let task = self.lock().clone();
        if let Some(task) = task {
            task.wake();
        }
    }
}

impl<T> fmt::Debug for Seldom<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Seldom").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::future::{pending, poll_fn};
    use std::sync::atomic::AtomicUsize;
    use std::time::Duration;

    use futures_util::FutureExt as _;
    use futures_util::task::noop_waker;
    use tokio::sync::Notify;
    use tokio::time::timeout;

    use super::*;

    /// Waits until it is notified, and counts how often it is asked.
    fn counting(notify: &Arc<Notify>, asked: &Arc<AtomicUsize>) -> impl Future<Output = ()> + Send + 'static {
        let (notify, asked) = (Arc::clone(notify), Arc::clone(asked));
        let mut waiting = Box::pin(async move { notify.notified().await });
        poll_fn(move |cx| {
            asked.fetch_add(1, Ordering::Relaxed);
            waiting.as_mut().poll(cx)
        })
    }

    async fn until<T>(seldom: &mut Seldom<'_, T>, due: Option<Instant>) -> Rare<T> {
        poll_fn(|cx| seldom.poll_until(cx, due)).await
    }

    #[tokio::test]
    async fn it_is_asked_when_it_was_woken_and_at_no_other_time() {
        let (notify, asked) = (Arc::new(Notify::new()), Arc::new(AtomicUsize::new(0)));
        let mut seldom = Seldom::new(counting(&notify, &asked));
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
    async fn a_time_that_is_put_off_again_and_again_asks_nothing() {
        let (start, asked) = (Instant::now(), Arc::new(AtomicUsize::new(0)));
        let mut seldom = Seldom::new(counting(&Arc::default(), &asked));
        for seconds in 10..20 {
            let due = Some(start + Duration::from_secs(seconds));
            assert_eq!(until(&mut seldom, due).now_or_never(), None);
        }
        assert_eq!(asked.load(Ordering::Relaxed), 1);
        assert_eq!(until(&mut seldom, None).now_or_never(), None);
        assert_eq!(asked.load(Ordering::Relaxed), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn it_goes_off_at_the_last_time_it_was_given() {
        let (start, mut seldom) = (Instant::now(), Seldom::new(pending::<()>()));
        let after = |seconds| Some(start + Duration::from_secs(seconds));
        assert_eq!(until(&mut seldom, None).now_or_never(), None);
        // Put off, brought forward, and put off again.
        for seconds in [10, 20, 5, 30] {
            assert_eq!(until(&mut seldom, after(seconds)).now_or_never(), None);
        }
        assert_eq!(until(&mut seldom, after(30)).await, Rare::Due);
        assert_eq!(start.elapsed().as_secs(), 30);
        // The same again, a past one, and one to come.
        for (seconds, at) in [(30, 30), (20, 30), (40, 40)] {
            assert_eq!(until(&mut seldom, after(seconds)).await, Rare::Due);
            assert_eq!(start.elapsed().as_secs(), at);
        }
        // Given up, while it was set.
        assert_eq!(until(&mut seldom, after(50)).now_or_never(), None);
        assert!(timeout(Duration::from_secs(20), until(&mut seldom, None)).await.is_err());
        assert_eq!(until(&mut seldom, after(60)).await, Rare::Due);
    }

    #[tokio::test(start_paused = true)]
    async fn the_future_is_noticed_beside_a_time_and_a_time_beside_the_future() {
        let (start, notify) = (Instant::now(), Arc::new(Notify::new()));
        let mut seldom = Seldom::new(counting(&notify, &Arc::default()));
        let soon = Some(start + Duration::from_secs(1));
        assert_eq!(until(&mut seldom, soon).await, Rare::Due);
        notify.notify_one();
        let late = Some(start + Duration::from_secs(2));
        assert_eq!(until(&mut seldom, late).await, Rare::Happened(()));
        assert_eq!(start.elapsed().as_secs(), 1);
    }

    #[test]
    fn every_ring_wakes_a_task_that_stays_the_same() {
        struct Count(AtomicUsize);
        impl Wake for Count {
            fn wake(self: Arc<Self>) {
                self.0.fetch_add(1, Ordering::Relaxed);
            }
        }
        let count = Arc::new(Count(AtomicUsize::new(0)));
        let waker = Waker::from(Arc::clone(&count));
        let (mut bell, mut asked) = (Bell::new(), 0);
        let mut pull = Waker::noop().clone();
        for round in 0..5 {
            let polled = bell.poll(&mut Context::from_waker(&waker), |cx| {
                asked += 1;
                pull = cx.waker().clone();
                Poll::<()>::Pending
            });
            assert!(polled.is_pending());
            assert_eq!((asked, count.0.load(Ordering::Relaxed)), (round + 1, round));
            pull.wake_by_ref();
        }
    }

    #[tokio::test]
    async fn the_task_that_asked_last_is_woken() {
        struct Count(AtomicUsize);
        impl Wake for Count {
            fn wake(self: Arc<Self>) {
                self.0.fetch_add(1, Ordering::Relaxed);
            }
        }
        let notify = Arc::new(Notify::new());
        let mut seldom = Seldom::new(counting(&notify, &Arc::default()));
        let tasks = [(); 2].map(|()| Arc::new(Count(AtomicUsize::new(0))));
        for task in &tasks {
            let waker = Waker::from(Arc::clone(task));
            assert!(seldom.poll_until(&mut Context::from_waker(&waker), None).is_pending());
        }
        notify.notify_waiters();
        assert_eq!(tasks.map(|task| task.0.load(Ordering::Relaxed)), [0, 1]);
        // One that rang for nobody is noticed by whoever asks next.
        let seldom = &mut seldom;
        assert!(seldom.poll_until(&mut Context::from_waker(&noop_waker()), None).is_ready());
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn no_ring_is_lost_between_threads() {
        let (there, back) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let playing = |takes: &Arc<Notify>, gives: &Arc<Notify>| {
            let (takes, gives) = (Arc::clone(takes), Arc::clone(gives));
            tokio::spawn(async move {
                for _ in 0..20_000 {
                    let mut seldom = Seldom::new(takes.notified());
                    // From another task's hand, as it were.
                    let _ = seldom.poll_until(&mut Context::from_waker(&noop_waker()), None).is_ready()
                        || matches!(until(&mut seldom, None).await, Rare::Happened(()));
                    gives.notify_one();
                }
            })
        };
        let (one, other) = (playing(&there, &back), playing(&back, &there));
        there.notify_one();
        timeout(Duration::from_mins(1), async { (one.await.unwrap(), other.await.unwrap()) }).await.unwrap();
    }
}
