//! All keys of the configuration, kept up to date.
//!
//! Files are looked at every few seconds, URLs fetched every few minutes, and at once, though not too often, when a token names a
//! key that nobody knows: so a key can be changed without a restart and without a gap. What cannot be fetched leaves the
//! keys that are known.

use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use futures_util::future::join_all;
use http::Uri;
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep_until, timeout};
use tracing::{error, info};

use super::keys::{self, Key, SOURCE_BYTES, Trust};
use crate::fetch::{Bounds, FetchError, Fetcher};

/// How often files are read again.
const FILES_EVERY: Duration = Duration::from_secs(10);

/// How often URLs are fetched, and the least time between two fetches that tokens with unknown keys cause.
const URLS_EVERY: Duration = Duration::from_mins(5);
const URLS_AT_MOST_EVERY: Duration = Duration::from_secs(5);

/// How long a token with an unknown key waits for a fetch.
const WAIT: Duration = Duration::from_secs(7);

const BOUNDS: Bounds = Bounds { time: Duration::from_secs(5), bytes: SOURCE_BYTES };

/// Where keys come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// A public key as PEM, or a JWKS.
    File(PathBuf),
    /// A JWKS.
    Url(Uri),
}

impl Source {
    /// A path or a URL as it stands in the configuration.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        if text.is_empty() {
            return Err("a file or a URL must be named".to_owned());
        }
        if !text.starts_with("https://") && !text.starts_with("http://") {
            return Ok(Self::File(text.into()));
        }
        let uri: Uri = text
            .parse()
            .map_err(|_| "this is no URL; write one such as https://login.example.com/jwks".to_owned())?;
        Ok(Self::Url(uri))
    }
}

/// All keys. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Ring {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    /// Those that do not change.
    fixed: Vec<Key>,
    /// Those of each source, in their order.
    known: RwLock<Vec<Arc<[Key]>>>,
    sources: Vec<Source>,
    fetcher: Option<Fetcher>,
    /// Somebody wants the URLs to be fetched.
    wanted: Notify,
    /// How often they have been.
    fetches: watch::Sender<u64>,
}

impl Ring {
    /// Reads all files; URLs come later, by [`Ring::keep_fresh`]. The error says which source cannot be used. Blocking.
    pub(crate) fn new(fixed: Vec<Key>, sources: Vec<Source>) -> Result<Self, String> {
        let mut known: Vec<Arc<[Key]>> = Vec::with_capacity(sources.len());
        let mut fetcher = None;
        for source in &sources {
            known.push(match source {
                Source::File(path) => keys::read(path)?.into(),
                Source::Url(_) => {
                    if fetcher.is_none() {
                        fetcher = Some(Fetcher::new().map_err(|error| error.to_string())?);
                    }
                    Arc::default()
                }
            });
        }
        let fetches = watch::Sender::new(0);
        let shared =
            Shared { fixed, known: RwLock::new(known), sources, fetcher, wanted: Notify::new(), fetches };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// The keys that are known now.
    pub(crate) fn keys(&self) -> Vec<Key> {
        let known = self.shared.known.read().unwrap_or_else(PoisonError::into_inner);
        self.shared.fixed.iter().chain(known.iter().flat_map(|keys| keys.iter())).cloned().collect()
    }

    /// Has the URLs fetched, if there are any and it has not just been done. `true` if they have been since. Cancel safe.
    pub(crate) async fn refreshed(&self) -> bool {
        if self.shared.fetcher.is_none() {
            return false;
        }
        let mut fetches = self.shared.fetches.subscribe();
        let before = *fetches.borrow_and_update();
        self.shared.wanted.notify_one();
        timeout(WAIT, fetches.wait_for(|fetches| *fetches > before)).await.is_ok()
    }

    /// Keeps the keys up to date for as long as it is polled.
    pub(crate) async fn keep_fresh(self) {
        let shared = &*self.shared;
        if shared.sources.is_empty() {
            return;
        }
        let mut fetched: Option<Instant> = None;
        loop {
            let due = fetched.is_none_or(|at| at.elapsed() >= URLS_EVERY);
            if due {
                self.fetch().await;
                fetched = Some(Instant::now());
            }
            let next_fetch = fetched.map_or_else(Instant::now, |at| at + URLS_AT_MOST_EVERY);
            tokio::select! {
                () = sleep_until(Instant::now() + FILES_EVERY) => self.read_again().await,
                () = shared.wanted.notified() => {
                    sleep_until(next_fetch).await;
                    self.fetch().await;
                    fetched = Some(Instant::now());
                }
            }
        }
    }

    /// Fetches all URLs at the same time.
    async fn fetch(&self) {
        let Some(fetcher) = &self.shared.fetcher else { return };
        let asked = self.shared.sources.iter().enumerate().filter_map(|(index, source)| match source {
            Source::Url(uri) => Some(async move { (index, uri, fetch(fetcher, uri).await) }),
            Source::File(_) => None,
        });
        for (index, uri, answer) in join_all(asked).await {
            let host = uri.host().unwrap_or_default();
            match answer {
                Ok(keys) => self.put(index, keys, host),
                Err(reason) => error!(host, reason, "keys cannot be fetched, those that are known stay"),
            }
        }
        self.shared.fetches.send_modify(|fetches| *fetches += 1);
    }

    async fn read_again(&self) {
        for (index, source) in self.shared.sources.iter().enumerate() {
            let Source::File(path) = source else { continue };
            let reading = path.clone();
            match tokio::task::spawn_blocking(move || keys::read(&reading)).await {
                Ok(Ok(keys)) => self.put(index, keys, &path.display().to_string()),
                Ok(Err(reason)) => error!(reason, "keys cannot be read, those that are known stay"),
                Err(_) => {}
            }
        }
    }

    fn put(&self, index: usize, keys: Vec<Key>, place: &str) {
        let ids = |keys: &[Key]| keys.iter().map(|key| key.id.clone()).collect::<Vec<_>>();
        let mut known = self.shared.known.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = known.get_mut(index) {
            let new = ids(&keys);
            if ids(known) != new {
                info!(place, keys = ?new, "other keys");
            }
            *known = keys.into();
        }
    }
}

async fn fetch(fetcher: &Fetcher, uri: &Uri) -> Result<Vec<Key>, String> {
    let answer = fetcher.get(uri, BOUNDS).await.map_err(|error: FetchError| error.to_string())?;
    if !answer.status.is_success() {
        return Err(format!("the answer is {}", answer.status.as_u16()));
    }
    keys::parse(&answer.body, Trust::Network)
}
