//! Size, characters and words of source files.

use crate::{assert_none, tree};

const MAX_LINES: usize = 500;

/// Longer than that with a reason: tables, which gain nothing from being cut.
const LONG: [(&str, &str); 0] = [];

/// Source files with characters beyond ASCII, and why they need them. Tests write them as escapes.
const NOT_ASCII: [(&str, &str); 0] = [];

const SOURCES: [&str; 8] = ["rs", "ts", "tsx", "js", "mjs", "sh", "toml", "css"];

/// Files made by tools, which nobody reads line by line.
fn is_made(path: &str) -> bool {
    path.ends_with("Cargo.lock") || path.ends_with("package-lock.json") || path.contains("/data/")
}

/// These files name what they forbid.
fn is_this_check(path: &str) -> bool {
    path.starts_with("tests/tests/tidy/")
}

#[test]
fn a_file_is_one_idea() {
    let mut findings = Vec::new();
    for file in tree::files() {
        let lines = file.text.lines().count();
        let is_listed = LONG.iter().any(|(path, _)| *path == file.path);
        if file.has_extension(&["rs", "ts", "tsx", "mjs", "js", "sh"]) && !is_made(&file.path) {
            if lines > MAX_LINES && !is_listed {
                findings.push(format!("{} has {lines} lines", file.path));
            }
            if lines <= MAX_LINES && is_listed {
                findings.push(format!("{} has only {lines} lines: take it off the list", file.path));
            }
        }
    }
    assert_none(&format!("files of more than {MAX_LINES} lines"), &findings);
}

#[test]
fn sources_are_ascii() {
    let mut findings = Vec::new();
    for file in tree::files() {
        let is_listed = NOT_ASCII.iter().any(|(path, _)| *path == file.path);
        if !file.has_extension(&SOURCES) || is_listed || is_made(&file.path) {
            continue;
        }
        for (at, line) in file.lines() {
            if let Some(c) = line.chars().find(|c| !c.is_ascii()) {
                findings.push(format!("{}:{at} has {}", file.path, c.escape_unicode()));
            }
        }
    }
    assert_none("characters beyond ASCII", &findings);
}

/// A file of the repository must mean the same on every machine.
#[test]
fn nothing_names_a_machine() {
    const MACHINES: [&str; 4] = ["/work/", "/root/", "/home/", "/Users/"];
    const HOSTS: [&str; 8] = [
        "index.crates.io",
        "static.crates.io",
        "registry.npmjs.org",
        "pypi.org",
        "files.pythonhosted.org",
        "deb.debian.org",
        "proxy.golang.org",
        "static.rust-lang.org",
    ];
    let mut findings = Vec::new();
    for file in tree::files().iter().filter(|file| !is_this_check(&file.path)) {
        for (at, line) in file.lines() {
            if let Some(host) = HOSTS.iter().find(|host| line.contains(**host)) {
                findings.push(format!("{}:{at} names {host}", file.path));
            }
            // Part of a longer path or of a URL it is no path of a machine.
            let starts_path = |at: usize| {
                !line[..at].ends_with(|c: char| {
                    c.is_alphanumeric() || matches!(c, '.' | '-' | '_' | '}' | ')' | '/')
                })
            };
            if let Some(path) =
                MACHINES.iter().find(|path| line.match_indices(**path).any(|(at, _)| starts_path(at)))
            {
                findings.push(format!("{}:{at} has the path {path}", file.path));
            }
        }
    }
    assert_none("names of machines and registries", &findings);
}

#[test]
fn nothing_is_left_unfinished() {
    const UNFINISHED: [&str; 6] = ["todo!", "unimplemented!", "dbg!", "TODO", "FIXME", "XXX"];
    let mut findings = Vec::new();
    for file in tree::files() {
        let is_product = file.path.starts_with("crates/") && !file.path.starts_with("crates/testkit/");
        if !is_product || !file.has_extension(&["rs"]) {
            continue;
        }
        for (at, line) in file.lines() {
            if let Some(word) = UNFINISHED.iter().find(|word| line.contains(**word)) {
                findings.push(format!("{}:{at} has {word}", file.path));
            }
        }
    }
    assert_none("unfinished places", &findings);
}

#[test]
fn no_test_is_left_out() {
    const RUST: [&str; 2] = ["#[ignore", "cfg_attr(miri, ignore"];
    const NODE: [&str; 10] = [
        "test.skip",
        "it.skip",
        "describe.skip",
        "test.only",
        "it.only",
        "describe.only",
        "test.todo",
        "skip: true",
        "only: true",
        "todo: true",
    ];
    let mut findings = Vec::new();
    for file in tree::files().iter().filter(|file| !is_this_check(&file.path)) {
        let words: &[&str] = match file {
            file if file.has_extension(&["rs"]) => &RUST,
            file if file.has_extension(&["mjs", "js", "ts"]) => &NODE,
            _ => continue,
        };
        for (at, line) in file.lines() {
            if let Some(word) = words.iter().find(|word| line.contains(**word)) {
                findings.push(format!("{}:{at} has {word}", file.path));
            }
        }
    }
    assert_none("tests that do not run", &findings);
}
