//! The kept inputs of the fuzz targets.

use std::fs;
use std::path::{Path, PathBuf};

/// The folder of a target's kept inputs.
pub fn folder(target: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target)
}

/// A target's kept inputs with their file names, in the order of these.
pub fn inputs(target: &str) -> Vec<(String, Vec<u8>)> {
    read(&folder(target))
}

/// The files of a folder with their names, in the order of these. A folder that is not there has none.
pub fn read(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let mut inputs: Vec<_> = entries
        .map(|entry| {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            (name, fs::read(path).unwrap())
        })
        .collect();
    inputs.sort();
    inputs
}
