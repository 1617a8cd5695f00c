//! Links between the documents.
//!
//! Only links inside the repository are followed. Anchors are those that GitHub makes of headings: lower case,
//! spaces as hyphens, other punctuation dropped, `-1` and so on for repeated ones.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Component, Path, PathBuf},
};

use crate::{assert_none, tree};

/// The lines of a document outside fenced code, with inline code blanked, with their numbers.
fn prose(text: &str) -> Vec<(usize, String)> {
    let mut fence: Option<&str> = None;
    let mut lines = Vec::new();
    for (at, line) in text.lines().enumerate() {
        let start = line.trim_start();
        let mark = ["```", "~~~"].into_iter().find(|mark| start.starts_with(mark));
        match (fence, mark) {
            (None, Some(mark)) => fence = Some(mark),
            (Some(open), Some(mark)) if open == mark => fence = None,
            (Some(_), _) => {}
            (None, None) => {
                let parts = line.split('`').enumerate();
                let plain =
                    parts.map(|(n, part)| if n % 2 == 0 { part.to_owned() } else { " ".repeat(part.len()) });
                lines.push((at + 1, plain.collect::<Vec<_>>().join("`")));
            }
        }
    }
    lines
}

/// Targets of `[text](target)` and of `[label]: target`.
fn targets(line: &str) -> Vec<&str> {
    let inline = line.match_indices("](").filter_map(|(at, mark)| {
        let rest = &line[at + mark.len()..];
        rest.find([')', ' ']).map(|end| &rest[..end])
    });
    let definition = line.trim_start().strip_prefix('[').and_then(|rest| rest.split_once("]: "));
    inline.chain(definition.map(|(_, target)| target.trim())).collect()
}

fn anchors(text: &str) -> BTreeSet<String> {
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    let mut anchors = BTreeSet::new();
    let numbers = prose(text).into_iter().map(|(at, _)| at);
    let lines: Vec<_> = text.lines().collect();
    for line in numbers.map(|at| lines[at - 1]) {
        if let Some(heading) =
            line.trim_start_matches('#').strip_prefix(' ').filter(|_| line.starts_with('#'))
        {
            let slug = slug(heading);
            let repeated = seen.entry(slug.clone()).or_default();
            anchors.insert(if *repeated == 0 { slug } else { format!("{slug}-{repeated}") });
            *repeated += 1;
        }
        for attribute in ["id=\"", "name=\""] {
            for (at, mark) in line.match_indices(attribute) {
                anchors.extend(line[at + mark.len()..].split('"').next().map(str::to_owned));
            }
        }
    }
    anchors
}

fn slug(heading: &str) -> String {
    // Of a link in a heading only the text counts.
    let mut plain = String::new();
    let mut rest = heading.trim();
    while let Some((before, link)) = rest.split_once("](") {
        plain.push_str(before);
        rest = link.split_once(')').map_or("", |(_, after)| after);
    }
    plain.push_str(rest);
    let kept = plain.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    kept.flat_map(char::to_lowercase).map(|c| if c == ' ' { '-' } else { c }).collect()
}

/// The path from the root of the repository, without `.` and `..`; `None` when it leads out of it.
fn resolve(from: &str, target: &str) -> Option<String> {
    let mut resolved = PathBuf::new();
    let start = if target.starts_with('/') { Path::new("") } else { Path::new(from).parent()? };
    for component in start.join(target.trim_start_matches('/')).components() {
        match component {
            Component::Normal(part) => resolved.push(part),
            Component::ParentDir if !resolved.pop() => return None,
            _ => {}
        }
    }
    Some(resolved.to_str()?.replace('\\', "/"))
}

#[test]
fn links_lead_somewhere() {
    let files = tree::files();
    let documents: BTreeMap<_, _> = files
        .iter()
        .filter(|file| file.has_extension(&["md"]))
        .map(|file| (file.path.as_str(), anchors(&file.text)))
        .collect();
    let mut findings = Vec::new();
    for file in files.iter().filter(|file| file.has_extension(&["md"])) {
        for (at, line) in prose(&file.text) {
            for link in targets(&line) {
                if link.contains("://") || link.starts_with("mailto:") {
                    continue;
                }
                let (target, anchor) = link.split_once('#').unwrap_or((link, ""));
                let path =
                    if target.is_empty() { Some(file.path.clone()) } else { resolve(&file.path, target) };
                let Some(path) = path.filter(|path| tree::root().join(path).exists()) else {
                    findings.push(format!("{}:{at} links to {link}, which is not there", file.path));
                    continue;
                };
                let known = documents.get(path.as_str());
                if !anchor.is_empty() && known.is_some_and(|anchors| !anchors.contains(anchor)) {
                    findings.push(format!("{}:{at} links to {link}, which has no such heading", file.path));
                }
            }
        }
    }
    assert_none("links that lead nowhere", &findings);
}

#[test]
fn headings_become_anchors_as_on_github() {
    let text = "# One edit, from key press to screen\n## `code` & [link](x.md)\n## Twice\n```\n# not one\n```\n## Twice\n";
    let expected = ["code--link", "one-edit-from-key-press-to-screen", "twice", "twice-1"];
    assert_eq!(anchors(text).iter().map(String::as_str).collect::<Vec<_>>(), expected);
}

#[test]
fn links_are_found_outside_code_only() {
    let text = "see [a](a.md#x) and ![b](b.png \"B\"), `[c](c.md)`\n```\n[d](d.md)\n```\n[e]: e.md\n";
    let found: Vec<_> = prose(text)
        .iter()
        .flat_map(|(_, line)| targets(line).into_iter().map(str::to_owned).collect::<Vec<_>>())
        .collect();
    assert_eq!(found, ["a.md#x", "b.png", "e.md"]);
    assert_eq!(resolve("crates/view/README.md", "../../README.md").as_deref(), Some("README.md"));
    assert_eq!(resolve("README.md", "../README.md"), None);
}
