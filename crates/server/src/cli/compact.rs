//! `quire compact`: replaces logs by snapshots, on request.

use std::io::{self, Write};

use anyhow::Result;
use quire_persistence::StoreError;
use quire_sync_protocol::DocId;

use super::outcome::Outcome;
use super::place::{Place, PlaceArgs};
use super::progress;
use crate::store::reclaim::reclaim;

/// What to compact.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct Args {
    /// The document; without it, all of them
    #[arg(value_name = "DOC")]
    doc: Option<String>,
    #[command(flatten)]
    place: PlaceArgs,
}

/// What was done.
#[derive(Debug, Default)]
struct Sum {
    compacted: u64,
    unchanged: u64,
    failed: u64,
    bytes_before: u64,
    bytes_after: u64,
}

pub(super) fn run(args: &Args) -> Result<Outcome> {
    let only = args.doc.as_deref().map(DocId::new).transpose()?;
    let mut sum = Sum::default();
    match args.place.open()? {
        Place::Store(store) => {
            let names = match only {
                Some(doc) => vec![doc],
                None => super::names(&*store)?,
            };
            let bar = progress::documents(names.len() as u64);
            for doc in names {
                match store.compact(&doc) {
                    Ok(compacted) => {
                        sum.add(compacted.updates, compacted.bytes_before, compacted.bytes_after);
                    }
                    // Alone it is what was asked for; among others it is told.
                    Err(error @ (StoreError::NotFound { .. } | StoreError::Engine(_))) => {
                        return Err(error.into());
                    }
                    Err(error) => {
                        sum.failed += 1;
                        bar.suspend(|| writeln!(io::stderr(), "error: {error}"))?;
                    }
                }
                bar.inc(1);
            }
            bar.finish_and_clear();
            reclaim(&*store, u64::MAX)?;
        }
        Place::Server(server) => {
            let said = server.compact(only.as_ref())?;
            for doc in &said.failed {
                sum.failed += 1;
                writeln!(
                    io::stderr(),
                    "error: document {doc:?} cannot be compacted; the server's log says why"
                )?;
            }
            (sum.compacted, sum.unchanged) = (said.compacted, said.unchanged);
            (sum.bytes_before, sum.bytes_after) = (said.bytes_before, said.bytes_after);
        }
    }
    let Sum { compacted, unchanged, failed, bytes_before, bytes_after } = sum;
    let (before, after) = (progress::size(bytes_before), progress::size(bytes_after));
    let mut out = io::stdout().lock();
    writeln!(out, "{compacted} documents compacted, {unchanged} had nothing to compact, {failed} failed")?;
    writeln!(out, "from {before} to {after}")?;
    Ok(Outcome::damaged_if(failed > 0))
}

impl Sum {
    fn add(&mut self, updates: u64, bytes_before: u64, bytes_after: u64) {
        if updates > 0 {
            self.compacted += 1;
        } else {
            self.unchanged += 1;
        }
        self.bytes_before += bytes_before;
        self.bytes_after += bytes_after;
    }
}
