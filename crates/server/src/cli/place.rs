//! Where a command finds the documents: in a store that no server has open, or at a server that runs.

use std::env;
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context as _, Result, bail};
use quire_persistence::{DocumentStore, OpenError, StoreSpec};

use super::CONFIG_VARIABLE;
use super::remote::Remote;
use crate::config::{Config, Raw, Setting};

/// The variable that holds the token for a server.
pub(crate) const TOKEN_VARIABLE: &str = "QUIRE_TOKEN";

/// A store, by the settings that `serve` would use.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct StoreArgs {
    #[arg(
        long,
        value_name = "DIR",
        help = "Folder of the documents [env: QUIRE_DATA] [default: ./quire-data]"
    )]
    data: Option<String>,
    #[arg(
        long,
        value_name = "STORE",
        help = "Storage engine, as for `quire serve` [env: QUIRE_STORE] [default: redb]"
    )]
    store: Option<String>,
    #[arg(
        long,
        value_name = "FILE",
        help = "TOML file with settings, of which data and store count [env: QUIRE_CONFIG]"
    )]
    config: Option<PathBuf>,
}

/// A store or a server.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct PlaceArgs {
    #[arg(long, value_name = "URL", conflicts_with_all = ["data", "store", "config"], help = "Ask this running server, such as http://127.0.0.1:1234, instead of opening the store")]
    url: Option<String>,
    #[arg(
        long,
        value_name = "FILE",
        requires = "url",
        help = "File with a token that the server takes [default: the variable QUIRE_TOKEN]"
    )]
    token_file: Option<PathBuf>,
    #[command(flatten)]
    store: StoreArgs,
}

/// What [`PlaceArgs`] stand for.
#[derive(Debug)]
pub(super) enum Place {
    Store(Arc<dyn DocumentStore>),
    Server(Remote),
}

impl PlaceArgs {
    pub(super) fn open(&self) -> Result<Place> {
        let Some(url) = &self.url else { return Ok(Place::Store(self.store.open()?)) };
        let token = match &self.token_file {
            Some(path) => {
                let text = fs::read_to_string(path);
                Some(text.with_context(|| format!("cannot read the token in {}", path.display()))?)
            }
            None => env::var(TOKEN_VARIABLE).ok(),
        };
        let token = token.map(|token| token.trim().to_owned()).filter(|token| !token.is_empty());
        Ok(Place::Server(Remote::new(url, token)?))
    }
}

impl StoreArgs {
    /// Which store it is; it need not exist.
    pub(super) fn spec(&self) -> Result<StoreSpec> {
        let mut raw = Raw::default();
        let file = self
            .config
            .clone()
            .or_else(|| env::var_os(CONFIG_VARIABLE).filter(|path| !path.is_empty()).map(PathBuf::from));
        if let Some(path) = file {
            raw.add_file(&path);
        }
        raw.add_environment(env::vars_os());
        for (key, value) in [("data", &self.data), ("store", &self.store)] {
            if let (Some(setting), Some(value)) = (Setting::by_key(key), value) {
                raw.add_flag(setting, vec![value.clone()]);
            }
        }
        match Config::resolve(&raw) {
            Ok(config) => Ok(config.store().clone()),
            Err(faults) => {
                let faults: Vec<_> = faults.iter().map(ToString::to_string).collect();
                bail!("the settings are wrong: {}", faults.join("; "));
            }
        }
    }

    /// Opens a store that exists.
    pub(super) fn open(&self) -> Result<Arc<dyn DocumentStore>> {
        let spec = self.spec()?;
        match spec.files() {
            Some((folder, file)) if !folder.join(file).exists() => {
                bail!("there is no store at {}", folder.join(file).display());
            }
            Some(_) => {}
            None if spec == StoreSpec::Memory => {
                bail!("a store in memory has nothing that could be looked at")
            }
            None => {}
        }
        quire_persistence::open(&spec).map_err(|error| match error {
            error @ (OpenError::InUse { .. } | OpenError::DatabaseInUse { .. }) => {
                anyhow::Error::new(error).context("a server uses the store; ask that by --url")
            }
            error => error.into(),
        })
    }
}
