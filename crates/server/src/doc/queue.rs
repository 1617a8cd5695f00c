//! A queue from many senders to one receiver that takes hardly any memory while it is empty. (tokio's own keeps room for 32
//! elements, which for each of many idle documents is more than all the rest.)

use std::collections::VecDeque;
use std::future::poll_fn;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

/// The sending side.
#[derive(Debug)]
pub(crate) struct Sender<T>(Arc<Mutex<State<T>>>);

/// The receiving side. When it is dropped nothing can be sent any more, and what waits is dropped.
#[derive(Debug)]
pub(crate) struct Receiver<T>(Arc<Mutex<State<T>>>);

#[derive(Debug)]
struct State<T> {
    waiting: VecDeque<T>,
    /// The receiver, if it has found nothing.
    receiver: Option<Waker>,
    closed: bool,
}

/// A queue.
pub(crate) fn queue<T>() -> (Sender<T>, Receiver<T>) {
    let state = State { waiting: VecDeque::new(), receiver: None, closed: false };
    let state = Arc::new(Mutex::new(state));
    (Sender(Arc::clone(&state)), Receiver(state))
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T> Sender<T> {
    /// Adds an element; gives it back if nobody will receive it.
    pub(crate) fn send(&self, element: T) -> Result<(), T> {
        let receiver = {
            let mut state = lock(&self.0);
            if state.closed {
                return Err(element);
            }
            if state.waiting.is_empty() {
                // Mostly it stays at one.
                state.waiting.reserve_exact(1);
            }
            state.waiting.push_back(element);
            state.receiver.take()
        };
        if let Some(receiver) = receiver {
            receiver.wake();
        }
        Ok(())
    }
}

impl<T> Receiver<T> {
    /// Waits for the next element, for ever if there are no senders. Cancel safe.
    pub(crate) async fn recv(&mut self) -> T {
        poll_fn(|cx| {
            let mut state = lock(&self.0);
            match state.next() {
                Some(element) => Poll::Ready(element),
                None => state.wait(cx),
            }
        })
        .await
    }

    /// Waits until an element waits. It may then be received.
    pub(crate) fn poll_waiting(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let mut state = lock(&self.0);
        if state.waiting.is_empty() { state.wait(cx) } else { Poll::Ready(()) }
    }

    /// The next element, if one waits.
    pub(crate) fn try_recv(&mut self) -> Option<T> {
        lock(&self.0).next()
    }

    /// How many wait.
    pub(crate) fn len(&self) -> usize {
        lock(&self.0).waiting.len()
    }

    /// Whether none waits.
    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Nothing can be sent from now on; what waits can still be received.
    pub(crate) fn close(&mut self) {
        lock(&self.0).closed = true;
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        let waiting = {
            let mut state = lock(&self.0);
            state.closed = true;
            std::mem::take(&mut state.waiting)
        };
        // Elements may hold senders: not under the lock.
        drop(waiting);
    }
}

impl<T> State<T> {
    /// The receiver is woken by the next element.
    fn wait<W>(&mut self, cx: &mut Context<'_>) -> Poll<W> {
        match &mut self.receiver {
            Some(known) => known.clone_from(cx.waker()),
            none => *none = Some(cx.waker().clone()),
        }
        Poll::Pending
    }

    fn next(&mut self) -> Option<T> {
        let next = self.waiting.pop_front();
        if self.waiting.is_empty() {
            self.waiting = VecDeque::new();
        }
        next
    }
}

/// A poisoned lock is taken as it is: nothing that can panic runs while the state is half changed.
fn lock<T>(state: &Mutex<State<T>>) -> MutexGuard<'_, State<T>> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_sent_is_received_in_order() {
        let (sender, mut receiver) = queue();
        let receiving = tokio::spawn(async move {
            let mut received = Vec::new();
            while received.len() < 1000 {
                received.push(receiver.recv().await);
            }
            received
        });
        for number in 0..1000 {
            sender.send(number).unwrap();
            if number % 7 == 0 {
                tokio::task::yield_now().await;
            }
        }
        assert_eq!(receiving.await.unwrap(), (0..1000).collect::<Vec<_>>());
    }

    #[test]
    fn an_empty_queue_keeps_no_room() {
        let (sender, mut receiver) = queue();
        (0..1000).for_each(|number| sender.send(number).unwrap());
        assert_eq!(receiver.len(), 1000);
        while receiver.try_recv().is_some() {}
        assert!(receiver.is_empty());
        assert_eq!(lock(&receiver.0).waiting.capacity(), 0);
    }

    #[test]
    fn a_closed_queue_gives_out_what_waits_and_takes_nothing() {
        let (sender, mut receiver) = queue();
        sender.send(1).unwrap();
        receiver.close();
        assert_eq!(sender.send(2), Err(2));
        assert_eq!((receiver.try_recv(), receiver.try_recv()), (Some(1), None));
        drop(receiver);
        assert_eq!(sender.send(3), Err(3));
    }

    #[test]
    fn what_waits_is_dropped_with_the_receiver() {
        #[expect(dead_code, reason = "they are there to be dropped")]
        struct Element(Arc<()>, Sender<Element>);
        let (sender, receiver) = queue();
        let element = Arc::new(());
        assert!(sender.send(Element(Arc::clone(&element), sender.clone())).is_ok());
        drop(receiver);
        assert_eq!(Arc::strong_count(&element), 1);
    }
}
