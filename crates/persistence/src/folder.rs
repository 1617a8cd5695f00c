//! The folder that a store lives in, held by one process at a time.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::path::Path;

use crate::error::OpenError;

/// The file whose lock says that the folder is in use. It stays empty, and stays behind.
const LOCK_FILE: &str = "quire.lock";

/// A folder that exists and is ours, until this is dropped. The operating system ends the lock with the process, however that dies.
#[derive(Debug)]
pub(crate) struct Folder {
    /// Holds the lock.
    lock: File,
}

impl Drop for Folder {
    fn drop(&mut self) {
        // Closing alone does not end it while a child process that is just being started has the file, too.
        if let Err(error) = self.lock.unlock() {
            tracing::warn!(%error, "the lock of the data folder was not given back");
        }
    }
}

impl Folder {
    /// Makes the folder if it is not there, and locks it.
    pub(crate) fn open(path: &Path) -> Result<Self, OpenError> {
        let folder_error = |source| OpenError::Folder { path: path.to_owned(), source };
        create(path).map_err(folder_error)?;
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(path.join(LOCK_FILE))
            .map_err(folder_error)?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { lock }),
            Err(TryLockError::WouldBlock) => Err(OpenError::InUse { path: path.to_owned() }),
            Err(TryLockError::Error(source)) => Err(folder_error(source)),
        }
    }
}

/// Makes a folder and those above it, each synced into the one above: a file whose folder is lost with a power cut is lost
/// too.
fn create(path: &Path) -> io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if parent != path {
        create(parent)?;
    }
    match fs::create_dir(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => {}
        result => result?,
    }
    sync(parent)
}

/// Makes a file or folder for the first time under another name, and renames it when it is complete and synced: a process that
/// dies meanwhile leaves nothing that is taken for a whole one. Does nothing if it is there.
pub(crate) fn make_whole<E: From<io::Error>>(
    path: &Path,
    make: impl FnOnce(&Path) -> Result<(), E>,
) -> Result<(), E> {
    if path.try_exists()? {
        return Ok(());
    }
    let unfinished = path.with_added_extension("new");
    if unfinished.is_dir() {
        fs::remove_dir_all(&unfinished)?;
    } else if unfinished.try_exists()? {
        fs::remove_file(&unfinished)?;
    }
    make(&unfinished)?;
    fs::rename(&unfinished, path)?;
    Ok(path.parent().map_or(Ok(()), sync)?)
}

/// Syncs the names in a folder to the device: after files in it were made, renamed or removed.
pub(crate) fn sync(path: &Path) -> io::Result<()> {
    if cfg!(unix) { File::open(path)?.sync_all() } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_made_and_held_by_one() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a/b");
        let folder = Folder::open(&path).unwrap();
        let error = Folder::open(&path).unwrap_err();
        assert!(matches!(&error, OpenError::InUse { path: p } if *p == path));
        assert!(error.to_string().contains("in use by another process"), "{error}");
        // As a child process has it that is just being started.
        let elsewhere = folder.lock.try_clone().unwrap();
        drop(folder);
        Folder::open(&path).unwrap();
        drop(elsewhere);
    }

    #[test]
    fn what_was_not_finished_is_made_again() {
        let dir = tempfile::tempdir().unwrap();
        let (file, folder) = (dir.path().join("file.x"), dir.path().join("folder"));
        fs::write(dir.path().join("file.x.new"), "half").unwrap();
        fs::create_dir_all(dir.path().join("folder.new/half")).unwrap();
        let failed =
            make_whole(&file, |new| fs::write(new, "ha").and(Err(io::ErrorKind::StorageFull.into())));
        assert_eq!(failed.unwrap_err().kind(), io::ErrorKind::StorageFull);
        assert!(!file.exists());
        make_whole(&file, |new| fs::write(new, "whole")).unwrap();
        make_whole(&folder, |new| fs::create_dir(new)).unwrap();
        assert_eq!(fs::read(&file).unwrap(), b"whole");
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 0);
        make_whole(&file, |_| Err(io::Error::other("it is there"))).unwrap();
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2);
    }

    #[test]
    fn a_path_that_is_no_folder_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        fs::write(&path, b"").unwrap();
        assert!(matches!(Folder::open(&path), Err(OpenError::Folder { path: p, .. }) if p == path));
        assert!(matches!(Folder::open(&path.join("below")), Err(OpenError::Folder { .. })));
    }
}
