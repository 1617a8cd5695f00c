//! Documents that must be there, and that must name what they are to explain.

use toml::{Table, Value};

use crate::{assert_none, tree};

/// At the root, and beside the crate whose contract each is.
const DOCUMENTS: [&str; 13] = [
    "README.md",
    "ARCHITECTURE.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
    "SECURITY.md",
    "LICENSE",
    "LICENSE-APACHE",
    "LICENSE-MIT",
    "crates/sync-protocol/PROTOCOL.md",
    "crates/persistence/FORMAT.md",
    "crates/relay/RELAY.md",
    "crates/server/OPERATIONS.md",
    "client/README.md",
];

#[test]
fn every_contract_is_written() {
    let files = tree::files();
    let is_missing =
        |path: &&&str| !files.iter().any(|file| file.path == ***path && !file.text.trim().is_empty());
    let missing: Vec<_> = DOCUMENTS.iter().filter(is_missing).map(|path| (*path).to_owned()).collect();
    assert_none("documents that are missing or empty", &missing);
}

#[test]
fn every_dependency_has_its_reason() {
    let files = tree::files();
    let text =
        |path: &str| files.iter().find(|file| file.path == path).map(|file| file.text.as_str()).unwrap();
    let workspace: Table = text("Cargo.toml").parse().unwrap();
    let dependencies = workspace["workspace"]["dependencies"].as_table().unwrap();
    let contributing = text("CONTRIBUTING.md");
    let is_unexplained =
        |name: &&String| !name.starts_with("quire-") && !contributing.contains(&format!("`{name}`"));
    let findings: Vec<_> = dependencies.keys().filter(is_unexplained).cloned().collect();
    assert_none("dependencies that CONTRIBUTING.md does not name", &findings);
}

#[test]
fn every_ignored_advisory_has_its_reason() {
    let files = tree::files();
    let deny: Table = files.iter().find(|file| file.path == "deny.toml").unwrap().text.parse().unwrap();
    let ignored = deny["advisories"]["ignore"].as_array().unwrap();
    let is_bare = |entry: &&Value| entry.get("reason").and_then(Value::as_str).is_none_or(str::is_empty);
    let findings: Vec<_> = ignored.iter().filter(is_bare).map(ToString::to_string).collect();
    assert_none("advisories without a reason in deny.toml", &findings);
}
