//! Who may depend on whom: the table of ARCHITECTURE.md, held against the manifests.
//!
//! A crate's own tests (`dev-dependencies`) may use the test kit besides; nothing that is shipped may.

use std::collections::BTreeSet;

use toml::{Table, Value};

use crate::{
    assert_none,
    tree::{self, File},
};

/// Product crates by folder, and which of ours each may import.
const LAYERS: [(&str, &[&str]); 5] = [
    ("sync-protocol", &[]),
    ("persistence", &["quire-sync-protocol"]),
    ("relay", &["quire-sync-protocol"]),
    ("view", &["quire-sync-protocol"]),
    ("server", &["quire-sync-protocol", "quire-persistence", "quire-relay", "quire-view"]),
];

/// Folders in `crates/` that are not shipped.
const LEAVES: [&str; 1] = ["testkit"];

/// Packages of which each stays in the crates named: what brings a runtime, a network or a disk into pure code,
/// HTTP into what is not the server, and yrs into what must not depend on understanding documents.
const CONFINED: [(&str, &[&str]); 14] = [
    ("tokio", &["persistence", "relay", "view", "server"]),
    ("tokio-util", &["relay", "view", "server"]),
    ("futures-util", &["persistence", "relay", "view", "server"]),
    ("http", &["server"]),
    ("http-body-util", &["server"]),
    ("hyper", &["server"]),
    ("hyper-util", &["server"]),
    ("warp", &["server"]),
    ("tower", &["server"]),
    ("tokio-tungstenite", &["server"]),
    ("redb", &["persistence"]),
    ("sled", &["persistence"]),
    ("anyhow", &["server"]),
    ("yrs", &["sync-protocol", "view"]),
];

struct Manifest {
    /// `crates/NAME` or `NAME`.
    folder: String,
    table: Table,
}

impl Manifest {
    fn crate_name(&self) -> Option<&str> {
        self.folder.strip_prefix("crates/")
    }

    /// Names in all tables of this kind, those for single targets included.
    fn names(&self, kind: &str) -> BTreeSet<&str> {
        let for_targets =
            self.table.get("target").and_then(Value::as_table).into_iter().flat_map(Table::values);
        let tables = for_targets.filter_map(|target| target.get(kind)).chain(self.table.get(kind));
        tables.filter_map(Value::as_table).flat_map(Table::keys).map(String::as_str).collect()
    }

    /// What is compiled into the crate itself.
    fn shipped(&self) -> BTreeSet<&str> {
        let mut names = self.names("dependencies");
        names.extend(self.names("build-dependencies"));
        names
    }
}

fn manifests(files: &[File]) -> Vec<Manifest> {
    let manifests = files.iter().filter_map(|file| {
        let folder = file.path.strip_suffix("/Cargo.toml")?;
        Some(Manifest { folder: folder.to_owned(), table: file.text.parse().unwrap() })
    });
    manifests.collect()
}

fn is_ours(name: &str) -> bool {
    name.starts_with("quire-")
}

#[test]
fn crates_import_from_lower_levels_only() {
    let mut findings = Vec::new();
    let mut seen = BTreeSet::new();
    for manifest in manifests(&tree::files()) {
        let Some(name) = manifest.crate_name() else { continue };
        seen.insert(name.to_owned());
        if LEAVES.contains(&name) {
            continue;
        }
        let Some((_, lower)) = LAYERS.iter().find(|(layer, _)| *layer == name) else {
            findings.push(format!(
                "crates/{name} is in no layer: add it to the table of ARCHITECTURE.md and to this one"
            ));
            continue;
        };
        for other in manifest.shipped().into_iter().filter(|other| is_ours(other) && !lower.contains(other)) {
            findings.push(format!("crates/{name} depends on {other}"));
        }
        let test_only = ["quire-testkit"];
        for other in manifest.names("dev-dependencies") {
            if is_ours(other) && !lower.contains(&other) && !test_only.contains(&other) {
                findings.push(format!("the tests of crates/{name} depend on {other}"));
            }
        }
    }
    assert!(seen.contains("sync-protocol") && seen.contains("server"), "no manifests were read: {seen:?}");
    assert_none("dependencies against the layers", &findings);
}

#[test]
fn packages_stay_in_their_crates() {
    let mut findings = Vec::new();
    for manifest in manifests(&tree::files()) {
        let Some(name) = manifest.crate_name().filter(|name| !LEAVES.contains(name)) else { continue };
        for (package, places) in CONFINED {
            if manifest.shipped().contains(package) && !places.contains(&name) {
                findings.push(format!("crates/{name} depends on {package}, which belongs to {places:?}"));
            }
        }
        if manifest.names("dev-dependencies").contains("yrs") && !["sync-protocol", "view"].contains(&name) {
            findings.push(format!("the tests of crates/{name} depend on yrs"));
        }
    }
    assert_none("packages outside their crates", &findings);
}

#[test]
fn yrs_is_a_feature_of_the_protocol_and_named_in_its_peer_only() {
    let files = tree::files();
    let manifests = manifests(&files);
    let protocol = manifests.iter().find(|manifest| manifest.folder == "crates/sync-protocol").unwrap();
    let dependency = protocol.table.get("dependencies").and_then(|table| table.get("yrs"));
    assert_eq!(dependency.and_then(|yrs| yrs.get("optional")), Some(&Value::Boolean(true)));
    let features = protocol.table.get("features").and_then(Value::as_table).unwrap();
    let with_yrs = features.iter().filter(|(_, parts)| parts.as_array().unwrap().contains(&"dep:yrs".into()));
    assert_eq!(with_yrs.map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["yrs"]);

    let may_name = |path: &str| {
        path.starts_with("crates/view/")
            || path.starts_with("crates/sync-protocol/src/peer")
            || LEAVES.iter().any(|leaf| path.starts_with(&format!("crates/{leaf}/")))
            // Tests and examples of the protocol compare with yrs, or show the peer.
            || path.starts_with("crates/sync-protocol/tests/")
            || path.starts_with("crates/sync-protocol/examples/")
    };
    let mut findings = Vec::new();
    for file in files.iter().filter(|file| file.path.starts_with("crates/") && file.has_extension(&["rs"])) {
        for (at, line) in file.lines() {
            let code = line.split("//").next().unwrap_or_default();
            if (code.contains("yrs::") || code.contains("use yrs")) && !may_name(&file.path) {
                findings.push(format!("{}:{at}", file.path));
            }
        }
    }
    assert_none("yrs outside its places", &findings);
}

#[test]
fn the_protocol_reads_no_clock_and_does_no_io() {
    const FORBIDDEN: [&str; 7] =
        ["Instant::now", "SystemTime::now", "std::fs", "std::net", "std::process", "std::thread", "std::env"];
    let mut findings = Vec::new();
    for file in tree::files() {
        let is_test = file.path.ends_with("/tests.rs") || file.path.contains("/tests/");
        if !file.path.starts_with("crates/sync-protocol/src/") || is_test {
            continue;
        }
        // A test needs some instant to start from.
        let own = file.lines().take_while(|(_, line)| line.trim() != "#[cfg(test)]");
        for (at, line) in own.filter(|(_, line)| !line.trim_start().starts_with("//")) {
            if let Some(word) = FORBIDDEN.iter().find(|word| line.contains(**word)) {
                findings.push(format!("{}:{at} has {word}", file.path));
            }
        }
    }
    assert_none("a clock or I/O in the protocol", &findings);
}

#[test]
fn manifests_share_lints_and_versions() {
    let mut findings = Vec::new();
    for manifest in manifests(&tree::files()) {
        let folder = &manifest.folder;
        // Packages outside the workspace have a workspace table of their own.
        if manifest.table.contains_key("workspace") {
            continue;
        }
        let lints = manifest.table.get("lints").and_then(|lints| lints.get("workspace"));
        if lints != Some(&Value::Boolean(true)) {
            findings.push(format!("{folder}/Cargo.toml does not take the lints of the workspace"));
        }
        for kind in ["dependencies", "dev-dependencies", "build-dependencies"] {
            let Some(table) = manifest.table.get(kind).and_then(Value::as_table) else { continue };
            for (name, dependency) in table {
                let shared = dependency.get("workspace") == Some(&Value::Boolean(true));
                // A crate may name itself by path, to test itself with other features.
                if !shared && dependency.get("path").is_none() {
                    findings.push(format!("{folder}/Cargo.toml gives {name} a version of its own"));
                }
            }
        }
    }
    assert_none("manifests that go their own way", &findings);
}
