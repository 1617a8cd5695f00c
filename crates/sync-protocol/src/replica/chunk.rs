//! Runs of encoded structs.

use std::collections::BTreeMap;
use std::mem;
use std::ops::Deref;

use bytes::Bytes;

use crate::id::{ClientId, Clock, Id};
use crate::update::InBlock;
use crate::update::id_set::ClockRange;
use crate::update::structs::{Check, Head, Struct};
use crate::wire::varint::Reader;

/// A chunk that has this many bytes is not appended to. Small enough to be decoded whenever something in it
/// changes, large enough that what is kept beside its bytes does not count.
pub(super) const CHUNK_BYTES: usize = 1024;

/// A full chunk that has less room than this gets more before something is appended to its last struct.
const SPARE_BYTES: usize = 64;

/// Contiguous structs of one client, encoded as an update holds them. Never empty, and without Skip. No two
/// neighbours could be joined, within a chunk or from one to the next.
#[derive(Clone, Debug)]
pub(super) struct Chunk {
    /// The clock behind the last struct. The first clock is in the chunk's key.
    pub(super) end: Clock,
    /// How many structs.
    pub(super) count: usize,
    /// Where the last struct begins.
    tail_at: usize,
    /// The structs.
    pub(super) bytes: Encoded,
}

/// Encoded structs.
#[derive(Clone, Debug)]
pub(super) enum Encoded {
    /// In memory of their own.
    Own(Vec<u8>),
    /// In the memory of the update that they were loaded with, until something changes.
    Shared(Bytes),
}

/// Where a chunk stands: its client and first clock.
pub(super) type Key = (ClientId, Clock);

/// All chunks of a document.
#[derive(Clone, Debug, Default)]
pub(super) struct Chunks {
    map: BTreeMap<Key, Chunk>,
    /// The bytes of those that are in the memory of the update that they were loaded with.
    shared: usize,
}

impl Chunks {
    pub(super) fn insert(&mut self, key: Key, chunk: Chunk) {
        self.shared += chunk.bytes.shared_bytes();
        if let Some(replaced) = self.map.insert(key, chunk) {
            self.shared -= replaced.bytes.shared_bytes();
        }
    }

    pub(super) fn remove(&mut self, key: &Key) -> Option<Chunk> {
        let chunk = self.map.remove(key)?;
        self.shared -= chunk.bytes.shared_bytes();
        Some(chunk)
    }

    /// How many bytes of the update that they were loaded with are still in use.
    pub(super) fn shared_bytes(&self) -> usize {
        self.shared
    }

    /// Lets go of that update: all are in memory of their own from then on.
    pub(super) fn own(&mut self) {
        for chunk in self.map.values_mut() {
            if chunk.bytes.shared_bytes() > 0 {
                chunk.bytes.change(|_| ());
            }
        }
        self.shared = 0;
    }
}

impl Deref for Chunks {
    type Target = BTreeMap<Key, Chunk>;

    fn deref(&self) -> &Self::Target {
        &self.map
    }
}

impl Chunk {
    /// The structs with their clocks. `start` is the first.
    pub(super) fn structs(&self, start: Clock) -> Structs<'_> {
        Structs { clock: start, reader: Reader::new(&self.bytes) }
    }

    fn empty(start: Clock) -> Self {
        Self { end: start, count: 0, tail_at: 0, bytes: Encoded::default() }
    }

    /// Whether `next`, at the chunk's end, belongs to its last struct; then the place of that struct's count.
    fn joins(&self, client: ClientId, next: &Struct<'_>) -> Option<usize> {
        if !next.may_join(client, self.end) {
            return None;
        }
        let head = Head::read(self.bytes.get(self.tail_at..)?).ok()?;
        head.joins(client, self.end, next).then(|| self.tail_at + head.count_at())
    }

    fn push(&mut self, client: ClientId, next: &Struct<'_>) {
        let joins = self.joins(client, next);
        if joins.is_none() {
            self.tail_at = self.bytes.len();
            self.count += 1;
        }
        self.bytes.change(|bytes| {
            // A long text grows by its eighth, which `shrink` leaves, and not anew with each letter.
            let len = bytes.len();
            if len >= CHUNK_BYTES && bytes.capacity() - len < SPARE_BYTES {
                bytes.reserve_exact(len / 8);
            }
            match joins {
                Some(count_at) => {
                    // The count was just found to be readable.
                    let joined = next.write_joined(count_at, bytes);
                    debug_assert_eq!(joined, Ok(()));
                }
                None => next.write(bytes),
            }
        });
        self.end += next.len;
    }

    /// For one that follows on a full one: much comes at once. With this room it need not be moved while it grows, nor when it is
    /// full.
    fn make_room(&mut self) {
        self.bytes.change(|bytes| bytes.reserve_exact(CHUNK_BYTES + CHUNK_BYTES / 8));
    }
}

impl Encoded {
    /// Changes them, in memory of their own from then on.
    fn change(&mut self, change: impl FnOnce(&mut Vec<u8>)) {
        let mut own = match mem::take(self) {
            Self::Own(own) => own,
            Self::Shared(shared) => shared.to_vec(),
        };
        change(&mut own);
        *self = Self::Own(own);
    }

    /// How much memory of their own they take.
    pub(super) fn own_bytes(&self) -> usize {
        match self {
            Self::Own(own) => own.capacity(),
            Self::Shared(_) => 0,
        }
    }

    fn shared_bytes(&self) -> usize {
        match self {
            Self::Own(_) => 0,
            Self::Shared(shared) => shared.len(),
        }
    }

    fn shrink(&mut self) {
        if let Self::Own(own) = self
            && own.capacity() > own.len() + own.len() / 8 + 16
        {
            own.shrink_to_fit();
        }
    }
}

impl Default for Encoded {
    fn default() -> Self {
        Self::Own(Vec::new())
    }
}

impl Deref for Encoded {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Self::Own(own) => own,
            Self::Shared(shared) => shared,
        }
    }
}

/// The structs of a chunk, or of a part of one, with their clocks.
pub(super) struct Structs<'a> {
    clock: Clock,
    reader: Reader<'a>,
}

impl<'a> Structs<'a> {
    /// The bytes of those that have not been read yet.
    pub(super) fn rest(&self) -> &'a [u8] {
        self.reader.rest()
    }
}

impl<'a> Iterator for Structs<'a> {
    type Item = (Clock, Struct<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        if self.reader.is_empty() {
            return None;
        }
        let next = Struct::read(&mut self.reader, Check::Known);
        debug_assert!(next.is_ok(), "a chunk holds what this crate wrote");
        let next = next.ok()?;
        let clock = self.clock;
        self.clock += next.len;
        Some((clock, next))
    }
}

/// Structs that stand together in an update and are to be taken as they are, all at once.
#[derive(Debug, Default)]
pub(super) struct Run<'a> {
    /// The update, if its memory may be kept.
    source: Option<&'a Bytes>,
    /// From the first of them on; what stands behind the last one too.
    bytes: &'a [u8],
    /// What the structs take of it.
    length: usize,
    /// Where the last one begins.
    tail_at: usize,
    /// How many.
    count: usize,
    /// How many clocks.
    clocks: Clock,
}

impl<'a> Run<'a> {
    /// Begins one in an update, whose memory may be kept if it is given.
    pub(super) fn of(source: Option<&'a Bytes>) -> Self {
        Self { source, ..Self::default() }
    }
}

/// Puts structs into the chunks at one place. Opening takes the chunk on the left out, if it touches; closing puts
/// back what has been built and looks after the chunk on the right. Between, the chunks lack that part.
#[derive(Debug)]
pub(super) struct Splice {
    client: ClientId,
    start: Clock,
    chunk: Chunk,
}

impl Splice {
    /// Begins at `at`, where the chunks have nothing.
    pub(super) fn open(chunks: &mut Chunks, client: ClientId, at: Clock) -> Self {
        let left = chunks.range((client, 0)..(client, at)).next_back();
        let touching = left.filter(|(_, chunk)| chunk.end == at).map(|(key, _)| *key);
        match touching.and_then(|key| Some((key.1, chunks.remove(&key)?))) {
            Some((start, chunk)) => Self { client, start, chunk },
            None => Self { client, start: at, chunk: Chunk::empty(at) },
        }
    }

    /// The next clock.
    pub(super) fn at(&self) -> Clock {
        self.chunk.end
    }

    /// Whether this clock is in the part that is being built.
    pub(super) fn holds(&self, clock: Clock) -> bool {
        self.start <= clock && clock < self.at()
    }

    /// Appends the next struct.
    pub(super) fn push(&mut self, chunks: &mut Chunks, next: &Struct<'_>) {
        if self.chunk.bytes.len() >= CHUNK_BYTES && self.chunk.joins(self.client, next).is_none() {
            self.seal(chunks);
            self.chunk.make_room();
        }
        self.chunk.push(self.client, next);
    }

    /// Takes the next struct into a run that is to be [appended](Self::append) here. `false` if it
    /// has to be pushed, after the run: it belongs to the last struct, or would be written otherwise.
    pub(super) fn extend_run<'a>(
        &mut self,
        chunks: &mut Chunks,
        run: &mut Run<'a>,
        InBlock { next, bytes, length, .. }: &InBlock<'a>,
    ) -> bool {
        if !bytes.get(..*length).is_some_and(|read| next.is_written_as(read)) {
            return false;
        }
        let at = self.at() + run.clocks;
        if next.may_join(self.client, at) {
            let joins = match run.bytes.get(run.tail_at..run.length) {
                Some(last) if run.count > 0 => {
                    Head::read(last).is_ok_and(|head| head.joins(self.client, at, next))
                }
                _ => self.chunk.joins(self.client, next).is_some(),
            };
            if joins {
                return false;
            }
        }
        // One that is full is left as it is, and the run gets one of its own.
        let held = self.chunk.bytes.len();
        let kept = if held < CHUNK_BYTES { held } else { 0 };
        if kept + run.length >= CHUNK_BYTES {
            self.append(chunks, run);
        }
        if run.count == 0 {
            run.bytes = bytes;
        }
        run.tail_at = run.length;
        run.length += length;
        run.count += 1;
        run.clocks += next.len;
        true
    }

    /// Appends a run, and empties it.
    pub(super) fn append(&mut self, chunks: &mut Chunks, run: &mut Run<'_>) {
        let source = run.source;
        let run = mem::replace(run, Run::of(source));
        let Some(structs) = run.bytes.get(..run.length).filter(|_| run.count > 0) else { return };
        let is_full = self.chunk.bytes.len() >= CHUNK_BYTES;
        if is_full {
            self.seal(chunks);
        }
        let chunk = &mut self.chunk;
        chunk.tail_at = chunk.bytes.len() + run.tail_at;
        if let Some(source) = source.filter(|_| chunk.count == 0 && structs.len() >= CHUNK_BYTES) {
            chunk.bytes = Encoded::Shared(source.slice_ref(structs));
        } else {
            if is_full {
                chunk.make_room();
            }
            chunk.bytes.change(|bytes| bytes.extend_from_slice(structs));
        }
        chunk.count += run.count;
        chunk.end += run.clocks;
    }

    /// Appends the next struct, with its content deleted where `deleted` (ascending) has its clocks.
    pub(super) fn push_cut(&mut self, chunks: &mut Chunks, next: &Struct<'_>, deleted: &[ClockRange]) {
        let mut start = Id { client: self.client, clock: self.at() };
        let end = start.clock + next.len;
        let mut rest = *next;
        for range in deleted {
            let (from, to) = (range.start.max(start.clock), range.end.min(end));
            if from >= end {
                break;
            }
            if from >= to {
                continue;
            }
            if from > start.clock {
                let len = from - start.clock;
                let kept = rest.split_front(&mut start, len);
                self.push(chunks, &kept);
            }
            if to == end {
                return self.push(chunks, &rest.deleted());
            }
            let len = to - start.clock;
            let cut = rest.split_front(&mut start, len);
            self.push(chunks, &cut.deleted());
        }
        self.push(chunks, &rest);
    }

    /// Puts everything back.
    pub(super) fn close(mut self, chunks: &mut Chunks) {
        if let Some(right) = chunks.remove(&(self.client, self.at())) {
            self.absorb(chunks, right);
        }
        self.seal(chunks);
    }

    /// Appends the chunk on the right: its first struct may belong to the last one here.
    fn absorb(&mut self, chunks: &mut Chunks, right: Chunk) {
        let mut structs = right.structs(self.at());
        let Some((_, first)) = structs.next() else { return };
        let joins = self.chunk.joins(self.client, &first).is_some();
        if !joins && self.chunk.count > 0 && self.chunk.bytes.len() + right.bytes.len() > CHUNK_BYTES {
            chunks.insert((self.client, self.at()), right);
            return;
        }
        self.push(chunks, &first);
        let rest = structs.rest();
        if rest.is_empty() {
            return;
        }
        if self.chunk.bytes.len() >= CHUNK_BYTES {
            self.seal(chunks);
        }
        let shift = right.bytes.len() - rest.len();
        self.chunk.tail_at = self.chunk.bytes.len() + right.tail_at - shift;
        self.chunk.count += right.count - 1;
        self.chunk.bytes.change(|bytes| bytes.extend_from_slice(rest));
        self.chunk.end = right.end;
    }

    /// Ends the chunk that is being built and begins another.
    fn seal(&mut self, chunks: &mut Chunks) {
        let at = self.at();
        let mut full = mem::replace(&mut self.chunk, Chunk::empty(at));
        if full.count > 0 {
            full.bytes.shrink();
            chunks.insert((self.client, self.start), full);
        }
        self.start = at;
    }
}
