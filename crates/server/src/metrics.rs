//! What the server counts, in the text format of Prometheus.

use std::fmt::{self, Write as _};
use std::sync::atomic::Ordering;

use crate::doc::{Counters, Directory, Unsaved};
use crate::store::StoreStatus;

/// The media type of [`render`].
pub(crate) const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Everything as it is at this moment.
pub(crate) fn render(directory: &Directory) -> String {
    let mut page = Page::default();
    page.put(
        Kind::Gauge,
        "info",
        concat!("{version=\"", env!("CARGO_PKG_VERSION"), "\"}"),
        "The version that runs.",
        1,
    );
    store(&mut page, &directory.status(), directory.unsaved());
    let memory = "Memory for all documents, about.";
    page.gauge("documents_bytes", memory, directory.memory_bytes());
    documents(&mut page, directory.counters());
    page.0
}

fn store(page: &mut Page, status: &StoreStatus, unsaved: Unsaved) {
    let (failing, seconds, documents) = match status {
        StoreStatus::Healthy => (0, 0, 0),
        StoreStatus::Failing { since, reason: _, documents } => {
            (1, since.elapsed().unwrap_or_default().as_secs(), *documents)
        }
    };
    page.gauge("store_failing", "1 while edits cannot be stored and none is confirmed.", failing);
    page.gauge("store_failing_seconds", "How long that has been so.", seconds);
    page.gauge("store_failing_documents", "Documents whose last attempt to be stored failed.", documents);
    page.gauge("unsaved_documents", "Documents with edits that are not stored yet.", unsaved.documents);
    page.gauge("unsaved_bytes", "Bytes of those edits.", unsaved.bytes);
}

#[expect(clippy::too_many_lines, reason = "a table, with an entry for each counter")]
fn documents(page: &mut Page, counters: &Counters) {
    // By name, so that none is forgotten.
    let Counters {
        documents,
        documents_full,
        no_room,
        sessions,
        joins,
        loads,
        load_failures,
        messages,
        batches,
        appends,
        commits,
        store_failures,
        resyncs,
        edits_refused,
        presence_refused,
        refused_unknown,
        refused_rights,
        refused_bounds,
        strangers_evicted,
        throttled,
        expired,
        revoked,
        gaps_asked,
        listeners,
        stream_skips,
        notifications,
        notifications_evicted,
        broadcasts,
        broadcasts_refused,
        watched,
        watch_readings,
        watch_reading_micros,
        watch_failures,
        nodes_heard,
        nodes_told,
        nodes_missed,
        tail_reads,
        panics,
        quarantined,
        compactions,
        compaction_failures,
    } = counters;
    for (name, help, gauge) in [
        ("documents_loaded", "Documents in memory, those that are loading included.", documents),
        (
            "documents_full",
            "Documents that are as large as they may be, and take no insertions.",
            documents_full,
        ),
        ("sessions", "Sessions of editors.", sessions),
        ("listeners", "Listeners to events, polls that wait included.", listeners),
        ("watched_documents", "Documents that are watched, or were a moment ago.", watched),
    ] {
        page.gauge(name, help, gauge.load(Ordering::Relaxed));
    }
    for (name, help, counter) in [
        ("joins_total", "Sessions that began.", joins),
        ("loads_total", "Documents loaded, found empty included.", loads),
        (
            "load_failures_total",
            "Loads that failed: the store could not be read, or what it holds is damaged.",
            load_failures,
        ),
        (
            "no_room_total",
            "Times a document could not be opened because as much was in memory as may be.",
            no_room,
        ),
        ("messages_total", "Messages taken from editors.", messages),
        ("batches_total", "Batches they were handled in.", batches),
        ("appends_total", "Updates stored.", appends),
        ("commits_total", "Commits that stored them.", commits),
        ("store_failures_total", "Commits that failed and are tried again.", store_failures),
        (
            "resyncs_total",
            "Times a slow reader was sent one difference instead of what had been dropped.",
            resyncs,
        ),
        ("nodes_heard_total", "Messages of other servers about documents that are open here.", nodes_heard),
        ("nodes_told_total", "Messages published for other servers.", nodes_told),
        (
            "nodes_missed_total",
            "Times something that other servers said about an open document may have been missed.",
            nodes_missed,
        ),
        (
            "tail_reads_total",
            "Times the log of an open document was read for what other servers have stored.",
            tail_reads,
        ),
        ("edits_refused_total", "Edits that were refused.", edits_refused),
        ("presence_refused_total", "Presence entries that were refused.", presence_refused),
        (
            "refused_unknown_total",
            "Requests and connections refused because nobody knew who it was.",
            refused_unknown,
        ),
        (
            "refused_rights_total",
            "Requests and connections refused for want of a right, or by the origin of their page.",
            refused_rights,
        ),
        ("refused_bounds_total", "Connections refused because a bound on them was reached.", refused_bounds),
        (
            "strangers_evicted_total",
            "Connections of nobody in particular that made room for others.",
            strangers_evicted,
        ),
        (
            "throttled_total",
            "Times a connection sent faster than it may and was read more slowly.",
            throttled,
        ),
        ("expired_total", "Connections that ended because their token did.", expired),
        ("revoked_total", "Connections that ended because their rights were taken back.", revoked),
        ("gaps_asked_total", "Times an editor was asked for content that others build on.", gaps_asked),
        (
            "stream_skips_total",
            "Times a listener was given the whole state instead of what it had missed.",
            stream_skips,
        ),
        ("notifications_total", "Notifications posted, repetitions not counted.", notifications),
        (
            "notifications_evicted_total",
            "Unread notifications that newer ones pushed out of a full inbox.",
            notifications_evicted,
        ),
        ("broadcasts_total", "Texts told to everybody in a document.", broadcasts),
        (
            "broadcasts_refused_total",
            "Such texts of editors that were dropped: without the right to write, or too many.",
            broadcasts_refused,
        ),
        ("watch_readings_total", "Times a worker was asked what a watched document says.", watch_readings),
        (
            "watch_reading_microseconds_total",
            "How long the answers to that were waited for.",
            watch_reading_micros,
        ),
        ("watch_failures_total", "Times there was no answer to that.", watch_failures),
        ("panics_total", "Internal errors that cost a document's memory.", panics),
        ("quarantined_total", "Documents closed to editors after repeated internal errors.", quarantined),
        ("compactions_total", "Compactions that replaced a log.", compactions),
        ("compaction_failures_total", "Compactions that failed and changed nothing.", compaction_failures),
    ] {
        page.counter(name, help, counter.load(Ordering::Relaxed));
    }
}

/// Lines so far.
#[derive(Default)]
struct Page(String);

#[derive(Clone, Copy)]
enum Kind {
    /// Goes up and down.
    Gauge,
    /// Counts since the process started.
    Counter,
}

impl Page {
    fn gauge(&mut self, name: &str, help: &str, value: impl fmt::Display) {
        self.put(Kind::Gauge, name, "", help, value);
    }

    fn counter(&mut self, name: &str, help: &str, value: impl fmt::Display) {
        self.put(Kind::Counter, name, "", help, value);
    }

    fn put(&mut self, kind: Kind, name: &str, labels: &str, help: &str, value: impl fmt::Display) {
        let kind = match kind {
            Kind::Gauge => "gauge",
            Kind::Counter => "counter",
        };
        // Writing to a string does not fail.
        let _ = writeln!(
            self.0,
            "# HELP quire_{name} {help}\n# TYPE quire_{name} {kind}\nquire_{name}{labels} {value}"
        );
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::sync::Arc;

    use quire_persistence::LocalStore;
    use quire_persistence::engines::MemoryEngine;

    use super::*;
    use crate::doc::DirectoryConfig;

    #[tokio::test]
    async fn every_metric_is_well_formed_and_in_the_manual() {
        let store = Arc::new(LocalStore::open(MemoryEngine::new()).unwrap());
        let directory = Directory::new(DirectoryConfig::default(), store).unwrap();
        Counters::add(&directory.counters().resyncs, 7);
        let page = render(&directory);
        let manual = include_str!("../OPERATIONS.md");
        let lines: Vec<&str> = page.lines().collect();
        let mut names = BTreeSet::new();
        for entry in lines.chunks(3) {
            let name = entry[2].split(['{', ' ']).next().unwrap();
            assert!(entry[0].starts_with(&format!("# HELP {name} ")) && entry[0].ends_with('.'), "{entry:?}");
            let kind = entry[1].strip_prefix(&format!("# TYPE {name} ")).unwrap();
            assert_eq!(kind, if name.ends_with("_total") { "counter" } else { "gauge" });
            entry[2].rsplit(' ').next().unwrap().parse::<u64>().unwrap();
            assert!(names.insert(name), "{name} twice");
            assert!(manual.contains(&format!("| `{name}` |")), "{name} is not in the manual");
        }
        assert!(lines.contains(&"quire_resyncs_total 7"));
        assert!(lines.contains(&"quire_store_failing 0"));
    }
}
