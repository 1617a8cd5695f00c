//! `quire verify`: reads everything that is stored, and names each document that is damaged.

use std::fs::File;
use std::io::{self, BufReader, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use quire_persistence::Checked;
use quire_persistence::archive::{ArchiveReader, Item};

use super::outcome::Outcome;
use super::place::StoreArgs;
use super::progress::{self, Counted};

/// What to verify.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    store: StoreArgs,
    /// Verify this archive of `quire backup` instead of a store
    #[arg(long, value_name = "FILE", conflicts_with_all = ["data", "store", "config"])]
    backup: Option<PathBuf>,
}

pub(super) fn run(args: &Args) -> Result<Outcome> {
    match &args.backup {
        Some(path) => archive(path),
        None => store(&args.store),
    }
}

fn store(args: &StoreArgs) -> Result<Outcome> {
    let store = args.open()?;
    let bar = progress::documents(super::names(&*store)?.len() as u64);
    let (mut sound, mut bytes, mut findings) = (0_u64, 0, Vec::new());
    store.inspect().verify(&mut |checked| {
        bar.inc(1);
        match checked {
            Checked::Sound { bytes: size, .. } => {
                sound += 1;
                bytes += size;
            }
            Checked::Damaged { error, .. } => findings.push(error.to_string()),
            Checked::Stray(damage) => findings.push(format!("something belongs to no document: {damage}")),
        }
    })?;
    bar.finish_and_clear();
    let mut out = io::stdout().lock();
    for finding in &findings {
        writeln!(out, "{finding}")?;
    }
    writeln!(out, "{sound} documents are sound, {}; {} findings", progress::size(bytes), findings.len())?;
    Ok(Outcome::damaged_if(!findings.is_empty()))
}

fn archive(path: &Path) -> Result<Outcome> {
    let summary = check_archive(path)?;
    let mut out = io::stdout().lock();
    for doc in &summary.damaged {
        writeln!(out, "document {:?} was damaged when the archive was made, and is not in it", doc.as_str())?;
    }
    let (documents, deleted) = (summary.documents, summary.tombstones);
    writeln!(out, "the archive is whole: {documents} documents, {deleted} deleted ones")?;
    Ok(Outcome::damaged_if(!summary.damaged.is_empty()))
}

/// Reads an archive to its end.
pub(super) fn check_archive(path: &Path) -> Result<quire_persistence::archive::Summary> {
    let file = File::open(path).with_context(|| format!("cannot read {}", path.display()))?;
    let bar = progress::bytes(file.metadata()?.len());
    let mut reader = ArchiveReader::begin(BufReader::new(Counted::new(file, bar.clone())))?;
    while let Some(item) = reader.next_item()? {
        match item {
            Item::Name { .. } | Item::Damaged(_) => {}
        }
    }
    bar.finish_and_clear();
    Ok(reader.summary().clone())
}
