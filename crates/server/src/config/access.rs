//! Who may connect, as configured.

use std::fmt;
use std::fs;
use std::time::Duration;

use super::resolved::Reader;
use super::value::duration;
use crate::accept::Origin;
use crate::auth::{Key, Ring, Source, WebhookConfig};

/// A secret shorter than this can be guessed by trying (RFC 7518, 3.2).
const SECRET_BYTES: usize = 32;

/// How people are known, and what becomes of those who are not.
#[derive(Clone, Debug)]
pub(crate) struct Access {
    /// What tokens of the kind HS256 are signed with.
    pub(crate) secret: Option<Secret>,
    /// Where other keys come from.
    pub(crate) keys: Vec<Source>,
    /// The application that is asked who somebody is.
    pub(crate) webhook: Option<WebhookConfig>,
    /// Whom tokens must be for.
    pub(crate) audience: Option<String>,
    /// Who must have made tokens.
    pub(crate) issuer: Option<String>,
    /// Pages that may connect, beside the server's own.
    pub(crate) allow_origin: Vec<Origin>,
    /// Whether those who show no token read and write.
    pub(crate) allow_anonymous: bool,
    /// Whether presence of those who are known says so.
    pub(crate) stamp_presence: bool,
    /// How editors are refused.
    pub(crate) refuse: Refuse,
}

impl Access {
    /// Whether anybody is asked who they are.
    pub(crate) fn has_keys(&self) -> bool {
        self.secret.is_some() || !self.keys.is_empty() || self.webhook.is_some()
    }

    /// All keys; the error says which source cannot be used. Blocking.
    pub(crate) fn ring(&self) -> Result<Ring, String> {
        let secret = self.secret.iter().map(|secret| Key::secret(secret.bytes())).collect();
        Ring::new(secret, self.keys.clone())
    }
}

/// How an editor in the y-websocket dialect is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refuse {
    /// By HTTP, before there is a connection. The client tries again with growing pauses.
    Http,
    /// By accepting the connection and closing it with a code and a reason that the application can read.
    Close,
}

/// A secret. Its text is never shown.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Secret(String);

impl Secret {
    pub(crate) fn bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }

    /// Whether it can be guessed by trying.
    pub(crate) fn is_weak(&self) -> bool {
        self.0.len() < SECRET_BYTES
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

impl Reader<'_> {
    /// Everything about access.
    pub(super) fn access(&mut self) -> Access {
        let allow_anonymous = self.value("allow_anonymous", super::value::switch);
        let written = self.optional("auth_secret", secret);
        let in_file = self.optional("auth_secret_file", secret_in_file);
        if written.is_some() && in_file.is_some() {
            self.fault(
                "auth_secret_file",
                "auth_secret is given as well; one of the two is enough".to_owned(),
            );
        }
        let allow_origin = self.list("allow_origin", Origin::parse);
        let secret = written.or(in_file);
        let keys = self.list("auth_keys", Source::parse);
        let webhook = self.webhook();
        if webhook.is_some() && (secret.is_some() || !keys.is_empty()) {
            self.fault(
                "auth_webhook",
                "there are keys as well; people are known by one or the other".to_owned(),
            );
        }
        Access {
            allow_origin,
            secret,
            keys,
            webhook,
            audience: self.optional("auth_audience", text),
            issuer: self.optional("auth_issuer", text),
            allow_anonymous,
            stamp_presence: self.value("stamp_presence", super::value::switch),
            refuse: self.value("refuse", refuse),
        }
    }
}

impl Reader<'_> {
    fn webhook(&mut self) -> Option<WebhookConfig> {
        let timeout = self.value("auth_webhook_timeout", |text| duration(text, SECOND..=MINUTE));
        let cache = self.value("auth_webhook_cache", |text| duration(text, Duration::ZERO..=60 * MINUTE));
        let uri = self.optional("auth_webhook", |text| match Source::parse(text)? {
            Source::Url(uri) => Ok(uri),
            Source::File(_) => {
                Err(format!("{text:?} is no URL; write one such as https://app.example.com/quire/who"))
            }
        });
        uri.map(|uri| WebhookConfig { uri, timeout, cache })
    }
}

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_mins(1);

fn secret(text: &str) -> Result<Secret, String> {
    if text.is_empty() { Err("the secret is empty".to_owned()) } else { Ok(Secret(text.to_owned())) }
}

fn secret_in_file(path: &str) -> Result<Secret, String> {
    let text = fs::read_to_string(path).map_err(|error| format!("{path} cannot be read: {error}"))?;
    let text = text.strip_suffix('\n').unwrap_or(&text);
    secret(text.strip_suffix('\r').unwrap_or(text))
}

fn text(text: &str) -> Result<String, String> {
    if text.is_empty() { Err("must not be empty".to_owned()) } else { Ok(text.to_owned()) }
}

fn refuse(text: &str) -> Result<Refuse, String> {
    match text {
        "http" => Ok(Refuse::Http),
        "close" => Ok(Refuse::Close),
        _ => Err(format!("{text:?} is no way to refuse; there are http and close")),
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Config, Raw};

    #[test]
    fn secrets_come_from_a_variable_or_a_file_and_are_never_shown() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        std::fs::write(&path, "IN-FILE\n").unwrap();
        let path = path.to_str().unwrap();
        let mut raw = Raw::default();
        raw.add_environment([("QUIRE_AUTH_SECRET".into(), "IN-VARIABLE".into())]);
        let config = Config::resolve(&raw).unwrap();
        assert_eq!(config.access.secret.as_ref().unwrap().bytes(), b"IN-VARIABLE");
        let shown = format!("{config:?} {raw:?} {}", super::super::print(&raw));
        assert!(!shown.contains("IN-VARIABLE"), "{shown}");
        assert!(shown.contains("QUIRE_AUTH_SECRET"), "{shown}");

        let config = Config::resolve(&Raw::of([("auth_secret_file", path)])).unwrap();
        assert_eq!(config.access.secret.as_ref().unwrap().bytes(), b"IN-FILE");
        let both = Raw::of([("auth_secret", "x"), ("auth_secret_file", path)]);
        assert!(Config::resolve(&both).unwrap_err().to_string().contains("one of the two"));
        let missing = Raw::of([("auth_secret_file", "no-such-file")]);
        assert!(Config::resolve(&missing).unwrap_err().to_string().contains("no-such-file cannot be read"));
    }

    #[test]
    fn with_keys_any_address_may_be_listened_on() {
        let config = Config::resolve(&Raw::of([("listen", "0.0.0.0:0"), ("auth_secret", "x")])).unwrap();
        assert!(config.access.has_keys() && config.access.secret.unwrap().is_weak());
    }
}
