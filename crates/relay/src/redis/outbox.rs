//! What waits to be sent.

use std::collections::VecDeque;

use bytes::Bytes;
use tokio::sync::oneshot;

use crate::relay::Topic;

/// Messages that are sent in one go, and their bytes.
const AT_ONCE: usize = 512;
const BYTES_AT_ONCE: usize = 1 << 20;

/// What a message takes besides its bytes.
const OVERHEAD: usize = 128;

/// Where the number of nodes goes that an envelope has reached.
pub(super) type Answer = oneshot::Sender<Option<usize>>;

/// An envelope on its way to the server.
#[derive(Debug)]
pub(super) struct Post {
    pub(super) topic: Topic,
    pub(super) envelope: Bytes,
    pub(super) answer: Option<Answer>,
}

/// What waits to be sent, in its order. Bounded in bytes: what comes when it is full is refused, so that what was said first
/// arrives first or not at all.
#[derive(Debug)]
pub(super) struct Outbox {
    most_bytes: usize,
    is_open: bool,
    posts: VecDeque<Post>,
    bytes: usize,
}

impl Outbox {
    pub(super) fn new(most_bytes: usize) -> Self {
        Self { most_bytes, is_open: false, posts: VecDeque::new(), bytes: 0 }
    }

    /// There is a connection: from now on posts are taken.
    pub(super) fn open(&mut self) {
        self.is_open = true;
    }

    /// There is no connection: nothing is taken, and what waits is dropped. Says how much that is.
    pub(super) fn close(&mut self) -> usize {
        self.is_open = false;
        self.bytes = 0;
        std::mem::take(&mut self.posts).len()
    }

    /// Takes a post, or drops it.
    pub(super) fn put(&mut self, post: Post) -> bool {
        let bytes = post.envelope.len() + OVERHEAD;
        if !self.is_open || self.bytes + bytes > self.most_bytes {
            return false;
        }
        self.bytes += bytes;
        self.posts.push_back(post);
        true
    }

    /// What is to be sent next; empty if nothing waits.
    pub(super) fn take(&mut self) -> Vec<Post> {
        let (mut count, mut bytes) = (0, 0);
        for post in self.posts.iter().take(AT_ONCE) {
            if count > 0 && bytes + post.envelope.len() > BYTES_AT_ONCE {
                break;
            }
            count += 1;
            bytes += post.envelope.len();
        }
        self.bytes -= bytes + count * OVERHEAD;
        self.posts.drain(..count).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn post(bytes: usize) -> Post {
        Post { topic: Topic::Cluster, envelope: vec![0; bytes].into(), answer: None }
    }

    #[test]
    fn it_takes_nothing_while_it_is_closed_or_full() {
        let mut outbox = Outbox::new(3 * (100 + OVERHEAD));
        assert!(!outbox.put(post(1)));
        outbox.open();
        assert!((0..3).all(|_| outbox.put(post(100))));
        assert!(!outbox.put(post(0)));
        assert_eq!(outbox.take().len(), 3);
        assert!(outbox.put(post(100)) && outbox.put(post(100)));
        assert_eq!(outbox.close(), 2);
        assert_eq!((outbox.bytes, outbox.take().len()), (0, 0));
    }

    #[test]
    fn what_is_sent_in_one_go_is_bounded() {
        let mut outbox = Outbox::new(usize::MAX);
        outbox.open();
        for bytes in [BYTES_AT_ONCE + 1, BYTES_AT_ONCE, 1] {
            assert!(outbox.put(post(bytes)));
        }
        for _ in 0..=AT_ONCE {
            outbox.put(post(0));
        }
        let counts: Vec<_> =
            std::iter::from_fn(|| Some(outbox.take().len()).filter(|count| *count > 0)).collect();
        assert_eq!(counts, [1, 1, AT_ONCE, 2]);
        assert_eq!(outbox.bytes, 0);
    }
}
