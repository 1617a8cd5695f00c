//! What was taken back, and from whom.

use std::sync::Arc;
use std::time::SystemTime;

use quire_sync_protocol::DocId;
use serde::{Deserialize, Serialize};

use super::authorizer::Identity;
use super::claims::Seconds;
use super::grants::{Right, Rights};

/// Revocations that may be in force at the same time.
const MOST: usize = 10_000;

/// Takes rights back. It concerns whoever matches all of user, document and key that are given.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Revocation {
    /// Told when it is made; for giving back.
    #[serde(default)]
    pub(crate) number: u64,
    /// The user (`sub`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) user: Option<Arc<str>>,
    /// The document's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) document: Option<Arc<str>>,
    /// The name of the key (`kid`) that signed. All tokens of the key, whenever they were made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) key: Option<Arc<str>>,
    /// What is left; nothing, if it is absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) access: Option<Right>,
    /// Tokens that say they were made later are not concerned.
    pub(crate) made_before: Seconds,
    /// When it ends, at which time all that it concerns has expired by itself.
    pub(crate) until: Seconds,
}

impl Revocation {
    /// For whom it is: at least one of user, document and key.
    pub(crate) fn concerns_somebody(&self) -> bool {
        self.user.is_some() || self.document.is_some() || self.key.is_some()
    }

    fn concerns(&self, identity: &Identity, doc: Option<&DocId>) -> bool {
        let made_later = self.key.is_none()
            && identity.issued.is_some_and(|issued| Seconds::of(issued) > self.made_before);
        let is_of = |asked: &Option<Arc<str>>, found: Option<&str>| match asked {
            None => true,
            Some(asked) => found == Some(&**asked),
        };
        !made_later
            && is_of(&self.user, identity.subject.as_deref())
            && is_of(&self.key, identity.key.as_deref())
            && is_of(&self.document, doc.map(DocId::as_str))
    }

    #[cfg(test)]
    pub(crate) fn for_tests() -> Self {
        Self {
            number: 0,
            user: None,
            document: None,
            key: None,
            access: None,
            made_before: Seconds::of(SystemTime::now()),
            until: Seconds(u64::MAX),
        }
    }
}

/// Everything that is taken back.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Revocations {
    next: u64,
    all: Vec<Revocation>,
}

impl Revocations {
    /// Takes one more; `None` if there are too many.
    pub(crate) fn add(&mut self, mut revocation: Revocation, now: SystemTime) -> Option<u64> {
        self.all.retain(|old| old.until > Seconds::of(now));
        if self.all.len() >= MOST {
            return None;
        }
        self.next += 1;
        revocation.number = self.next;
        self.all.push(revocation);
        Some(self.next)
    }

    /// `false` if there is none of this number.
    pub(crate) fn remove(&mut self, number: u64) -> bool {
        let before = self.all.len();
        self.all.retain(|revocation| revocation.number != number);
        self.all.len() < before
    }

    /// What is left of these rights.
    pub(crate) fn left(
        &self,
        identity: &Identity,
        doc: &DocId,
        granted: Rights,
        now: SystemTime,
    ) -> Option<Rights> {
        let mut left = granted;
        for revocation in self.in_force(now).filter(|revocation| revocation.concerns(identity, Some(doc))) {
            left.right = left.right.min(revocation.access?);
        }
        Some(left)
    }

    /// Whether everything is taken from this identity, whatever it is about.
    pub(crate) fn is_revoked(&self, identity: &Identity, now: SystemTime) -> bool {
        self.in_force(now)
            .any(|revocation| revocation.access.is_none() && revocation.concerns(identity, None))
    }

    /// All of them, the latest last.
    pub(crate) fn in_force(&self, now: SystemTime) -> impl Iterator<Item = &Revocation> {
        let now = Seconds::of(now);
        self.all.iter().filter(move |revocation| revocation.until > now)
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::super::grants::Grants;
    use super::*;

    fn at(seconds: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(seconds)
    }

    fn identity(user: &str, key: &str, issued: Option<u64>) -> Identity {
        Identity {
            subject: Some(user.into()),
            key: Some(key.into()),
            issued: issued.map(at),
            ..Identity::anonymous(Grants::default())
        }
    }

    fn revocation(json: &str) -> Revocation {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn it_concerns_whom_it_names_and_no_newer_tokens() {
        const ADMIN: Rights = Rights { right: Right::Admin, presence: true };
        const READ: Option<Rights> = Some(Rights { right: Right::Read, presence: true });
        const ALL: Option<Rights> = Some(ADMIN);
        for (json, expected) in [
            // By ada with an old token on a and b, with a new one on a, by bob with a token without a time on a.
            (r#"{"user":"ada","made_before":100,"until":200}"#, [None, None, ALL, ALL]),
            (r#"{"user":"ada","document":"a","made_before":100,"until":200}"#, [None, ALL, ALL, ALL]),
            (r#"{"document":"a","made_before":100,"until":200}"#, [None, ALL, ALL, None]),
            (r#"{"document":"a","access":"read","made_before":100,"until":200}"#, [READ, ALL, ALL, READ]),
            (r#"{"key":"k1","made_before":100,"until":200}"#, [None, None, None, ALL]),
            (r#"{"user":"ada","made_before":100,"until":150}"#, [ALL, ALL, ALL, ALL]),
        ] {
            let mut revocations = Revocations::default();
            revocations.add(revocation(json), at(100)).unwrap();
            let left = |identity: &Identity, doc: &str| {
                revocations.left(identity, &DocId::new(doc).unwrap(), ADMIN, at(150))
            };
            let (old, new) = (identity("ada", "k1", Some(100)), identity("ada", "k1", Some(101)));
            let bob = identity("bob", "k2", None);
            assert_eq!(
                [left(&old, "a"), left(&old, "b"), left(&new, "a"), left(&bob, "a")],
                expected,
                "{json}"
            );
        }
    }

    #[test]
    fn they_are_bounded_and_end() {
        let mut revocations = Revocations::default();
        let one = revocation(r#"{"user":"ada","made_before":1,"until":10}"#);
        for _ in 0..MOST {
            revocations.add(one.clone(), at(5)).unwrap();
        }
        assert_eq!(revocations.add(one.clone(), at(5)), None);
        assert!(revocations.is_revoked(&identity("ada", "k", None), at(5)));
        let number = revocations.add(one, at(10)).unwrap();
        assert_eq!(revocations.in_force(at(5)).count(), 1);
        assert!(revocations.remove(number) && !revocations.remove(number));
        assert!(!revocations.is_revoked(&identity("ada", "k", None), at(5)));
    }
}
