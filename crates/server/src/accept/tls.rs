//! Encryption, with certificates that may change while the server runs.

use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, SystemTime};

use rustls::ServerConfig;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use tokio::net::TcpStream;
use tokio::time::{MissedTickBehavior, interval, timeout};
use tokio_rustls::TlsAcceptor;
use tracing::{error, info};

use super::strangers::Place;
use super::wire::Wire;

/// How often the files are looked at.
const LOOK: Duration = Duration::from_secs(10);

/// Encrypts connections. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Tls {
    acceptor: TlsAcceptor,
    current: Arc<Current>,
}

/// Where certificate and key stand.
#[derive(Clone, Debug)]
pub(crate) struct TlsFiles {
    pub(crate) certificate: PathBuf,
    pub(crate) key: PathBuf,
}

/// Why there is no encryption.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read, or holds nothing that is needed.
    #[error("{}: {reason}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why, without anything of a key.
        reason: String,
    },
    /// Certificate and key do not belong together, or are of an unknown kind.
    #[error("certificate and key cannot be used: {0}")]
    Unusable(rustls::Error),
}

/// The certificate in use.
struct Current {
    files: TlsFiles,
    provider: Arc<CryptoProvider>,
    key: RwLock<Arc<CertifiedKey>>,
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls").field("files", &self.current.files).finish_non_exhaustive()
    }
}

impl fmt::Debug for Current {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Current").field("files", &self.files).finish_non_exhaustive()
    }
}

impl ResolvesServerCert for Current {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.key.read().unwrap_or_else(PoisonError::into_inner)))
    }
}

impl Tls {
    /// With the certificate and the key in these files. Blocking.
    pub(crate) fn new(files: TlsFiles) -> Result<Self, TlsError> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let key = RwLock::new(Arc::new(load(&files, &provider)?));
        let current = Arc::new(Current { files, provider: Arc::clone(&provider), key });
        let builder = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let mut config = builder
            .map_err(TlsError::Unusable)?
            .with_no_client_auth()
            .with_cert_resolver(Arc::clone(&current) as Arc<dyn ResolvesServerCert>);
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Self { acceptor: TlsAcceptor::from(Arc::new(config)), current })
    }

    /// Negotiates encryption, within this time and while the stranger has its place.
    pub(super) async fn accept(&self, stream: TcpStream, limit: Duration, place: &Place) -> io::Result<Wire> {
        tokio::select! {
            accepted = timeout(limit, self.acceptor.accept(stream)) => match accepted {
                Ok(accepted) => accepted.map(|stream| Wire::Tls(Box::new(stream))),
                Err(_) => Err(io::ErrorKind::TimedOut.into()),
            },
            () = place.must_go() => Err(io::ErrorKind::ConnectionAborted.into()),
        }
    }

    /// Takes up new files when they change, for as long as it is polled. What cannot be used is logged, and the
    /// former certificate stays.
    pub(crate) async fn keep_fresh(self) {
        let mut last = changed(&self.current.files);
        let mut look = interval(LOOK);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            look.tick().await;
            let current = Arc::clone(&self.current);
            let before = last;
            let looked = tokio::task::spawn_blocking(move || {
                let now = changed(&current.files);
                (now, (now != before).then(|| current.reload()))
            });
            let Ok((now, reloaded)) = looked.await else { continue };
            last = now;
            match reloaded {
                None => {}
                Some(Ok(())) => info!("the certificate has changed and is in use"),
                Some(Err(error)) => {
                    error!(%error, "the certificate has changed and cannot be used; the former stays");
                }
            }
        }
    }
}

impl Current {
    fn reload(&self) -> Result<(), TlsError> {
        let key = Arc::new(load(&self.files, &self.provider)?);
        *self.key.write().unwrap_or_else(PoisonError::into_inner) = key;
        Ok(())
    }
}

/// When the files were last written.
fn changed(files: &TlsFiles) -> [Option<SystemTime>; 2] {
    [&files.certificate, &files.key].map(|path| fs::metadata(path).and_then(|data| data.modified()).ok())
}

fn load(files: &TlsFiles, provider: &CryptoProvider) -> Result<CertifiedKey, TlsError> {
    let fault = |path: &Path, reason: String| TlsError::File { path: path.to_owned(), reason };
    let chain: Result<Vec<_>, _> =
        CertificateDer::pem_file_iter(&files.certificate).and_then(Iterator::collect);
    let chain = chain.map_err(|error| fault(&files.certificate, error.to_string()))?;
    if chain.is_empty() {
        return Err(fault(&files.certificate, "there is no certificate in it".to_owned()));
    }
    let key = PrivateKeyDer::from_pem_file(&files.key);
    let key = key.map_err(|error| fault(&files.key, error.to_string()))?;
    CertifiedKey::from_der(chain, key, provider).map_err(TlsError::Unusable)
}
