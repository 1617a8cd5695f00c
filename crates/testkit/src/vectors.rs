//! What the real JavaScript libraries wrote: the recordings in `tests/vectors`.

use std::fs;
use std::path::Path;

use bytes::Bytes;
use quire_sync_protocol::Update;
use serde_json::Value;

/// Updates that belong to one document.
#[derive(Clone, Debug)]
pub struct History {
    /// The file and the case in it.
    pub name: String,
    /// The updates, in the order in which they were made.
    pub updates: Vec<Update>,
}

/// All recorded histories that this protocol reads.
pub fn histories() -> Vec<History> {
    let mut histories = Vec::new();
    for (file, recording) in recordings() {
        let cases = recording["cases"].as_array().cloned().unwrap_or_default();
        for case in cases.iter().chain([&recording]) {
            let lists = ["updates_v1", "late_updates_v1"].iter().filter_map(|key| case[*key].as_array());
            let updates: Option<Vec<_>> = lists.flatten().map(|hex| update(hex.as_str()?)).collect();
            let Some(updates) = updates.filter(|updates| !updates.is_empty()) else { continue };
            let name = format!("{file}/{}", case["name"].as_str().unwrap_or_default());
            histories.push(History { name, updates });
        }
    }
    assert!(histories.len() > 10, "only {} histories are recorded", histories.len());
    histories
}

/// All recorded binary frames of the y-websocket dialect, in both directions.
pub fn frames() -> Vec<Vec<u8>> {
    frames_of("yws-")
}

/// All recorded binary frames of the Hocuspocus dialect, in both directions.
pub fn hocuspocus() -> Vec<Vec<u8>> {
    frames_of("hp-")
}

/// All recorded binary frames of the y-sweet dialect, in both directions.
pub fn ysweet() -> Vec<Vec<u8>> {
    frames_of("ysweet-")
}

fn frames_of(prefix: &str) -> Vec<Vec<u8>> {
    let steps = steps(prefix);
    let frames: Vec<_> = steps.iter().filter(|step| step["type"] == "binary").filter_map(hex).collect();
    assert!(frames.len() > 10, "only {} frames of {prefix} are recorded", frames.len());
    frames
}

/// All recorded awareness updates.
pub fn awareness() -> Vec<Vec<u8>> {
    let of_the_file = recordings().into_iter().filter(|(file, _)| file == "awareness");
    let steps =
        of_the_file.flat_map(|(_, recording)| recording["steps"].as_array().cloned().unwrap_or_default());
    let updates: Vec<_> = steps.filter_map(|step| hex(&step)).collect();
    assert!(!updates.is_empty(), "no awareness updates are recorded");
    updates
}

fn steps(prefix: &str) -> Vec<Value> {
    let wire = recordings().into_iter().filter(|(file, _)| file.starts_with(prefix));
    wire.flat_map(|(_, recording)| recording["steps"].as_array().cloned().unwrap_or_default()).collect()
}

fn recordings() -> Vec<(String, Value)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/vectors");
    let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let files = files.filter(|path| path.extension().is_some_and(|extension| extension == "json"));
    let mut recordings: Vec<_> = files
        .map(|path| {
            let name = path.file_stem().unwrap().to_string_lossy().into_owned();
            (name, serde_json::from_slice(&fs::read(&path).unwrap()).unwrap())
        })
        .collect();
    recordings.sort_by(|one: &(String, Value), other| one.0.cmp(&other.0));
    recordings
}

fn update(hex: &str) -> Option<Update> {
    Update::parse(Bytes::from(unhex(hex)?)).ok()
}

fn hex(step: &Value) -> Option<Vec<u8>> {
    unhex(step["hex"].as_str()?)
}

fn unhex(hex: &str) -> Option<Vec<u8>> {
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(hex.get(at..at + 2)?, 16).ok()).collect()
}
