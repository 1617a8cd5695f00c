//! What a token says, and whether it holds now.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::de::{self, Deserializer, SeqAccess, Visitor};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::authorizer::{Display, Identity, Refusal, printable};
use super::grants::{Grant, Grants};

/// By how much the clocks of two machines may differ: a token is taken so much longer, and so much earlier.
pub(crate) const CLOCK_SKEW: Duration = Duration::from_secs(5);

/// What of a name or a colour is shown.
const DISPLAY_BYTES: usize = 200;

/// Largest subject.
const SUBJECT_BYTES: usize = 255;

/// The claims of a token; others are passed over.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub(crate) struct Claims {
    /// The user.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) sub: Option<String>,
    /// When it ends, in seconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) exp: Option<Seconds>,
    /// When it begins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) nbf: Option<Seconds>,
    /// When it was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) iat: Option<Seconds>,
    /// Who made it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) iss: Option<String>,
    /// Whom it is for.
    #[serde(default, skip_serializing_if = "Audience::is_empty")]
    pub(crate) aud: Audience,
    /// What others are shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) name: Option<String>,
    /// What others are shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) color: Option<String>,
    /// Whether it may post notifications.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) notify: bool,
    /// The grants.
    #[serde(default)]
    pub(crate) docs: Vec<Grant>,
}

/// Whom a token must be for, and from.
#[derive(Clone, Debug, Default)]
pub(crate) struct Expected {
    pub(crate) audience: Option<String>,
    pub(crate) issuer: Option<String>,
}

/// A time in whole seconds since 1970. In a token it may have a fraction, which is dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub(crate) struct Seconds(pub(crate) u64);

impl Seconds {
    /// Rounded down; 1970 for what was before.
    pub(crate) fn of(time: SystemTime) -> Self {
        Self(time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs())
    }

    fn time(self) -> Option<SystemTime> {
        UNIX_EPOCH.checked_add(Duration::from_secs(self.0))
    }
}

impl<'de> Deserialize<'de> for Seconds {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Number;
        impl Visitor<'_> for Number {
            type Value = Seconds;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number of seconds since 1970")
            }

            fn visit_u64<E: de::Error>(self, seconds: u64) -> Result<Seconds, E> {
                Ok(Seconds(seconds))
            }

            fn visit_f64<E: de::Error>(self, seconds: f64) -> Result<Seconds, E> {
                /// Beyond it a double has no whole seconds.
                const MOST: f64 = 9_007_199_254_740_991.0;
                if (0.0..=MOST).contains(&seconds) {
                    #[expect(
                        clippy::cast_possible_truncation,
                        clippy::cast_sign_loss,
                        reason = "within 0 and 2^53"
                    )]
                    Ok(Seconds(seconds as u64))
                } else {
                    Err(E::custom("a time is out of bounds"))
                }
            }
        }
        deserializer.deserialize_any(Number)
    }
}

/// One audience or a list of them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Audience(pub(crate) Vec<String>);

impl Audience {
    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<'de> Deserialize<'de> for Audience {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OneOrMore;
        impl<'de> Visitor<'de> for OneOrMore {
            type Value = Audience;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text or a list of texts")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Audience, E> {
                Ok(Audience(vec![text.to_owned()]))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut texts: A) -> Result<Audience, A::Error> {
                let mut all = Vec::new();
                while let Some(text) = texts.next_element()? {
                    all.push(text);
                }
                Ok(Audience(all))
            }
        }
        deserializer.deserialize_any(OneOrMore)
    }
}

impl Claims {
    /// The claims of a JSON object, or why it holds none, without its values.
    pub(crate) fn from_json(json: &[u8]) -> Result<Self, String> {
        // A list of the same values would be taken as well.
        let object: Map<String, Value> = serde_json::from_slice(json)
            .map_err(|error| format!("no JSON object (line {}, column {})", error.line(), error.column()))?;
        serde_json::from_value(Value::Object(object)).map_err(|error| printable(&error.to_string()))
    }

    /// Who this is, if the claims hold now. `key` is the name of the key that signed them.
    pub(crate) fn identity(
        self,
        expected: &Expected,
        key: Option<Arc<str>>,
        now: SystemTime,
    ) -> Result<Identity, Refusal> {
        self.check_parties(expected)?;
        let expires = self.exp.ok_or(Refusal::Bad("the token has no time at which it ends (exp)"))?;
        let expires = expires.time().ok_or(Refusal::Bad("the token ends at an impossible time"))?;
        if let Ok(late) = now.duration_since(expires)
            && late >= CLOCK_SKEW
        {
            return Err(Refusal::Expired(late));
        }
        for begins in [self.nbf, self.iat].into_iter().flatten() {
            let begins = begins.time().ok_or(Refusal::Bad("the token begins at an impossible time"))?;
            if let Ok(early) = begins.duration_since(now)
                && early > CLOCK_SKEW
            {
                return Err(Refusal::NotYet(early));
            }
        }
        let subject = match self.sub {
            Some(subject) if subject.is_empty() => return Err(Refusal::Bad("the user (sub) has no letters")),
            Some(subject) if subject.len() > SUBJECT_BYTES || subject.chars().any(char::is_control) => {
                return Err(Refusal::Bad("the user (sub) is too long, or has control characters"));
            }
            subject => subject.map(Arc::from),
        };
        Ok(Identity {
            subject,
            display: Display { name: shown(self.name), color: shown(self.color) },
            expires: Some(expires),
            grants: Grants::new(self.docs),
            may_notify: self.notify,
            issued: self.iat.and_then(Seconds::time),
            key,
        })
    }

    fn check_parties(&self, expected: &Expected) -> Result<(), Refusal> {
        match (&expected.issuer, &self.iss) {
            (None, _) => {}
            (Some(expected), Some(found)) if expected == found => {}
            (Some(_), found) => {
                let found = printable(found.as_deref().unwrap_or_default());
                return Err(Refusal::Unaccepted { what: "the issuer", found });
            }
        }
        // A token that is for somebody is not for whoever else gets hold of it (RFC 7519, 4.1.3).
        let is_for_us = match &expected.audience {
            None => self.aud.is_empty(),
            Some(audience) => self.aud.0.contains(audience),
        };
        if is_for_us {
            Ok(())
        } else {
            Err(Refusal::Unaccepted { what: "the audience", found: printable(&self.aud.0.join(", ")) })
        }
    }
}

fn shown(text: Option<String>) -> Option<Arc<str>> {
    let mut text = text?;
    text.truncate(text.floor_char_boundary(DISPLAY_BYTES));
    Some(text.into())
}
