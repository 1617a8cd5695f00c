//! One piece of work on one store.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use bytes::Bytes;
use clap::Subcommand;
use quire_persistence::{Append, DocumentStore, Epoch, StoreSpec};
use quire_sync_protocol::DocId;
use serde::{Deserialize, Serialize};
use yrs::{Doc, Options, ReadTxn as _, StateVector, Text as _, Transact as _};

/// Documents that appends go to in turn.
const DOCUMENTS: u64 = 1000;

/// Appends to a commit where their number is not what is measured.
const BATCH: u64 = 128;

/// A log longer than this is compacted, as the server does it with a document of this size.
const LOG_UPDATES: u64 = 500;

/// Rewrites to a commit: about what the server stores together when somebody types fast.
const REWRITES: usize = 16;

/// Bytes of one piece of text.
const PIECE: usize = 1 << 10;

#[derive(Debug, Subcommand)]
pub(crate) enum Work {
    /// Append updates of 40 bytes, so many to a commit and each to another document, for so many seconds.
    Append { batch: u64, seconds: u64 },
    /// Keep a document of about so many bytes, compacted.
    Document { bytes: usize },
    /// Keep so many documents with one update of 40 bytes.
    Documents { count: u64 },
    /// Open the store and read a document.
    Open,
    /// Replace the whole text of a document by another of the same length so many times, 16 to a commit.
    Rewrite { count: u64 },
}

/// What it took.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Figures {
    pub(crate) count: u64,
    pub(crate) seconds: f64,
    /// Until the store was open.
    pub(crate) open_seconds: f64,
    /// Memory of the process at the end, less what it had at the beginning.
    pub(crate) resident_bytes: u64,
}

impl Work {
    pub(crate) fn run(&self, spec: &StoreSpec) -> Result<Figures> {
        let resident = resident()?;
        let begin = Instant::now();
        let store = quire_persistence::open(spec)?;
        let open_seconds = begin.elapsed().as_secs_f64();
        let begin = Instant::now();
        let mut content = None;
        let count = match *self {
            Self::Append { batch, seconds } => append(&*store, batch, Duration::from_secs(seconds))?,
            Self::Document { bytes } => document(&*store, bytes)?,
            Self::Documents { count } => documents(&*store, count)?,
            Self::Open => {
                content = store.load(&doc(DOCUMENTS / 2)?)?;
                ensure!(content.is_some(), "the document is not there");
                1
            }
            Self::Rewrite { count } => rewrite(&*store, count)?,
        };
        let seconds = begin.elapsed().as_secs_f64();
        let resident_bytes = self::resident()?.saturating_sub(resident);
        drop(content);
        Ok(Figures { count, seconds, open_seconds, resident_bytes })
    }
}

fn doc(number: u64) -> Result<DocId> {
    Ok(DocId::new(&format!("document-{number}"))?)
}

fn small(number: u64) -> Result<Append> {
    Ok(Append { doc: doc(number)?, epoch: Epoch::FIRST, update: Bytes::from_static(&[7; 40]) })
}

fn append(store: &dyn DocumentStore, batch: u64, time: Duration) -> Result<u64> {
    let (begin, mut count) = (Instant::now(), 0);
    while begin.elapsed() < time {
        let batch =
            (count..count + batch).map(|number| small(number % DOCUMENTS)).collect::<Result<Vec<_>>>()?;
        store.append(&batch)?;
        count += batch.len() as u64;
    }
    Ok(count)
}

fn document(store: &dyn DocumentStore, bytes: usize) -> Result<u64> {
    let yrs = Doc::with_options(Options { client_id: yrs::ClientID::new(1), ..Options::default() });
    let text = yrs.get_or_insert_text("text");
    let mut transaction = yrs.transact_mut();
    // Each before the one before, so that they stay pieces.
    for number in 0..bytes.div_ceil(PIECE) {
        text.insert(&mut transaction, 0, &piece(number as u64));
    }
    let update = transaction.encode_state_as_update_v1(&StateVector::default()).into();
    let doc = doc(DOCUMENTS / 2)?;
    store.append(&[Append { doc: doc.clone(), epoch: Epoch::FIRST, update }])?;
    store.compact(&doc)?;
    Ok(1)
}

fn documents(store: &dyn DocumentStore, count: u64) -> Result<u64> {
    for first in (0..count).step_by(usize::try_from(BATCH)?) {
        let batch = (first..count.min(first + BATCH)).map(small).collect::<Result<Vec<_>>>()?;
        store.append(&batch)?;
    }
    Ok(count)
}

fn rewrite(store: &dyn DocumentStore, count: u64) -> Result<u64> {
    let yrs = Doc::with_options(Options { client_id: yrs::ClientID::new(1), ..Options::default() });
    let text = yrs.get_or_insert_text("text");
    let doc = doc(0)?;
    let mut batch = Vec::new();
    for number in 0..count {
        let update = {
            let mut transaction = yrs.transact_mut();
            let length = u32::try_from(PIECE)?;
            if number > 0 {
                text.remove_range(&mut transaction, 0, length);
            }
            text.insert(&mut transaction, 0, &piece(number));
            transaction.encode_update_v1().into()
        };
        batch.push(Append { doc: doc.clone(), epoch: Epoch::FIRST, update });
        if batch.len() == REWRITES {
            store.append(&std::mem::take(&mut batch))?;
        }
        if number % LOG_UPDATES == LOG_UPDATES - 1 {
            store.compact(&doc)?;
        }
    }
    store.append(&batch)?;
    Ok(count)
}

/// Text that no two numbers share.
fn piece(number: u64) -> String {
    format!("{number:0>PIECE$}")
}

/// The memory of this process, in bytes.
fn resident() -> Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes = line.and_then(|line| line.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok());
    Ok(kilobytes.context("/proc/self/status has another form")? * 1024)
}
