//! `quire repair`: makes what is sound of a damaged document the document.

use std::io::{self, Write};

use anyhow::Result;
use quire_persistence::Repaired;
use quire_sync_protocol::DocId;

use super::outcome::Outcome;
use super::place::StoreArgs;
use super::progress;

/// What to repair.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct Args {
    /// The damaged document
    #[arg(value_name = "DOC")]
    doc: String,
    #[command(flatten)]
    store: StoreArgs,
}

pub(super) fn run(args: &Args) -> Result<Outcome> {
    let doc = DocId::new(&args.doc)?;
    let Repaired { kept, bytes } = args.store.open()?.inspect().repair(&doc)?;
    let (parts, size) = (if kept == 1 { "part of it is" } else { "parts of it are" }, progress::size(bytes));
    writeln!(io::stdout(), "repaired: {kept} {parts} kept, {size}; what was damaged is gone")?;
    Ok(Outcome::Sound)
}
