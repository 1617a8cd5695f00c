//! The table of settings: names, defaults and what each is for.

/// How a setting is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// One value.
    Value,
    /// `true` or `false`; the bare flag means `true`.
    Switch,
    /// Several values: the flag repeated, a comma-separated variable, or an array in the file.
    List,
    /// A value that is never shown. It has no flag, since other users of the machine see the command line.
    Secret,
}

/// One setting.
#[derive(Debug)]
pub struct Setting {
    /// Its key in the TOML file. Flag and variable follow from it.
    pub key: &'static str,
    /// How its values are written.
    pub kind: Kind,
    /// What stands for its value in the help text.
    pub placeholder: &'static str,
    /// Its value when nobody gives one; empty for "none".
    pub default: &'static str,
    /// What it does, for the help text.
    pub help: &'static str,
    /// The heading under which the help lists it.
    pub group: &'static str,
}

impl Setting {
    /// The setting of this TOML key.
    pub fn by_key(key: &str) -> Option<&'static Self> {
        SETTINGS.iter().find(|setting| setting.key == key)
    }

    /// The flag without its dashes: `idle-unload`.
    pub fn flag(&self) -> String {
        self.key.replace('_', "-")
    }

    /// The environment variable: `QUIRE_IDLE_UNLOAD`.
    pub fn variable(&self) -> String {
        format!("QUIRE_{}", self.key.to_uppercase())
    }
}

/// Every setting, in the order of the help text. OPERATIONS.md has the same table with more words; a test compares them.
pub static SETTINGS: &[Setting] = &[
    Setting {
        key: "listen",
        kind: Kind::Value,
        placeholder: "ADDR:PORT",
        // The port that y-websocket's own server uses.
        default: "127.0.0.1:1234",
        help: "Address to listen on; port 0 takes a free one",
        group: "Serving",
    },
    Setting {
        key: "trusted_proxies",
        kind: Kind::List,
        placeholder: "ADDRESS",
        default: "",
        help: "Proxies whose X-Forwarded-For is believed: addresses, or ranges such as 10.0.0.0/8",
        group: "Serving",
    },
    Setting {
        key: "metrics_listen",
        kind: Kind::Value,
        placeholder: "ADDR:PORT",
        default: "",
        help: "Another address, for monitoring: metrics and health, for whoever reaches it",
        group: "Serving",
    },
    Setting {
        key: "tls_cert",
        kind: Kind::Value,
        placeholder: "FILE",
        default: "",
        help: "Certificate chain, as PEM; with it the server speaks TLS. Taken up anew when it changes",
        group: "Serving",
    },
    Setting {
        key: "tls_key",
        kind: Kind::Value,
        placeholder: "FILE",
        default: "",
        help: "Private key of the certificate, as PEM",
        group: "Serving",
    },
    Setting {
        key: "allow_anonymous",
        kind: Kind::Switch,
        placeholder: "BOOL",
        default: "false",
        help: "Let those who show no token read and write, even where other machines reach the address",
        group: "Access",
    },
    Setting {
        key: "auth_secret",
        kind: Kind::Secret,
        placeholder: "SECRET",
        default: "",
        help: "The secret that tokens are signed with (HS256)",
        group: "Access",
    },
    Setting {
        key: "auth_secret_file",
        kind: Kind::Value,
        placeholder: "FILE",
        default: "",
        help: "File with the secret that tokens are signed with (HS256)",
        group: "Access",
    },
    Setting {
        key: "auth_keys",
        kind: Kind::List,
        placeholder: "FILE|URL",
        default: "",
        help: "Keys that tokens are signed with: a public key as PEM or a JWKS, or the URL of a JWKS",
        group: "Access",
    },
    Setting {
        key: "auth_audience",
        kind: Kind::Value,
        placeholder: "TEXT",
        default: "",
        help: "Whom tokens must be for (aud)",
        group: "Access",
    },
    Setting {
        key: "auth_issuer",
        kind: Kind::Value,
        placeholder: "TEXT",
        default: "",
        help: "Who must have made tokens (iss)",
        group: "Access",
    },
    Setting {
        key: "auth_webhook",
        kind: Kind::Value,
        placeholder: "URL",
        default: "",
        help: "The application that is asked who somebody is, instead of keys",
        group: "Access",
    },
    Setting {
        key: "auth_webhook_timeout",
        kind: Kind::Value,
        placeholder: "TIME",
        default: "5s",
        help: "Time for its answer; without one nobody is let in",
        group: "Access",
    },
    Setting {
        key: "auth_webhook_cache",
        kind: Kind::Value,
        placeholder: "TIME",
        default: "10s",
        help: "How long its answer is kept",
        group: "Access",
    },
    Setting {
        key: "allow_origin",
        kind: Kind::List,
        placeholder: "ORIGIN",
        default: "",
        help: "Web pages that may connect beside the server's own: https://docs.example.com, https://*.example.com, http://localhost:*, or * for any",
        group: "Access",
    },
    Setting {
        key: "stamp_presence",
        kind: Kind::Switch,
        placeholder: "BOOL",
        default: "true",
        help: "Write user and name of the token into presence, over what the editor says; only where tokens are demanded",
        group: "Access",
    },
    Setting {
        key: "refuse",
        kind: Kind::Value,
        placeholder: "HOW",
        default: "http",
        help: "How editors without a right are refused: http (401 or 403), or close (4401 or 4403)",
        group: "Access",
    },
    Setting {
        key: "data",
        kind: Kind::Value,
        placeholder: "DIR",
        default: "./quire-data",
        help: "Folder of the documents",
        group: "Storing",
    },
    Setting {
        key: "store",
        kind: Kind::Value,
        placeholder: "STORE",
        default: "redb",
        help: "Storage engine: redb, sled, each with a folder of its own if written redb:DIR or sled:DIR, memory, or a database: \
               postgres://USER:PASSWORD@HOST/DATABASE",
        group: "Storing",
    },
    Setting {
        key: "redis",
        kind: Kind::Value,
        placeholder: "URL",
        default: "",
        help: "Redis, through which servers that share one PostgreSQL tell each other what is new: redis://..., rediss://...",
        group: "Storing",
    },
    Setting {
        key: "redis_prefix",
        kind: Kind::Value,
        placeholder: "TEXT",
        default: "quire",
        help: "What the names of channels in Redis begin with; the same for all servers of a cluster",
        group: "Storing",
    },
    Setting {
        key: "advertise",
        kind: Kind::Value,
        placeholder: "URL",
        default: "",
        help: "Where the other servers of a cluster reach this one, such as http://10.0.0.7:1234",
        group: "Storing",
    },
    Setting {
        key: "idle_unload",
        kind: Kind::Value,
        placeholder: "TIME",
        default: "30s",
        help: "How long a document stays in memory after its last session",
        group: "Storing",
    },
    Setting {
        key: "keepalive",
        kind: Kind::Value,
        placeholder: "TIME",
        // y-websocket reconnects after 30 s without a message, and many proxies after 60 s of silence.
        default: "20s",
        help: "A connection that is silent for this long gets a sign of life, and is asked for one",
        group: "Limits",
    },
    Setting {
        key: "max_connections",
        kind: Kind::Value,
        placeholder: "COUNT",
        default: "20000",
        help: "Editors connected at the same time; further ones get 503",
        group: "Limits",
    },
    Setting {
        key: "max_unauthenticated",
        kind: Kind::Value,
        placeholder: "COUNT",
        default: "2048",
        help: "Connections of which nobody knows yet whose they are; beyond it the oldest goes",
        group: "Limits",
    },
    Setting {
        key: "max_per_address",
        kind: Kind::Value,
        placeholder: "COUNT",
        default: "1000",
        help: "Editors connected from one address; further ones get 429",
        group: "Limits",
    },
    Setting {
        key: "max_per_user",
        kind: Kind::Value,
        placeholder: "COUNT",
        default: "1000",
        help: "Editors connected with one user's tokens; further ones get 429",
        group: "Limits",
    },
    Setting {
        key: "max_per_document",
        kind: Kind::Value,
        placeholder: "COUNT",
        default: "10000",
        help: "Editors connected to one document; further ones get 429",
        group: "Limits",
    },
    Setting {
        key: "max_connects",
        kind: Kind::Value,
        placeholder: "COUNT",
        default: "300",
        help: "Connections that one user or address may begin in a minute, beyond a burst; further ones get 429",
        group: "Limits",
    },
    Setting {
        key: "max_message",
        kind: Kind::Value,
        placeholder: "SIZE",
        default: "64MiB",
        help: "Largest message of an editor; one that sends a larger one is closed with 1009",
        group: "Limits",
    },
    Setting {
        key: "max_message_rate",
        kind: Kind::Value,
        placeholder: "COUNT",
        default: "10000",
        help: "Messages that one connection may send in a second; who sends more is read more slowly",
        group: "Limits",
    },
    Setting {
        key: "max_byte_rate",
        kind: Kind::Value,
        placeholder: "SIZE",
        default: "64MiB",
        help: "Bytes that one connection may send in a second; who sends more is read more slowly",
        group: "Limits",
    },
    Setting {
        key: "max_document",
        kind: Kind::Value,
        placeholder: "SIZE",
        default: "1GiB",
        help: "Largest document; beyond it only deletions are taken",
        group: "Limits",
    },
    Setting {
        key: "max_documents",
        kind: Kind::Value,
        placeholder: "COUNT",
        default: "100000",
        help: "Documents in memory; for one more, those that nobody has open leave",
        group: "Limits",
    },
    Setting {
        key: "max_memory",
        kind: Kind::Value,
        placeholder: "SIZE",
        default: "4GiB",
        help: "Memory for all documents, about; for one more, those that nobody has open leave",
        group: "Limits",
    },
    Setting {
        key: "outbox",
        kind: Kind::Value,
        placeholder: "SIZE",
        default: "1MiB",
        help: "What may wait for one slow reader; beyond it the reader gets one difference instead of every edit",
        group: "Limits",
    },
    Setting {
        key: "stream_log",
        kind: Kind::Value,
        placeholder: "SIZE",
        default: "256KiB",
        help: "Events kept of each stream for listeners that are slow or come back; others get the whole state",
        group: "Limits",
    },
    Setting {
        key: "inbox",
        kind: Kind::Value,
        placeholder: "COUNT",
        default: "1000",
        help: "Notifications kept for one user; newer ones push out the oldest",
        group: "Limits",
    },
    Setting {
        key: "write_timeout",
        kind: Kind::Value,
        placeholder: "TIME",
        default: "60s",
        help: "A connection that takes no byte for this long is closed",
        group: "Limits",
    },
    Setting {
        key: "header_timeout",
        kind: Kind::Value,
        placeholder: "TIME",
        default: "10s",
        help: "Time for a request's head to arrive, and for the next request on an open connection",
        group: "Limits",
    },
    Setting {
        key: "view_workers",
        kind: Kind::Value,
        placeholder: "COUNT",
        default: "2",
        help: "Worker processes that read documents for the HTTP API",
        group: "Limits",
    },
    Setting {
        key: "view_timeout",
        kind: Kind::Value,
        placeholder: "TIME",
        default: "5s",
        help: "Time for reading one document for the HTTP API",
        group: "Limits",
    },
    Setting {
        key: "view_memory",
        kind: Kind::Value,
        placeholder: "SIZE",
        default: "1GiB",
        help: "Memory for reading one document for the HTTP API",
        group: "Limits",
    },
    Setting {
        key: "watch_interval",
        kind: Kind::Value,
        placeholder: "TIME",
        default: "100ms",
        help: "Least time between two changes that watchers of one document are told of",
        group: "Limits",
    },
    Setting {
        key: "max_watched",
        kind: Kind::Value,
        placeholder: "COUNT",
        default: "1000",
        help: "Documents that are watched at the same time; whoever wants to watch a further one gets 503",
        group: "Limits",
    },
    Setting {
        key: "log",
        kind: Kind::Value,
        placeholder: "FILTER",
        default: "info",
        help: "What to log: a level (error, warn, info, debug, trace, off), or levels by module",
        group: "Logging",
    },
    Setting {
        key: "log_format",
        kind: Kind::Value,
        placeholder: "FORMAT",
        default: "text",
        help: "How to log: text or json, to standard error",
        group: "Logging",
    },
    Setting {
        key: "fault_injection",
        kind: Kind::List,
        placeholder: "FAULT",
        default: "",
        help: "For tests only: make something fail on purpose, such as store-delay=500ms",
        group: "Testing",
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_from_the_key() {
        let setting = Setting::by_key("idle_unload").unwrap();
        assert_eq!(
            (setting.flag().as_str(), setting.variable().as_str()),
            ("idle-unload", "QUIRE_IDLE_UNLOAD")
        );
        assert!(Setting::by_key("idle-unload").is_none());
    }

    /// A setting without documentation, or with another default there, is a fault of the documentation.
    #[test]
    fn operations_md_lists_every_setting() {
        let document = include_str!("../../OPERATIONS.md");
        for setting in SETTINGS {
            let default = if setting.default.is_empty() { "none" } else { setting.default };
            let flag = match setting.kind {
                Kind::Secret => "none".to_owned(),
                Kind::Value | Kind::Switch | Kind::List => format!("`--{}`", setting.flag()),
            };
            let row = format!("| {flag} | `{}` | `{}` | `{default}` |", setting.variable(), setting.key);
            assert!(document.contains(&row), "OPERATIONS.md has no row that starts with {row}");
        }
    }
}
