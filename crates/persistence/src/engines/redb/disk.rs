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
        Self(Arc::new(Mutex::new(State { content, capacity: u64::MAX, journal: Vec::new() })))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From now on the file cannot become larger than this.
    pub(super) fn set_capacity(&self, bytes: u64) {
        self.state().capacity = bytes;
    }

    pub(super) fn size(&self) -> u64 {
        self.state().content.len() as u64
    }

    /// How many things were done to the file so far.
    pub(super) fn actions(&self) -> usize {
        self.state().journal.len()
    }

    /// Whether this action is a sync.
    pub(super) fn is_sync(&self, action: usize) -> bool {
        matches!(self.state().journal[action], Action::Sync)
    }

    /// What is on the device if the power fails before this action: everything up to the last sync, and of what followed
    /// only the sectors for which `survives` says so.
    pub(super) fn after_power_cut(&self, action: usize, mut survives: impl FnMut() -> bool) -> Self {
        let state = self.state();
        let before = &state.journal[..action];
        let synced = before.iter().rposition(|action| matches!(action, Action::Sync)).map_or(0, |at| at + 1);
        let mut content = Vec::new();
        for (number, action) in before.iter().enumerate() {
            match action {
                Action::SetLen(len) if number < synced || survives() => content.resize(usize_from(*len), 0),
                Action::Write(offset, data) => {
                    for (sector, data) in data.chunks(SECTOR).enumerate() {
                        if number < synced || survives() {
                            put(&mut content, usize_from(*offset) + sector * SECTOR, data);
                        }
                    }
                }
                Action::SetLen(_) | Action::Sync => {}
            }
        }
        Self::holding(content)
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
