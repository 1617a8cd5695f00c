//! `quire backup` and `quire restore`.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result, bail};
use quire_persistence::archive::{self, Summary};

use super::outcome::Outcome;
use super::place::{Place, PlaceArgs, StoreArgs};
use super::progress::{self, Counted};
use super::verify::check_archive;

/// What to back up, and where to.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct BackupArgs {
    /// The archive to write; it must not exist
    #[arg(value_name = "FILE")]
    file: PathBuf,
    #[command(flatten)]
    place: PlaceArgs,
}

/// What to restore, and where to.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct RestoreArgs {
    /// The archive to read
    #[arg(value_name = "FILE")]
    file: PathBuf,
    #[command(flatten)]
    store: StoreArgs,
}

pub(super) fn backup(args: &BackupArgs) -> Result<Outcome> {
    let path = &args.file;
    if path.try_exists()? {
        bail!("{} is there already; choose another name", path.display());
    }
    let place = args.place.open()?;
    let mut part = OsString::from(path);
    part.push(".part");
    let part = PathBuf::from(part);
    let summary = write(&place, &part).inspect_err(|_| drop(fs::remove_file(&part)))?;
    // The name is given to whole archives only.
    fs::rename(&part, path).with_context(|| format!("cannot name the archive {}", path.display()))?;
    sync_folder(path)?;
    tell(&summary, "backed up")
}

/// Writes an archive, synced and read through.
fn write(place: &Place, path: &Path) -> Result<Summary> {
    let cannot = || format!("cannot write {}", path.display());
    let file = File::create(path).with_context(cannot)?;
    let mut out = BufWriter::with_capacity(1 << 20, &file);
    match place {
        Place::Store(store) => {
            let bar = progress::documents(super::names(&**store)?.len() as u64);
            archive::backup(&**store, &mut out, seconds(), &mut |_, _| bar.inc(1))?;
            bar.finish_and_clear();
        }
        Place::Server(server) => {
            let bar = progress::some_bytes();
            server.backup(&mut out, |bytes| bar.inc(bytes as u64))?;
            bar.finish_and_clear();
        }
    }
    out.flush().with_context(cannot)?;
    drop(out);
    file.sync_all().with_context(cannot)?;
    check_archive(path)
}

/// The new name survives a power cut.
fn sync_folder(path: &Path) -> Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if cfg!(unix) {
        File::open(folder)?.sync_all()?;
    }
    Ok(())
}

pub(super) fn restore(args: &RestoreArgs) -> Result<Outcome> {
    let spec = args.store.spec()?;
    let file = File::open(&args.file).with_context(|| format!("cannot read {}", args.file.display()))?;
    let bar = progress::bytes(file.metadata()?.len());
    let input = BufReader::with_capacity(1 << 20, Counted::new(file, bar.clone()));
    let summary = archive::restore(&spec, input, &mut |_, _| {})?;
    bar.finish_and_clear();
    tell(&summary, "restored")
}

fn tell(summary: &Summary, done: &str) -> Result<Outcome> {
    let mut out = io::stdout().lock();
    for doc in &summary.damaged {
        writeln!(out, "document {:?} is damaged and not in the archive", doc.as_str())?;
    }
    let (documents, deleted) = (summary.documents, summary.tombstones);
    writeln!(out, "{done}: {documents} documents, {deleted} deleted ones")?;
    Ok(Outcome::damaged_if(!summary.damaged.is_empty()))
}

fn seconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}
