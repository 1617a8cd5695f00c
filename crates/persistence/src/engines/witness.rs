//! Notices that files have lost commits which were confirmed: cut off, zeroed, or replaced by older ones.
//!
//! Engines take a log or a page that ends in damage for one that was being written when the power failed, and go back to what
//! was before it without a word. So each commit counts itself: in the database, under [`KEY`], and in a small file
//! beside it once it has been synced. That file is never synced itself. After a power cut it may be behind, which says
//! nothing; it is ahead only of files that have lost something since.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use crate::error::EngineError;

/// The key of the count in the database, behind the keys of the store. The value is 8 bytes, big-endian.
pub(crate) const KEY: &[u8] = b"\xffcommits";

/// Count (8, big-endian) and its CRC-32 (4).
const BYTES: usize = 12;

/// The name of the file beside a database of this name.
pub(crate) fn beside(database: &str) -> String {
    format!("{database}.commits")
}

/// The file beside a database.
#[derive(Debug)]
pub(super) struct Witness {
    engine: &'static str,
    path: PathBuf,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    file: File,
    /// The count in the file.
    count: u64,
}

impl Witness {
    /// Opens the file in this folder; makes it if it is not there. One that cannot be understood says nothing.
    pub(super) fn open(folder: &Path, engine: &'static str) -> io::Result<Self> {
        let path = folder.join(beside(&format!("quire.{engine}")));
        let mut file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path)?;
        let mut content = Vec::with_capacity(BYTES);
        (&mut file).take(BYTES as u64).read_to_end(&mut content)?;
        let count = decode(&content).unwrap_or(0);
        Ok(Self { engine, path, state: Mutex::new(State { file, count }) })
    }

    /// Holds the database's own count, as it was opened, against the file's.
    pub(super) fn check(&self, stored: u64) -> Result<(), EngineError> {
        let confirmed = self.state.lock().unwrap_or_else(PoisonError::into_inner).count;
        if stored >= confirmed {
            return Ok(());
        }
        let lost = confirmed - stored;
        Err(EngineError::Failed {
            engine: self.engine,
            operation: "open its files",
            message: format!(
                "the last {lost} of {confirmed} commits are missing, all of which were confirmed: the files were damaged, or \
                 replaced by older ones; to go on with what is left, remove {}",
                self.path.display()
            ),
        })
    }

    /// Whether it says anything.
    pub(super) fn is_known(&self) -> bool {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).count > 0
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// A commit with this count has been synced. An error makes the file say less, which harms nothing.
    pub(super) fn note(&self, count: u64) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if count <= state.count {
            return;
        }
        let content = encode(count);
        let written = state.file.seek(SeekFrom::Start(0)).and_then(|_| state.file.write_all(&content));
        match written {
            Ok(()) => state.count = count,
            Err(error) => {
                tracing::debug!(%error, path = %self.path.display(), "the count of commits was not written");
            }
        }
    }
}

/// The count in the value under [`KEY`]; 0 if it is none.
pub(super) fn stored(value: &[u8]) -> u64 {
    value.try_into().map_or(0, u64::from_be_bytes)
}

fn encode(count: u64) -> [u8; BYTES] {
    let count = count.to_be_bytes();
    let mut content = [0; BYTES];
    let (left, right) = content.split_at_mut(count.len());
    left.copy_from_slice(&count);
    right.copy_from_slice(&crc32fast::hash(&count).to_be_bytes());
    content
}

fn decode(content: &[u8]) -> Option<u64> {
    let (count, checksum) = content.split_first_chunk::<8>()?;
    let sound = *checksum == crc32fast::hash(count).to_be_bytes();
    sound.then(|| u64::from_be_bytes(*count))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn open(folder: &Path) -> Witness {
        Witness::open(folder, "test").unwrap()
    }

    #[test]
    fn what_was_noted_is_remembered() {
        let dir = tempfile::tempdir().unwrap();
        let witness = open(dir.path());
        witness.check(0).unwrap();
        witness.note(7);
        // Two threads may come in the other order.
        witness.note(6);
        drop(witness);
        let witness = open(dir.path());
        witness.check(7).unwrap();
        witness.check(8).unwrap();
        let error = witness.check(5).unwrap_err().to_string();
        assert!(error.contains("the last 2 of 7 commits are missing"), "{error}");
        assert!(error.contains("quire.test.commits"), "{error}");
    }

    #[test]
    fn a_file_that_cannot_be_understood_says_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("quire.test.commits");
        for content in [&b""[..], b"x", &[0xff; 12], &[0xff; 20]] {
            fs::write(&path, content).unwrap();
            open(dir.path()).check(0).unwrap();
        }
        let witness = open(dir.path());
        witness.note(1);
        assert!(open(dir.path()).check(0).is_err());
    }
}
