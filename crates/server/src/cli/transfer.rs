//! `quire export` and `quire import`: documents as Yjs updates, one raw or many as JSON lines.

use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, Read, Write};
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context as _, Result, bail};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use quire_persistence::{Append, DocumentStore, Epoch, StoreError};
use quire_sync_protocol::{DocId, Replica, Room, RoomConfig, Update};
use serde::{Deserialize, Serialize};

use super::outcome::Outcome;
use super::place::{Place, PlaceArgs};
use super::progress;

/// What to export.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct ExportArgs {
    /// The document to write as one raw Yjs update (v1); without it, all documents as JSON lines
    #[arg(value_name = "DOC")]
    doc: Option<String>,
    /// File to write instead of standard output
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Write what can still be read of a damaged document
    #[arg(long, requires = "doc", conflicts_with = "url")]
    salvage: bool,
    #[command(flatten)]
    place: PlaceArgs,
}

/// What to import.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct ImportArgs {
    /// The document that a raw Yjs update (v1) belongs to; without it, JSON lines of many documents are read
    #[arg(value_name = "DOC")]
    doc: Option<String>,
    /// File to read instead of standard input
    #[arg(long, value_name = "FILE")]
    from: Option<PathBuf>,
    #[command(flatten)]
    place: PlaceArgs,
}

/// One document.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    doc: String,
    /// A Yjs update in v1 encoding, in base64.
    update: String,
}

pub(super) fn export(args: &ExportArgs) -> Result<Outcome> {
    let place = args.place.open()?;
    let mut out: Box<dyn Write> = match &args.out {
        Some(path) => {
            let file = File::create_new(path);
            Box::new(file.with_context(|| format!("cannot make the file {}", path.display()))?)
        }
        None => Box::new(io::stdout().lock()),
    };
    if let Some(name) = &args.doc {
        let doc = DocId::new(name)?;
        let update = match &place {
            Place::Store(store) if args.salvage => salvaged(&**store, &doc)?,
            _ => read(&place, &doc)?,
        };
        out.write_all(&update)?;
        out.flush()?;
        return Ok(Outcome::Sound);
    }
    let mut out = BufWriter::new(out);
    let names = names(&place)?;
    let bar = progress::documents(names.len() as u64);
    let mut failed = false;
    for doc in names {
        match read(&place, &doc) {
            Ok(update) => {
                let line = Line { doc: doc.as_str().to_owned(), update: STANDARD.encode(&update) };
                serde_json::to_writer(&mut out, &line)?;
                out.write_all(b"\n")?;
            }
            Err(error) => {
                failed = true;
                bar.suspend(|| writeln!(io::stderr(), "error: {:?} is left out: {error:#}", doc.as_str()))?;
            }
        }
        bar.inc(1);
    }
    bar.finish_and_clear();
    out.flush()?;
    Ok(Outcome::damaged_if(failed))
}

pub(super) fn import(args: &ImportArgs) -> Result<Outcome> {
    let place = args.place.open()?;
    let mut input: Box<dyn Read> = match &args.from {
        Some(path) => Box::new(File::open(path).with_context(|| format!("cannot read {}", path.display()))?),
        None => Box::new(io::stdin().lock()),
    };
    if let Some(name) = &args.doc {
        let mut update = Vec::new();
        input.read_to_end(&mut update)?;
        write(&place, &DocId::new(name)?, update.into())?;
        return Ok(Outcome::Sound);
    }
    let bar = progress::some_bytes();
    for (number, line) in BufReader::new(input).lines().enumerate() {
        let line = line?;
        bar.inc(line.len() as u64 + 1);
        // What was imported before the line stays: doing it again does no harm.
        import_line(&place, &line).with_context(|| format!("line {}", number + 1))?;
    }
    bar.finish_and_clear();
    Ok(Outcome::Sound)
}

fn import_line(place: &Place, line: &str) -> Result<()> {
    let Line { doc, update } = serde_json::from_str(line)?;
    let update = STANDARD.decode(update).context("the update is not base64")?;
    let id = DocId::new(&doc)?;
    write(place, &id, update.into()).with_context(|| format!("document {doc:?}"))
}

fn names(place: &Place) -> Result<Vec<DocId>> {
    match place {
        Place::Store(store) => super::names(&**store),
        Place::Server(server) => server.names(),
    }
}

fn read(place: &Place, doc: &DocId) -> Result<Bytes> {
    match place {
        Place::Store(store) => {
            let stored = store.load(doc)?.ok_or_else(|| StoreError::NotFound { doc: doc.clone() })?;
            let mut replica = Replica::new();
            for update in stored.snapshot.into_iter().chain(stored.updates) {
                replica.insert(&Update::parse(update).context("it holds something that is no update")?);
            }
            Ok(replica.encode().bytes().clone())
        }
        Place::Server(server) => server.read(doc),
    }
}

/// What can be read of a document; the rest is passed over.
fn salvaged(store: &dyn DocumentStore, doc: &DocId) -> Result<Bytes> {
    let parts = store.inspect().salvage(doc)?.ok_or_else(|| StoreError::NotFound { doc: doc.clone() })?;
    let mut replica = Replica::new();
    for update in parts.into_iter().filter_map(|part| Update::parse(part).ok()) {
        replica.insert(&update);
    }
    Ok(replica.encode().bytes().clone())
}

fn write(place: &Place, doc: &DocId, bytes: Bytes) -> Result<()> {
    let update = Update::parse(bytes).context("this is no Yjs update of version 1")?;
    match place {
        Place::Store(store) => append(store, doc, &update),
        Place::Server(server) => server.write(doc, update.bytes().clone()),
    }
}

fn append(store: &Arc<dyn DocumentStore>, doc: &DocId, update: &Update) -> Result<()> {
    let mut epoch = Epoch::FIRST;
    let mut replica = Replica::new();
    if let Some(stored) = store.load(doc)? {
        epoch = stored.epoch;
        let mut room = Room::new(RoomConfig::default());
        room.load_dead(stored.dead);
        if room.is_of_dead_epoch(update) {
            bail!("the update is of a document of this name that was deleted");
        }
        for update in stored.snapshot.into_iter().chain(stored.updates) {
            replica.insert(&Update::parse(update).context("the document holds something that is no update")?);
        }
    }
    // As a server does: what is known is not stored again, and what is new is put in order.
    if let Some(delta) = replica.insert(update).delta {
        let update = delta.bytes().clone();
        store.append(&[Append { doc: doc.clone(), epoch, update }])?;
    } else if epoch == Epoch::FIRST && store.info(doc)?.is_none() {
        store.create(doc)?;
    }
    Ok(())
}
