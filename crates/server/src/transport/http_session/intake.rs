//! What comes up a session: items into frames, each taken once.

use bytes::Bytes;
use quire_sync_protocol::wire::items::Item;

/// Counts the items of a client and puts its frames together.
#[derive(Debug)]
pub(super) struct Intake {
    received: u64,
    /// The beginning of a frame that goes on. Bounded by `limit`.
    begun: Vec<u8>,
    limit: usize,
}

/// Why items were not taken. The client's fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// Some before them have not come.
    Gap,
    /// A frame is larger than this.
    TooBig(usize),
}

impl Intake {
    /// `limit`: bytes of a frame.
    pub(super) fn new(limit: usize) -> Self {
        Self { received: 0, begun: Vec::new(), limit }
    }

    /// The number of the last item that has come.
    pub(super) fn received(&self) -> u64 {
        self.received
    }

    /// Takes what has not come before, and gives the frames that are whole now.
    pub(super) fn take(&mut self, first: u64, items: Vec<Item>) -> Result<Vec<Bytes>, Fault> {
        if first > self.received + 1 {
            return Err(Fault::Gap);
        }
        let known = usize::try_from(self.received + 1 - first).unwrap_or(usize::MAX);
        let mut frames = Vec::new();
        for item in items.into_iter().skip(known) {
            self.received += 1;
            if self.begun.len() + item.bytes.len() > self.limit {
                return Err(Fault::TooBig(self.limit));
            }
            if !item.more && self.begun.is_empty() {
                frames.push(item.bytes);
                continue;
            }
            self.begun.extend_from_slice(&item.bytes);
            if !item.more {
                frames.push(std::mem::take(&mut self.begun).into());
            }
        }
        Ok(frames)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn items(texts: &[&'static str]) -> Vec<Item> {
        texts
            .iter()
            .map(|text| Item {
                bytes: Bytes::from_static(text.trim_end_matches('-').as_bytes()),
                more: text.ends_with('-'),
            })
            .collect()
    }

    #[test]
    fn a_repeat_is_harmless_wherever_it_begins() {
        let mut intake = Intake::new(100);
        assert_eq!(intake.take(1, items(&["a", "b"])).unwrap(), ["a", "b"]);
        assert_eq!(intake.take(1, items(&["a", "b"])).unwrap(), Vec::<Bytes>::new());
        assert_eq!(intake.take(2, items(&["b", "c"])).unwrap(), ["c"]);
        assert_eq!(intake.take(1, items(&["a"])).unwrap(), Vec::<Bytes>::new());
        assert_eq!(intake.take(4, vec![]).unwrap(), Vec::<Bytes>::new());
        assert_eq!(intake.received(), 3);
    }

    #[test]
    fn what_was_left_out_is_noticed() {
        let mut intake = Intake::new(100);
        assert_eq!(intake.take(2, items(&["b"])), Err(Fault::Gap));
        intake.take(1, items(&["a"])).unwrap();
        assert_eq!(intake.take(3, items(&["c"])), Err(Fault::Gap));
        assert_eq!(intake.take(u64::MAX, items(&["c"])), Err(Fault::Gap));
    }

    #[test]
    fn a_frame_comes_in_pieces_over_several_requests() {
        let mut intake = Intake::new(100);
        assert_eq!(intake.take(1, items(&["x", "a-", "b-"])).unwrap(), ["x"]);
        assert_eq!(intake.take(3, items(&["b-", "c-"])).unwrap(), Vec::<Bytes>::new());
        assert_eq!(intake.take(5, items(&["d", "y"])).unwrap(), ["abcd", "y"]);
    }

    #[test]
    fn a_frame_is_bounded_however_it_is_cut() {
        let mut intake = Intake::new(4);
        assert_eq!(intake.take(1, items(&["abcd", "ab-", "cd"])).unwrap(), ["abcd", "abcd"]);
        assert_eq!(intake.take(4, items(&["abc-", "de"])), Err(Fault::TooBig(4)));
        assert_eq!(Intake::new(4).take(1, items(&["abcde"])), Err(Fault::TooBig(4)));
    }
}
