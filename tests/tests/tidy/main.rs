//! The repository checks itself: layers, file sizes, links, and words that must not stand anywhere.
//!
//! Every check collects all it finds and names each place, so that one run is enough to put things right.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking, in its helpers too"
)]

mod documents;
mod layers;
mod links;
mod sources;
mod tree;

/// Fails with all findings, one a line.
fn assert_none(what: &str, findings: &[String]) {
    assert!(findings.is_empty(), "{what}:\n  {}", findings.join("\n  "));
}
