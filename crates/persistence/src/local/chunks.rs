//! Payloads of any size as records of a size that the engine likes.
//!
//! A payload is one or more chunks, numbered from 0. The kind of each record says whether another chunk follows, so that
//! neither a missing nor a surplus one goes unnoticed. An empty payload is one empty chunk.

use bytes::{Bytes, BytesMut};

use crate::error::Fault;
use crate::record::{self, Kind};

/// What is cut into chunks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Payload {
    Update,
    Snapshot,
    Tombstone,
}

impl Payload {
    /// The kinds of a chunk that another one follows, and of the last one.
    fn kinds(self) -> [Kind; 2] {
        match self {
            Self::Update => [Kind::UpdatePart, Kind::Update],
            Self::Snapshot => [Kind::SnapshotPart, Kind::Snapshot],
            Self::Tombstone => [Kind::TombstonePart, Kind::Tombstone],
        }
    }
}

/// A payload that is to be written in chunks.
pub(crate) struct Cut<'a> {
    payload: Payload,
    bytes: &'a [u8],
    chunk_bytes: usize,
}

/// Plans to write a payload in chunks of at most this size.
pub(crate) fn cut(payload: Payload, bytes: &[u8], chunk_bytes: usize) -> Cut<'_> {
    Cut { payload, bytes, chunk_bytes: chunk_bytes.max(1) }
}

impl Cut<'_> {
    /// The records, each with its key, which is asked for by the number of the chunk.
    pub(crate) fn records(&self, key: impl Fn(u32) -> Bytes) -> impl Iterator<Item = (Bytes, Bytes)> {
        let [part, last] = self.payload.kinds();
        let mut rest = Some(self.bytes);
        (0..).map_while(move |number| {
            let bytes = rest.take()?;
            let (chunk, kind) = match bytes.split_at_checked(self.chunk_bytes) {
                Some((chunk, behind)) if !behind.is_empty() => {
                    rest = Some(behind);
                    (chunk, part)
                }
                _ => (bytes, last),
            };
            let key = key(number);
            let record = record::seal(kind, &key, chunk);
            Some((key, record))
        })
    }
}

/// Puts a payload together again.
#[derive(Debug)]
pub(crate) struct Joined {
    payload: Payload,
    /// The chunks so far.
    chunks: Vec<Bytes>,
}

impl Joined {
    pub(crate) fn new(payload: Payload) -> Self {
        Self { payload, chunks: Vec::new() }
    }

    /// The number of the chunk that comes next.
    pub(crate) fn next(&self) -> u32 {
        // Chunks are numbered by 32 bits, so there are never more.
        u32::try_from(self.chunks.len()).unwrap_or(u32::MAX)
    }

    /// Adds the next chunk. With the last one the payload is complete, and the next chunk is the first of another.
    pub(crate) fn add(&mut self, key: &[u8], record: Bytes) -> Result<Option<Bytes>, Fault> {
        let [part, last] = self.payload.kinds();
        let (kind, chunk) = record::open([part, last], key, record)?;
        self.chunks.push(chunk);
        if kind == part {
            return Ok(None);
        }
        let chunks = std::mem::take(&mut self.chunks);
        if let [only] = chunks.as_slice() {
            return Ok(Some(only.clone()));
        }
        let mut whole = BytesMut::with_capacity(chunks.iter().map(Bytes::len).sum());
        for chunk in &chunks {
            whole.extend_from_slice(chunk);
        }
        Ok(Some(whole.freeze()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn records(bytes: &[u8]) -> Vec<(Bytes, Bytes)> {
        cut(Payload::Snapshot, bytes, 2)
            .records(|number| vec![b'k', u8::try_from(number).unwrap()].into())
            .collect()
    }

    #[test]
    fn payloads_come_back_from_their_chunks() {
        for (bytes, chunks) in
            [(&b""[..], 1), (b"a", 1), (b"ab", 1), (b"abc", 2), (b"abcd", 2), (b"abcde", 3)]
        {
            let records = records(bytes);
            assert_eq!(records.len(), chunks, "{bytes:?}");
            let mut joined = Joined::new(Payload::Snapshot);
            for (number, (key, record)) in records.into_iter().enumerate() {
                assert_eq!(joined.next() as usize, number);
                let whole = joined.add(&key, record).unwrap();
                assert_eq!(whole.as_deref(), (number + 1 == chunks).then_some(bytes));
            }
            assert_eq!(joined.next(), 0);
        }
    }

    #[test]
    fn a_chunk_of_something_else_is_refused() {
        let (key, record) = records(b"a").remove(0);
        assert_eq!(Joined::new(Payload::Update).add(&key, record), Err(Fault::Kind(6)));
    }
}
