//! What an identity may do, document by document.

use std::fmt;
use std::sync::Arc;

use quire_sync_protocol::{Access, DocId};
use serde::{Deserialize, Serialize};

/// What may be done with a document; each includes the ones before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Right {
    /// Receive it.
    Read,
    /// Edit it.
    Write,
    /// Delete it, replace it, and what else concerns it as a whole.
    Admin,
}

impl Right {
    /// What a session with this right may do with the content.
    pub(crate) fn access(self) -> Access {
        match self {
            Self::Read => Access::Read,
            Self::Write | Self::Admin => Access::Write,
        }
    }

    /// The word for it in claims, logs and messages.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Admin => "admin",
        }
    }
}

/// A right on some documents, as it stands in the claim `docs`: `{"name": "a", "access": "read"}` or
/// `{"prefix": "team/", "access": "write"}`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(try_from = "Written", into = "Written")]
pub(crate) struct Grant {
    pub(crate) scope: Scope,
    pub(crate) right: Right,
    /// Whether the others see who is there, and where.
    pub(crate) presence: bool,
}

/// Which documents a grant is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Scope {
    /// The one of this name.
    Name(Arc<str>),
    /// All whose names begin so; all there are, if it is empty.
    Prefix(Arc<str>),
}

impl Scope {
    fn includes(&self, doc: &DocId) -> bool {
        match self {
            Self::Name(name) => **name == *doc.as_str(),
            Self::Prefix(prefix) => doc.as_str().starts_with(&**prefix),
        }
    }
}

impl fmt::Display for Grant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.scope {
            Scope::Name(name) => write!(f, "{} on {name}", self.right.as_str())?,
            Scope::Prefix(prefix) => write!(f, "{} on {prefix}*", self.right.as_str())?,
        }
        if self.presence { Ok(()) } else { f.write_str(", unseen") }
    }
}

/// What somebody has on one document.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Rights {
    pub(crate) right: Right,
    pub(crate) presence: bool,
}

/// All grants of an identity. They add up: the highest of those that include a document counts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Grants(Arc<[Grant]>);

impl Grants {
    pub(crate) fn new(grants: impl IntoIterator<Item = Grant>) -> Self {
        Self(grants.into_iter().collect())
    }

    /// One right on every document; with `Admin`, on the server as a whole.
    pub(crate) fn everywhere(right: Right) -> Self {
        Self::new([Grant { scope: Scope::Prefix("".into()), right, presence: true }])
    }

    /// What they give on this document.
    pub(crate) fn on(&self, doc: &DocId) -> Option<Rights> {
        let matching = self.0.iter().filter(|grant| grant.scope.includes(doc));
        matching.map(|grant| Rights { right: grant.right, presence: grant.presence }).max()
    }

    /// Whether they give `Admin` on everything there is and will be.
    pub(crate) fn is_admin_of_all(&self) -> bool {
        self.0.iter().any(|grant| {
            grant.right == Right::Admin && matches!(&grant.scope, Scope::Prefix(prefix) if prefix.is_empty())
        })
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Grant> {
        self.0.iter()
    }
}

/// A grant as it is written in JSON.
#[derive(Clone, Debug, Deserialize, Serialize)]
struct Written {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    name: Option<Arc<str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    prefix: Option<Arc<str>>,
    access: Right,
    #[serde(default = "yes", skip_serializing_if = "is_yes")]
    presence: bool,
}

fn yes() -> bool {
    true
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_yes(value: &bool) -> bool {
    *value
}

impl TryFrom<Written> for Grant {
    type Error = &'static str;

    fn try_from(written: Written) -> Result<Self, Self::Error> {
        let scope = match (written.name, written.prefix) {
            (Some(name), None) => Scope::Name(name),
            (None, Some(prefix)) => Scope::Prefix(prefix),
            (Some(_), Some(_)) => return Err("a grant has both name and prefix"),
            (None, None) => return Err("a grant has neither name nor prefix"),
        };
        Ok(Self { scope, right: written.access, presence: written.presence })
    }
}

impl From<Grant> for Written {
    fn from(grant: Grant) -> Self {
        let (name, prefix) = match grant.scope {
            Scope::Name(name) => (Some(name), None),
            Scope::Prefix(prefix) => (None, Some(prefix)),
        };
        Self { name, prefix, access: grant.right, presence: grant.presence }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn on(json: &str, doc: &str) -> Option<Rights> {
        let grants: Vec<Grant> = serde_json::from_str(json).unwrap();
        Grants::new(grants).on(&DocId::new(doc).unwrap())
    }

    fn rights(right: Right, presence: bool) -> Rights {
        Rights { right, presence }
    }

    #[test]
    fn the_highest_grant_that_includes_a_document_counts() {
        let grants = r#"[{"prefix":"team/","access":"read"},{"name":"team/a","access":"admin"},{"name":"b","access":"write"}]"#;
        for (doc, expected) in [
            ("team/a", Some(rights(Right::Admin, true))),
            ("team/x", Some(rights(Right::Read, true))),
            ("team", None),
            ("b", Some(rights(Right::Write, true))),
            ("bb", None),
            ("B", None),
        ] {
            assert_eq!(on(grants, doc), expected, "{doc}");
        }
        assert_eq!(on(r#"[{"prefix":"","access":"write"}]"#, "anything"), Some(rights(Right::Write, true)));
        assert_eq!(
            on(r#"[{"prefix":"","access":"read","presence":false}]"#, "a"),
            Some(rights(Right::Read, false))
        );
        assert_eq!(on("[]", "a"), None);
    }

    #[test]
    fn only_an_admin_of_every_name_is_one_of_the_server() {
        let is =
            |json: &str| Grants::new(serde_json::from_str::<Vec<Grant>>(json).unwrap()).is_admin_of_all();
        assert!(is(r#"[{"prefix":"","access":"admin"}]"#));
        for json in [
            "[]",
            r#"[{"prefix":"","access":"write"}]"#,
            r#"[{"prefix":"a","access":"admin"}]"#,
            r#"[{"name":"","access":"admin"}]"#,
        ] {
            assert!(!is(json), "{json}");
        }
    }

    #[test]
    fn unclear_grants_are_refused() {
        for json in [
            r#"{"access":"read"}"#,
            r#"{"name":"a","prefix":"b","access":"read"}"#,
            r#"{"name":"a"}"#,
            r#"{"name":"a","access":"Read"}"#,
            r#"{"name":"a","access":"owner"}"#,
            r#"{"name":1,"access":"read"}"#,
            r#"{"name":"a","access":"read","presence":"no"}"#,
        ] {
            assert!(serde_json::from_str::<Grant>(json).is_err(), "{json}");
        }
        let json = r#"{"prefix":"team/","access":"write","presence":false}"#;
        let grant: Grant = serde_json::from_str(json).unwrap();
        assert_eq!(serde_json::to_string(&grant).unwrap(), json);
    }
}
