//! A device in memory: it can be full, it remembers everything that was done to it, and its power can be cut.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ::redb::StorageBackend;

/// One file on a device. A clone is the same file.
#[derive(Clone, Debug)]
pub(super) struct Disk(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    content: Vec<u8>,
    capacity: u64,
    /// What the engine is told instead of its real size.
    claimed: Option<u64>,
    journal: Vec<Action>,
}

/// Something that was done to the file.
#[derive(Clone, Debug)]
enum Action {
    SetLen(u64),
    Write(u64, Vec<u8>),
    Sync,
}

/// The unit that a device writes whole.
const SECTOR: usize = 512;

impl Disk {
    pub(super) fn new() -> Self {
        Self::holding(Vec::new())
    }

    fn holding(content: Vec<u8>) -> Self {
        let state = State { content, capacity: u64::MAX, claimed: None, journal: Vec::new() };
        Self(Arc::new(Mutex::new(state)))
    }

    /// A disk with the same content and nothing in its past.
    pub(super) fn copy(&self) -> Self {
        Self::holding(self.state().content.clone())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From now on the file cannot become larger than this.
    pub(super) fn set_capacity(&self, bytes: u64) {
        self.state().capacity = bytes;
    }

    /// Has the engine write as it does into a file of this size.
    pub(super) fn claim_size(&self, bytes: u64) {
        self.state().claimed = Some(bytes);
    }

    /// The size that decides how the engine writes.
    pub(super) fn claimed_size(&self) -> u64 {
        let state = self.state();
        state.claimed.unwrap_or(state.content.len() as u64)
    }

    pub(super) fn size(&self) -> u64 {
        self.state().content.len() as u64
    }

    /// How many things were done to the file so far.
    pub(super) fn actions(&self) -> usize {
        self.state().journal.len()
    }

    /// Goes through everything that was done to `before`, a copy of this disk from before its first action, and stops
    /// before each sync: there most is at stake.
    pub(super) fn cuts(&self, before: &Self) -> Cuts {
        let journal = self.state().journal.clone();
        Cuts { journal, synced: before.state().content.clone(), safe: 0, next: 0 }
    }
}

/// The moments before each sync of a disk's past.
pub(super) struct Cuts {
    journal: Vec<Action>,
    /// What is safe: the actions up to `safe`.
    synced: Vec<u8>,
    safe: usize,
    /// The first action after the last sync.
    next: usize,
}

/// A moment at which the power may fail.
pub(super) struct Cut<'a> {
    /// The action that does not happen any more: a sync, or the end.
    pub(super) action: usize,
    synced: &'a [u8],
    unsynced: &'a [Action],
}

impl Cuts {
    /// The next moment; the last one is the end of the recording.
    pub(super) fn next(&mut self) -> Option<Cut<'_>> {
        let following = self.journal.get(self.next..)?;
        for action in &self.journal[self.safe..self.next] {
            apply(&mut self.synced, action);
        }
        self.safe = self.next;
        let length = following.iter().position(|action| matches!(action, Action::Sync));
        let unsynced = &following[..length.unwrap_or(following.len())];
        let action = self.safe + unsynced.len();
        self.next = action + 1;
        Some(Cut { action, synced: &self.synced, unsynced })
    }
}

impl Cut<'_> {
    /// How many writes are at stake.
    pub(super) fn at_stake(&self) -> usize {
        self.unsynced.len()
    }

    /// What is on the device afterwards: everything up to the last sync, and of what followed the sectors for which
    /// `survives` says so. It is asked with the number of the write.
    pub(super) fn disk(&self, mut survives: impl FnMut(usize) -> bool) -> Disk {
        let mut content = self.synced.to_vec();
        for (number, action) in self.unsynced.iter().enumerate() {
            match action {
                Action::Write(offset, data) => {
                    for (sector, data) in data.chunks(SECTOR).enumerate() {
                        if survives(number) {
                            put(&mut content, usize_from(*offset) + sector * SECTOR, data);
                        }
                    }
                }
                Action::SetLen(_) | Action::Sync => {
                    if survives(number) {
                        apply(&mut content, action);
                    }
                }
            }
        }
        Disk::holding(content)
    }
}

fn apply(content: &mut Vec<u8>, action: &Action) {
    match action {
        Action::SetLen(len) => content.resize(usize_from(*len), 0),
        Action::Write(offset, data) => put(content, usize_from(*offset), data),
        Action::Sync => {}
    }
}

fn usize_from(number: u64) -> usize {
    usize::try_from(number).unwrap()
}

fn put(content: &mut Vec<u8>, offset: usize, data: &[u8]) {
    let end = offset + data.len();
    if content.len() < end {
        content.resize(end, 0);
    }
    content[offset..end].copy_from_slice(data);
}

impl State {
    fn expect_room(&self, end: u64) -> io::Result<()> {
        if end <= self.capacity.max(self.content.len() as u64) {
            Ok(())
        } else {
            Err(io::ErrorKind::StorageFull.into())
        }
    }
}

impl StorageBackend for Disk {
    fn len(&self) -> io::Result<u64> {
        Ok(self.size())
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let state = self.state();
        let from = usize_from(offset);
        let found = state.content.get(from..from + out.len()).ok_or(io::ErrorKind::UnexpectedEof)?;
        out.copy_from_slice(found);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut state = self.state();
        state.expect_room(len)?;
        state.content.resize(usize_from(len), 0);
        state.journal.push(Action::SetLen(len));
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        self.state().journal.push(Action::Sync);
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut state = self.state();
        state.expect_room(offset + data.len() as u64)?;
        put(&mut state.content, usize_from(offset), data);
        state.journal.push(Action::Write(offset, data.to_vec()));
        Ok(())
    }
}
