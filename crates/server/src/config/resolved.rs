//! The configuration as it holds.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use quire_persistence::{StoreSpec, StoreSpecError};
use quire_relay::RedisConfig;
use tracing_subscriber::filter::Targets;

use super::access::Access;
use super::fault::{Fault, Faults, Place};
use super::injection::Injection;
use super::raw::{Given, Raw};
use super::setting::Setting;
use super::value;
use crate::accept::{Network, TlsFiles};
use crate::transport::{Bounds, Rates};

/// How log lines are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// A valid configuration. The only way to one is [`Config::resolve`].
#[derive(Clone, Debug)]
pub struct Config {
    pub(crate) listen: SocketAddr,
    /// Where monitoring is answered without a token.
    pub(crate) metrics_listen: Option<SocketAddr>,
    pub(crate) access: Access,
    pub(crate) tls: Option<TlsFiles>,
    pub(crate) trusted_proxies: Vec<Network>,
    pub(crate) max_unauthenticated: usize,
    pub(crate) bounds: Bounds,
    pub(crate) rates: Rates,
    pub(crate) store: StoreSpec,
    /// Where servers that share the store tell each other what is new.
    pub(crate) redis: Option<RedisConfig>,
    /// Where other servers reach this one over HTTP; `None` for the address that is listened on.
    pub(crate) advertise: Option<Arc<str>>,
    /// What was revoked; `None` where nothing is to survive the process.
    pub(crate) revocations: Option<PathBuf>,
    pub(crate) idle_unload: Duration,
    pub(crate) keepalive: Duration,
    pub(crate) max_connections: usize,
    pub(crate) max_message: usize,
    pub(crate) max_document: usize,
    pub(crate) max_documents: usize,
    pub(crate) max_memory: usize,
    pub(crate) outbox: usize,
    pub(crate) stream_log: usize,
    pub(crate) inbox: usize,
    pub(crate) write_timeout: Duration,
    pub(crate) header_timeout: Duration,
    pub(crate) view_workers: usize,
    pub(crate) view_timeout: Duration,
    pub(crate) view_memory: usize,
    pub(crate) watch_interval: Duration,
    pub(crate) max_watched: usize,
    pub(crate) log: Targets,
    pub(crate) log_format: LogFormat,
    pub(crate) injection: Injection,
    /// The program to start as view worker; `None` for this very program.
    pub(crate) worker: Option<PathBuf>,
}

impl Config {
    /// Makes a configuration of what was given and of defaults, or names everything that is wrong with it.
    pub fn resolve(raw: &Raw) -> Result<Self, Faults> {
        let mut reader = Reader { raw, faults: raw.faults().to_vec() };
        let listen = reader.value("listen", value::address);
        let access = reader.access();
        if !listen.ip().is_loopback() && !access.allow_anonymous && !access.has_keys() {
            reader.fault(
                "listen",
                "other machines can reach this address, and nobody is asked who they are: demand tokens with \
                 QUIRE_AUTH_SECRET, listen on a loopback address such as 127.0.0.1:1234, or let everyone read and write \
                 with --allow-anonymous"
                    .to_owned(),
            );
        }
        let data = reader.value("data", directory);
        let store = reader.value("store", |text| store(text).map(|spec| spec.within(&data)));
        let redis = reader.redis(&store);
        let revocations = match &store {
            // Where several servers share documents, they share what was revoked.
            StoreSpec::Memory | StoreSpec::Postgres(_) => None,
            StoreSpec::Redb(_) | StoreSpec::Sled(_) => Some(data.join("revocations.json")),
        };
        let config = Self {
            listen,
            metrics_listen: reader.optional("metrics_listen", value::address),
            access,
            tls: reader.tls(),
            trusted_proxies: reader.list("trusted_proxies", Network::parse),
            max_unauthenticated: reader
                .value("max_unauthenticated", |text| value::count(text, 1..=1_000_000)),
            bounds: reader.bounds(),
            rates: Rates {
                messages: reader.value("max_message_rate", |text| value::count(text, 1..=1_000_000)),
                bytes: reader.value("max_byte_rate", |text| value::bytes(text, 64 << 10..=1 << 40)),
            },
            store,
            redis,
            advertise: reader.optional("advertise", value::origin),
            revocations,
            idle_unload: reader.value("idle_unload", |text| value::duration(text, Duration::ZERO..=DAY)),
            keepalive: reader.value("keepalive", |text| value::duration(text, SECOND..=5 * MINUTE)),
            max_connections: reader.value("max_connections", |text| value::count(text, 1..=1_000_000)),
            max_message: reader.value("max_message", |text| value::bytes(text, 64 << 10..=1 << 30)),
            max_document: reader.value("max_document", |text| value::bytes(text, 64 << 10..=1 << 40)),
            max_documents: reader.value("max_documents", |text| value::count(text, 1..=10_000_000)),
            max_memory: reader.value("max_memory", |text| value::bytes(text, 1 << 20..=1 << 46)),
            outbox: reader.value("outbox", |text| value::bytes(text, 64 << 10..=1 << 30)),
            inbox: reader.value("inbox", |text| value::count(text, 1..=100_000)),
            stream_log: reader.value("stream_log", |text| value::bytes(text, 16 << 10..=1 << 30)),
            write_timeout: reader.value("write_timeout", |text| value::duration(text, SECOND..=60 * MINUTE)),
            header_timeout: reader.value("header_timeout", |text| value::duration(text, SECOND..=5 * MINUTE)),
            view_workers: reader.value("view_workers", |text| value::count(text, 1..=64)),
            view_timeout: reader.value("view_timeout", |text| value::duration(text, SECOND..=5 * MINUTE)),
            view_memory: reader.value("view_memory", |text| value::bytes(text, 64 << 20..=1 << 40)),
            watch_interval: reader
                .value("watch_interval", |text| value::duration(text, Duration::from_millis(20)..=MINUTE)),
            max_watched: reader.value("max_watched", |text| value::count(text, 1..=1_000_000)),
            log: reader.value("log", log_filter),
            log_format: reader.value("log_format", log_format),
            injection: Injection::default(),
            worker: None,
        };
        let injection = reader.fault_injection();
        Faults::check(reader.faults)?;
        Ok(Self { injection, ..config })
    }

    /// The address to listen on. With port 0, [`crate::server::Server::address`] knows the real one.
    pub fn listen(&self) -> SocketAddr {
        self.listen
    }

    /// The store, with its folder.
    pub fn store(&self) -> &StoreSpec {
        &self.store
    }

    /// Takes this program for the view worker. Needed where the running program is not `quire` itself.
    #[must_use]
    pub fn with_worker(mut self, program: impl Into<PathBuf>) -> Self {
        self.worker = Some(program.into());
        self
    }
}

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_mins(1);
const DAY: Duration = Duration::from_hours(24);

/// Takes values out of the raw settings and collects what is wrong with them.
pub(super) struct Reader<'a> {
    raw: &'a Raw,
    faults: Vec<Fault>,
}

impl Reader<'_> {
    /// The value of this setting. After a fault it is the default, so that the remaining settings can be looked at.
    pub(super) fn value<T>(&mut self, key: &str, parse: impl Fn(&str) -> Result<T, String>) -> T {
        let setting = setting(key);
        if let Some(Given { texts, place }) = self.raw.given(setting) {
            match parse(&texts.concat()) {
                Ok(value) => return value,
                Err(message) => self.faults.push(fault(setting, place, message)),
            }
        }
        #[expect(
            clippy::expect_used,
            reason = "defaults are constants; the test `every_default_is_valid` parses them all"
        )]
        parse(setting.default).expect("the default is valid")
    }

    /// The value of a setting without a default, if one is given. After a fault there is none.
    pub(super) fn optional<T>(&mut self, key: &str, parse: impl Fn(&str) -> Result<T, String>) -> Option<T> {
        let setting = setting(key);
        let Given { texts, place } = self.raw.given(setting)?;
        match parse(&texts.concat()) {
            Ok(value) => Some(value),
            Err(message) => {
                self.faults.push(fault(setting, place, message));
                None
            }
        }
    }

    /// The values of a list. After faults it lacks those.
    pub(super) fn list<T>(&mut self, key: &str, parse: impl Fn(&str) -> Result<T, String>) -> Vec<T> {
        let setting = setting(key);
        let Some(Given { texts, place }) = self.raw.given(setting) else { return Vec::new() };
        let mut values = Vec::with_capacity(texts.len());
        for text in texts {
            match parse(text) {
                Ok(value) => values.push(value),
                Err(message) => self.faults.push(fault(setting, place, message)),
            }
        }
        values
    }

    fn tls(&mut self) -> Option<TlsFiles> {
        let certificate = self.optional("tls_cert", directory);
        let key = self.optional("tls_key", directory);
        match (certificate, key) {
            (None, None) => None,
            (Some(certificate), Some(key)) => Some(TlsFiles { certificate, key }),
            (Some(_), None) => {
                self.fault("tls_cert", "the key is missing: give --tls-key as well".to_owned());
                None
            }
            (None, Some(_)) => {
                self.fault("tls_key", "the certificate is missing: give --tls-cert as well".to_owned());
                None
            }
        }
    }

    /// Redis, which is of use only where the store can be shared.
    fn redis(&mut self, store: &StoreSpec) -> Option<RedisConfig> {
        let prefix = self.value("redis_prefix", |text| {
            RedisConfig::parse("redis://localhost")
                .and_then(|config| config.with_prefix(text))
                .map_err(|error| error.to_string())
        });
        let redis = self.optional("redis", |text| {
            RedisConfig::parse(text)
                .and_then(|config| config.with_prefix(prefix.prefix()))
                .map_err(|error| error.to_string())
        })?;
        if !matches!(store, StoreSpec::Postgres(_)) {
            self.fault(
                "redis",
                format!(
                    "servers that tell each other what is new must have one store, and {store} is of this server alone: give all \
                     of them the same --store postgres://..., or leave Redis out"
                ),
            );
        }
        Some(redis)
    }

    fn bounds(&mut self) -> Bounds {
        let mut count = |key| self.value(key, |text| value::count(text, 1..=1_000_000));
        Bounds {
            per_address: count("max_per_address"),
            per_user: count("max_per_user"),
            per_document: count("max_per_document"),
            per_minute: count("max_connects"),
        }
    }

    /// A fault of this setting that shows only beside others.
    pub(super) fn fault(&mut self, key: &str, message: String) {
        let setting = setting(key);
        let place = self.raw.given(setting).map_or(&Place::Default, |given| &given.place);
        self.faults.push(fault(setting, place, message));
    }

    fn fault_injection(&mut self) -> Injection {
        let setting = setting("fault_injection");
        let mut injection = Injection::default();
        if let Some(Given { texts, place }) = self.raw.given(setting) {
            for text in texts {
                if let Err(message) = injection.add(text) {
                    self.faults.push(fault(setting, place, message));
                }
            }
        }
        injection
    }
}

fn setting(key: &str) -> &'static Setting {
    #[expect(
        clippy::expect_used,
        reason = "keys are constants of this file; the test `every_default_is_valid` uses them all"
    )]
    Setting::by_key(key).expect("the table has this key")
}

fn fault(setting: &Setting, place: &Place, message: String) -> Fault {
    let key = match place {
        Place::File { .. } | Place::Default => Some(setting.key.to_owned()),
        Place::Variable(_) | Place::Flag(_) => None,
    };
    Fault { place: place.clone(), key, message }
}

fn directory(text: &str) -> Result<PathBuf, String> {
    if text.is_empty() { Err("a path must be named".to_owned()) } else { Ok(PathBuf::from(text)) }
}

fn store(text: &str) -> Result<StoreSpec, String> {
    text.parse().map_err(|error: StoreSpecError| error.to_string())
}

fn log_filter(text: &str) -> Result<Targets, String> {
    let expected = || {
        format!(
            "{text:?} is no filter; write a level such as info, or levels by module such as info,hyper=debug"
        )
    };
    if text.trim().is_empty() {
        return Err(expected());
    }
    // A bare word that is no level would be taken for a module, and silence all others.
    if text.split(',').any(|part| {
        !part.contains('=') && part.trim().parse::<tracing::level_filters::LevelFilter>().is_err()
    }) {
        return Err(expected());
    }
    text.parse().map_err(|_| expected())
}

fn log_format(text: &str) -> Result<LogFormat, String> {
    match text {
        "text" => Ok(LogFormat::Text),
        "json" => Ok(LogFormat::Json),
        _ => Err(format!("{text:?} is no format; there are text and json")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults<const N: usize>(settings: [(&str, &str); N]) -> Vec<String> {
        Config::resolve(&Raw::of(settings)).unwrap_err().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn every_default_is_valid() {
        let config = Config::resolve(&Raw::default()).unwrap();
        assert_eq!(config.listen.to_string(), "127.0.0.1:1234");
        assert_eq!(config.store, StoreSpec::Redb("./quire-data".into()));
        assert_eq!(config.keepalive, Duration::from_secs(20));
        assert_eq!(config.max_message, 64 << 20);
        assert_eq!(config.injection, Injection::default());
    }

    #[test]
    fn all_faults_are_found_at_once() {
        assert_eq!(
            faults([
                ("listen", "nowhere"),
                ("keepalive", "20"),
                ("log_format", "xml"),
                ("view_workers", "0")
            ]),
            [
                "--listen: \"nowhere\" is no address; write one such as 127.0.0.1:1234, [::1]:1234 or 0.0.0.0:1234",
                "--keepalive: \"20\" is no time; write a whole number with ms, s, min, h or d, such as 20s",
                "--view-workers: 0 is out of bounds; from 1 to 64 is possible",
                "--log-format: \"xml\" is no format; there are text and json",
            ]
        );
    }

    #[test]
    fn strangers_are_let_in_only_on_loopback_or_when_told() {
        for address in ["127.0.0.1:0", "[::1]:0", "127.8.8.8:1", "localhost:0"] {
            Config::resolve(&Raw::of([("listen", address)])).unwrap();
        }
        for address in ["0.0.0.0:0", "[::]:0", "192.168.1.2:80"] {
            let found = faults([("listen", address)]);
            assert!(found.len() == 1 && found[0].contains("--allow-anonymous"), "{found:?}");
            Config::resolve(&Raw::of([("listen", address), ("allow_anonymous", "true")])).unwrap();
        }
    }

    #[test]
    fn stores() {
        let spec = |text| Config::resolve(&Raw::of([("data", "d"), ("store", text)])).unwrap().store;
        assert_eq!(spec("redb"), StoreSpec::Redb("d".into()));
        assert_eq!(spec("sled"), StoreSpec::Sled("d".into()));
        assert_eq!(spec("sled:/x:y"), StoreSpec::Sled("/x:y".into()));
        assert_eq!(spec("sled:x"), StoreSpec::Sled("d/x".into()));
        assert_eq!(spec("memory"), StoreSpec::Memory);
        assert_eq!(spec("postgres://ada:s3cret@db/q").to_string(), "postgres://ada@db/q");
        for text in ["", "sqlite", "memory:x", "sled:", "postgres:x"] {
            assert_eq!(faults([("store", text)]).len(), 1, "{text}");
        }
    }

    #[test]
    fn log_filters() {
        for text in ["info", "off", "info,hyper=debug", "warn, quire_server=trace"] {
            log_filter(text).unwrap();
        }
        for text in ["", "loud", "info,hyper", "hyper=loud"] {
            log_filter(text).unwrap_err();
        }
    }

    #[test]
    fn only_known_faults_are_injected() {
        let resolve = |text| Config::resolve(&Raw::of([("fault_injection", text)]));
        assert_eq!(resolve("store-delay=500ms").unwrap().injection.store_delay, Duration::from_millis(500));
        assert_eq!(resolve("eager-compaction=8").unwrap().injection.eager_compaction, Some(8));
        for text in ["eager-compaction=0", "store-delay", "store-delay=x", "store-delay=2min", "crash"] {
            resolve(text).unwrap_err();
        }
    }
}
