//! Where a database is, as an operator writes it.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use percent_encoding::percent_decode_str;
use tokio_postgres::Config;
use tokio_postgres::config::SslMode;

/// A database: `postgres://USER:PASSWORD@HOST:PORT/DATABASE`, with parameters as libpq takes them. Shown without the password.
#[derive(Clone, PartialEq, Eq)]
pub struct PostgresUrl {
    /// Everything but the password.
    shown: Arc<str>,
    pub(super) config: Box<Config>,
    pub(super) trust: Trust,
}

/// Whose certificate is good enough.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Trust {
    /// Anybody's: `sslmode=prefer`, which takes no TLS as well, so that whoever is between could refuse it anyway.
    Anybody,
    /// Whose the system trusts.
    System,
    /// Whose the authorities in this file of PEM certificates have signed.
    File(PathBuf),
}

/// The text is no address of a database. Holds what is wrong with it, without the text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this is no address of a PostgreSQL database: {0}; write postgres://USER:PASSWORD@HOST/DATABASE")]
pub struct PostgresUrlError(String);

impl PostgresUrl {
    /// Whether a text is meant for one.
    pub(crate) fn is_meant(text: &str) -> bool {
        text.starts_with("postgres:") || text.starts_with("postgresql:")
    }

    /// Reads an address.
    pub fn parse(text: &str) -> Result<Self, PostgresUrlError> {
        let (address, query) = text.split_once('?').unwrap_or((text, ""));
        if !address.starts_with("postgres://") && !address.starts_with("postgresql://") {
            return Err(PostgresUrlError("it does not begin with postgres://".to_owned()));
        }
        let (mut mode, mut file, mut rest, mut shown) = (None, None, Vec::new(), Vec::new());
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            // These two the client does not know, or not all values of.
            match key {
                "sslmode" => mode = Some(value),
                "sslrootcert" => {
                    let path = percent_decode_str(value).decode_utf8_lossy();
                    file = Some(PathBuf::from(&*path));
                }
                _ => rest.push(pair),
            }
            if key != "password" {
                shown.push(pair);
            }
        }
        let (ssl, trust) = match (mode, file) {
            (Some("disable"), None) => (SslMode::Disable, Trust::Anybody),
            (None | Some("prefer"), None) => (SslMode::Prefer, Trust::Anybody),
            (Some("require" | "verify-ca" | "verify-full"), None) => (SslMode::Require, Trust::System),
            (None | Some("require" | "verify-ca" | "verify-full"), Some(path)) => {
                (SslMode::Require, Trust::File(path))
            }
            (Some("disable" | "prefer"), Some(_)) => {
                return Err(PostgresUrlError("sslrootcert goes with sslmode=verify-full".to_owned()));
            }
            (Some(_), _) => {
                let modes = "sslmode is one of disable, prefer, require, verify-full";
                return Err(PostgresUrlError(modes.to_owned()));
            }
        };
        let plain =
            if rest.is_empty() { address.to_owned() } else { format!("{address}?{}", rest.join("&")) };
        let mut config: Config = plain.parse().map_err(|error| PostgresUrlError(told(&error)))?;
        if config.get_hosts().is_empty() && config.get_hostaddrs().is_empty() {
            return Err(PostgresUrlError("it names no host".to_owned()));
        }
        config.ssl_mode(ssl);
        let mut visible = without_password(address);
        if !shown.is_empty() {
            visible = format!("{visible}?{}", shown.join("&"));
        }
        Ok(Self { shown: visible.into(), config: Box::new(config), trust })
    }
}

/// What a client's error says of a text that it could not read. Names options, never their values.
fn told(error: &tokio_postgres::Error) -> String {
    let source = std::error::Error::source(error);
    source.map_or_else(|| error.to_string(), ToString::to_string)
}

/// An address without what stands between the user's name and the host.
fn without_password(address: &str) -> String {
    let Some((scheme, rest)) = address.split_once("://") else { return String::new() };
    let (authority, path) = rest.find('/').map_or((rest, ""), |slash| rest.split_at(slash));
    let shown = match authority.rsplit_once('@') {
        Some((user, host)) => format!("{}@{host}", user.split(':').next().unwrap_or_default()),
        None => authority.to_owned(),
    };
    format!("{scheme}://{shown}{path}")
}

impl fmt::Display for PostgresUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

impl fmt::Debug for PostgresUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PostgresUrl({})", self.shown)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_password_is_never_shown() {
        for (text, shown) in [
            ("postgres://ada:s3cret@db:5433/quire", "postgres://ada@db:5433/quire"),
            (
                "postgresql://ada:s3c%2Fret@db/quire?sslmode=disable",
                "postgresql://ada@db/quire?sslmode=disable",
            ),
            (
                "postgres://ada@db/quire?password=s3cret&application_name=q",
                "postgres://ada@db/quire?application_name=q",
            ),
            ("postgres://db", "postgres://db"),
            ("postgres://ada:s3c@ret@db/q", "postgres://ada@db/q"),
        ] {
            let url = PostgresUrl::parse(text).unwrap();
            assert_eq!(url.to_string(), shown);
            assert!(!format!("{url:?}").contains("s3c"), "{url:?}");
        }
    }

    #[test]
    fn what_is_wrong_is_said_and_the_text_is_not() {
        for (text, part) in [
            ("postgres:x", "postgres://"),
            ("postgres://ada:s3cret@db/q?sslmode=maybe", "sslmode is one of"),
            ("postgres://ada:s3cret@db/q?sslmode=prefer&sslrootcert=/ca", "verify-full"),
            ("postgres://ada:s3cret@db:x/q", "port"),
            ("postgres://ada:s3cret@db/q?colour=red", "colour"),
            ("postgres:///q", "no host"),
        ] {
            let error = PostgresUrl::parse(text).unwrap_err().to_string();
            assert!(error.contains(part) && !error.contains("s3c"), "{error}");
        }
    }

    #[test]
    fn a_certificate_is_looked_at_where_somebody_asks_for_it() {
        let read = |text: &str| {
            let url = PostgresUrl::parse(&format!("postgres://db/q{text}")).unwrap();
            (url.config.get_ssl_mode(), url.trust)
        };
        assert_eq!(read(""), (SslMode::Prefer, Trust::Anybody));
        assert_eq!(read("?sslmode=disable"), (SslMode::Disable, Trust::Anybody));
        assert_eq!(read("?sslmode=require"), (SslMode::Require, Trust::System));
        assert_eq!(read("?sslrootcert=/c%20a"), (SslMode::Require, Trust::File("/c a".into())));
    }
}
