//! Where Redis is, and how it is used.

use std::fmt;
use std::time::Duration;

use redis::cluster::ClusterClient;
use redis::{Client, ConnectionAddr, ConnectionInfo, IntoConnectionInfo, ProtocolVersion};

use crate::events::Capacity;

/// The longest prefix of channels, in bytes.
pub const PREFIX_BYTES: usize = 64;

/// The prefix of channels, if none is given.
pub const PREFIX: &str = "quire";

/// Where Redis is, and how it is used. Checked when it is made; neither its `Debug` nor its errors show a password.
#[derive(Clone)]
pub struct RedisConfig {
    target: Target,
    prefix: String,
    /// What may wait for the node.
    pub events: Capacity,
    /// Bytes of messages that may wait to be sent; what is published beyond that is dropped.
    pub outgoing_bytes: usize,
    /// How often each server is asked for a sign of life.
    pub ping_every: Duration,
    /// How long an answer of a server may take before its connection is given up.
    pub patience: Duration,
}

/// What is connected to.
#[derive(Clone, Debug)]
pub(super) enum Target {
    /// One server, or what looks like one.
    One(Box<ConnectionInfo>),
    /// Any of the servers of a Redis Cluster.
    Cluster(Vec<ConnectionInfo>),
}

/// Why a configuration cannot be used: the operator's fault.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// It starts otherwise than a Redis URL does.
    #[error("a Redis URL starts with redis://, rediss://, redis+cluster:// or rediss+cluster://")]
    Scheme,
    /// It is no URL, or says something impossible.
    #[error(
        "the Redis URL cannot be used ({0}); write redis://[[user]:password@]host[:port][/database], special characters as %XX"
    )]
    Url(String),
    /// A certificate would not be checked.
    #[error(
        "a Redis URL with #insecure is refused: add the certificate authority to those of the system instead"
    )]
    Insecure,
    /// A cluster has no databases.
    #[error("Redis Cluster has database 0 only")]
    Database,
    /// The prefix is empty, too long, or has other characters.
    #[error("a prefix of channels has 1 to {PREFIX_BYTES} characters out of A-Z a-z 0-9 . _ : {{ }} -")]
    Prefix,
}

impl RedisConfig {
    /// Reads `redis://[[user]:password@]host[:port][/database]`, with `rediss` for TLS. Several of them, separated by commas, are servers of one
    /// Redis Cluster, and so is a single one with the scheme `redis+cluster` or `rediss+cluster`; those after the first may leave out scheme,
    /// user and password.
    pub fn parse(urls: &str) -> Result<Self, ConfigError> {
        let (scheme, rest) = urls.trim().split_once("://").ok_or(ConfigError::Scheme)?;
        let (scheme, is_cluster) = match scheme {
            "redis" | "rediss" => (scheme, rest.contains(',')),
            "redis+cluster" => ("redis", true),
            "rediss+cluster" => ("rediss", true),
            _ => return Err(ConfigError::Scheme),
        };
        let first = rest.split(',').next().unwrap_or_default();
        let user = first.rsplit_once('@').map(|(user, _)| format!("{user}@")).unwrap_or_default();
        let mut servers = Vec::new();
        for (number, server) in rest.split(',').map(str::trim).enumerate() {
            let url = match server.split_once("://") {
                Some((own, rest)) if own.strip_suffix("+cluster").unwrap_or(own) == scheme => {
                    format!("{scheme}://{rest}")
                }
                Some(_) => return Err(ConfigError::Scheme),
                None if number == 0 || server.contains('@') => format!("{scheme}://{server}"),
                None => format!("{scheme}://{user}{server}"),
            };
            servers.push(server_of(&url)?);
        }
        let target = if is_cluster {
            if servers.iter().any(|server| server.redis_settings().db() != 0) {
                return Err(ConfigError::Database);
            }
            ClusterClient::builder(servers.clone())
                .build()
                .map_err(|error| ConfigError::Url(gist(&error)))?;
            Target::Cluster(servers)
        } else {
            // There is one, since nothing is separated.
            let server = servers.pop().ok_or(ConfigError::Scheme)?;
            Client::open(server.clone()).map_err(|error| ConfigError::Url(gist(&error)))?;
            Target::One(Box::new(server))
        };
        Ok(Self {
            target,
            prefix: PREFIX.to_owned(),
            events: Capacity::default(),
            outgoing_bytes: 32 << 20,
            ping_every: Duration::from_millis(1500),
            patience: Duration::from_millis(2500),
        })
    }

    /// Channels begin with this instead of [`PREFIX`]. Clusters of nodes that share one Redis have different ones.
    pub fn with_prefix(mut self, prefix: &str) -> Result<Self, ConfigError> {
        let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._:{}-".contains(&byte);
        if prefix.is_empty() || prefix.len() > PREFIX_BYTES || !prefix.bytes().all(is_allowed) {
            return Err(ConfigError::Prefix);
        }
        prefix.clone_into(&mut self.prefix);
        Ok(self)
    }

    /// What channels begin with.
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    pub(super) fn target(&self) -> &Target {
        &self.target
    }
}

impl fmt::Debug for RedisConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { target, prefix, events, outgoing_bytes, ping_every, patience } = self;
        f.debug_struct("RedisConfig")
            .field("target", &format_args!("{target}"))
            .field("prefix", prefix)
            .field("events", events)
            .field("outgoing_bytes", outgoing_bytes)
            .field("ping_every", ping_every)
            .field("patience", patience)
            .finish()
    }
}

/// Where it is, without user and password.
impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::One(server) => write!(f, "Redis at {}", Place(server.addr())),
            Self::Cluster(servers) => {
                f.write_str("Redis Cluster at ")?;
                for (number, server) in servers.iter().enumerate() {
                    write!(f, "{}{}", if number == 0 { "" } else { ", " }, Place(server.addr()))?;
                }
                Ok(())
            }
        }
    }
}

/// Host and port, as in a URL.
struct Place<'a>(&'a ConnectionAddr);

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            ConnectionAddr::Tcp(host, port) | ConnectionAddr::TcpTls { host, port, .. }
                if host.contains(':') =>
            {
                write!(f, "[{host}]:{port}")
            }
            other => other.fmt(f),
        }
    }
}

fn server_of(url: &str) -> Result<ConnectionInfo, ConfigError> {
    let server = url.into_connection_info().map_err(|error| ConfigError::Url(gist(&error)))?;
    match server.addr() {
        ConnectionAddr::TcpTls { insecure: true, .. } => return Err(ConfigError::Insecure),
        ConnectionAddr::TcpTls { .. } | ConnectionAddr::Tcp(..) => {}
        _ => return Err(ConfigError::Scheme),
    }
    let settings = server.redis_settings().clone().set_protocol(ProtocolVersion::RESP3);
    Ok(server.set_redis_settings(settings))
}

/// What the library says of a URL, without the part that it quotes.
fn gist(error: &redis::RedisError) -> String {
    let text = error.to_string();
    text.split(" - ").next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(urls: &str) -> String {
        RedisConfig::parse(urls).unwrap().target.to_string()
    }

    #[test]
    fn urls_name_a_server_or_a_cluster() {
        assert_eq!(place("redis://localhost"), "Redis at localhost:6379");
        assert_eq!(place("rediss://ann:s%2Ccret@[::1]:7000/3"), "Redis at [::1]:7000");
        assert_eq!(place("redis+cluster://a:1"), "Redis Cluster at a:1");
        assert_eq!(place("redis://:secret@a:1,b:2,redis://:secret@c"), "Redis Cluster at a:1, b:2, c:6379");
        assert_eq!(place("rediss+cluster://:secret@a:1, b:2"), "Redis Cluster at a:1, b:2");
    }

    #[test]
    fn what_cannot_be_used_is_refused_with_the_reason() {
        let refused = |urls: &str| RedisConfig::parse(urls).unwrap_err();
        for urls in ["", "localhost", "http://a", "unix:///a", "redis://a,http://b", "rediss://a,redis://b"] {
            assert_eq!(refused(urls), ConfigError::Scheme, "{urls}");
        }
        assert_eq!(refused("rediss://a/#insecure"), ConfigError::Insecure);
        assert_eq!(refused("redis+cluster://a/1"), ConfigError::Database);
        assert_eq!(refused("redis://a/b"), ConfigError::Url("Invalid database number".into()));
        for urls in ["redis://", "redis://a:b", "redis://a,,b", "redis://:s@a,:t@b"] {
            assert!(matches!(refused(urls), ConfigError::Url(_)), "{urls}: {:?}", refused(urls));
        }
    }

    #[test]
    fn prefixes_cannot_imitate_channels() {
        let config = RedisConfig::parse("redis://a").unwrap();
        assert_eq!(config.prefix(), PREFIX);
        assert_eq!(config.clone().with_prefix("team-1.{x}:_").unwrap().prefix(), "team-1.{x}:_");
        for prefix in ["", "a/b", "a b", "a*", "\u{e4}", &"x".repeat(PREFIX_BYTES + 1)] {
            assert_eq!(config.clone().with_prefix(prefix).unwrap_err(), ConfigError::Prefix);
        }
    }

    #[test]
    fn passwords_are_not_shown() {
        for urls in ["redis://ann:hunter2@a", "redis+cluster://ann:hunter2@a,b"] {
            let shown = format!("{:?}", RedisConfig::parse(urls).unwrap());
            assert!(!shown.contains("hunter2") && !shown.contains("ann"), "{shown}");
        }
        for urls in ["redis://ann:hunter2@a/hunter2", "redis://ann:hun/ter2@a", "redis://a?protocol=hunter2"]
        {
            let error = RedisConfig::parse(urls).unwrap_err();
            assert!(!format!("{error} {error:?}").contains("ter2"), "{error}");
        }
    }
}
