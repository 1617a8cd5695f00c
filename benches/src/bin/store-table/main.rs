//! `store-table`: what the engines do beside each other, on a real device, with every commit synced.
//!
//! Each figure comes from a process of its own, so that memory is that of one store and nothing is warm but the system's
//! cache of files. The engines take turns. Prints the table of `benches/README.md`.

mod work;

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};
use clap::{Parser, Subcommand};
use tempfile::TempDir;

use work::{Figures, Work};

#[derive(Debug, Parser)]
#[command(about = "Measures redb and sled side by side")]
struct Cli {
    #[command(subcommand)]
    command: Option<Step>,
    /// A folder on a real device, for the stores.
    #[arg(long, default_value_os_t = std::env::temp_dir())]
    data: PathBuf,
    /// How long appends go on for each size of batch.
    #[arg(long, default_value_t = 5)]
    seconds: u64,
    /// Rewrites of the same content.
    #[arg(long, default_value_t = 200_000)]
    rewrites: u64,
    /// Documents of the store of many.
    #[arg(long, default_value_t = 100_000)]
    documents: u64,
}

#[derive(Debug, Subcommand)]
enum Step {
    /// Do one piece of work on one store, and print what it took.
    Work {
        /// `redb:DIR`, `sled:DIR` or `postgres://USER@HOST/DATABASE`.
        store: quire_persistence::StoreSpec,
        #[command(subcommand)]
        work: Work,
    },
}

const ENGINES: [&str; 2] = ["redb", "sled"];

/// Sizes of documents, with their names in the table.
const SIZES: [(u64, &str); 3] = [(1 << 10, "1 KB"), (1 << 20, "1 MB"), (60 << 20, "60 MB")];

fn main() -> Result<()> {
    let cli = Cli::parse();
    if let Some(Step::Work { store, work }) = cli.command {
        println!("{}", serde_json::to_string(&work.run(&store)?)?);
        return Ok(());
    }
    println!("| figure | {} |\n|---|---|---|", ENGINES.join(" | "));
    for batch in [1, 16, 128] {
        let rates = beside(&cli.data, |store| {
            let figures = store.work(&["append", &batch.to_string(), &cli.seconds.to_string()])?;
            Ok(format!("{:.0}", figures.count as f64 / figures.seconds))
        })?;
        row(&format!("appends per second, {batch} to a commit"), &rates);
    }
    for (bytes, name) in SIZES {
        let opened = beside(&cli.data, |store| {
            store.work(&["document", &bytes.to_string()])?;
            store.open()
        })?;
        row(&format!("a document of {name}: open the store, read it; memory"), &opened);
    }
    let many = beside(&cli.data, |store| {
        store.work(&["documents", &cli.documents.to_string()])?;
        Ok(format!("{}, {} on disk", store.open()?, size(store.bytes()?)))
    })?;
    row(&format!("{} documents: open the store, read one; memory", cli.documents), &many);
    let rewritten = beside(&cli.data, |store| {
        let figures = store.work(&["rewrite", &cli.rewrites.to_string()])?;
        Ok(format!("{} ({:.0} s)", size(store.bytes()?), figures.seconds))
    })?;
    row(&format!("disk after {} rewrites of 1 KB", cli.rewrites), &rewritten);
    Ok(())
}

fn row(figure: &str, cells: &[String]) {
    println!("| {figure} | {} |", cells.join(" | "));
}

/// The same with each engine, on a new store.
fn beside(data: &Path, measure: impl Fn(&Store) -> Result<String>) -> Result<Vec<String>> {
    ENGINES
        .iter()
        .map(|engine| {
            let folder = TempDir::with_prefix_in("store-table-", data)?;
            measure(&Store { engine, folder }).with_context(|| format!("with {engine}"))
        })
        .collect()
}

/// A store in a folder that goes with it.
struct Store {
    engine: &'static str,
    folder: TempDir,
}

impl Store {
    /// Does a piece of work in a process of its own.
    fn work(&self, work: &[&str]) -> Result<Figures> {
        let spec = format!("{}:{}", self.engine, self.folder.path().display());
        let output = Command::new(std::env::current_exe()?).args(["work", &spec]).args(work).output()?;
        if !output.status.success() {
            bail!("{work:?} ended with {}: {}", output.status, String::from_utf8_lossy(&output.stderr));
        }
        Ok(serde_json::from_slice(&output.stdout)?)
    }

    /// Opens the store and reads one document.
    fn open(&self) -> Result<String> {
        let Figures { open_seconds, seconds, resident_bytes, .. } = self.work(&["open"])?;
        Ok(format!("{:.1} ms, {:.1} ms; {}", open_seconds * 1e3, seconds * 1e3, size(resident_bytes)))
    }

    /// Bytes that its files take on the device.
    fn bytes(&self) -> Result<u64> {
        fn under(folder: &Path) -> Result<u64> {
            let mut bytes = 0;
            for entry in std::fs::read_dir(folder)? {
                let entry = entry?;
                let metadata = entry.metadata()?;
                bytes += if metadata.is_dir() {
                    under(&entry.path())?
                } else {
                    std::os::unix::fs::MetadataExt::blocks(&metadata) * 512
                };
            }
            Ok(bytes)
        }
        under(self.folder.path())
    }
}

fn size(bytes: u64) -> String {
    format!("{:.1} MB", bytes as f64 / f64::from(1 << 20))
}
