//! The two things in an awareness state that the server looks at: who it is, and whether they type.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::Arc;

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::person::PersonKey;

/// The most that is shown of what somebody says of itself, in bytes of JSON. Of more only the id is.
const USER_BYTES: usize = 2 << 10;

/// The longest id that somebody may give itself.
const ID_BYTES: usize = 255;

#[derive(Deserialize)]
struct Fields<'a> {
    #[serde(borrow)]
    user: Option<&'a RawValue>,
    #[serde(borrow)]
    typing: Option<&'a RawValue>,
}

/// What an awareness state says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Glance {
    /// The field `user`, as a mark by which a change of it is known.
    pub(super) user_mark: u64,
    /// The field `typing`, likewise; `None` if it says that nobody types.
    pub(super) typing: Option<u64>,
}

/// The field `user`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Described {
    /// The id that somebody gives itself.
    pub(super) id: Option<Arc<str>>,
    /// All of it, as one line of JSON; `null` if there is none.
    pub(super) json: Arc<str>,
}

impl Glance {
    /// Reads a state. What cannot be read says nothing.
    pub(super) fn of(state: &str) -> Self {
        let fields = fields(state);
        let typing = fields.typing.map(RawValue::get).filter(|typing| !matches!(*typing, "null" | "false"));
        Self { user_mark: mark(fields.user.map_or("", RawValue::get)), typing: typing.map(mark) }
    }
}

impl Described {
    /// Reads a state.
    pub(super) fn of(state: &str) -> Self {
        let nobody = || Self { id: None, json: "null".into() };
        let Some(user) = fields(state).user else { return nobody() };
        let Ok(Value::Object(user)) = serde_json::from_str(user.get()) else { return nobody() };
        let id = match user.get("id") {
            Some(Value::String(id)) if !id.is_empty() && id.len() <= ID_BYTES => Some(Arc::from(id.as_str())),
            Some(Value::Number(id)) => Some(Arc::from(id.to_string())),
            _ => None,
        };
        let json = Value::Object(user).to_string();
        let json = if json.len() <= USER_BYTES { json } else { serde_json::json!({ "id": id }).to_string() };
        Self { id, json: json.into() }
    }

    /// Who it is: who the session is known to be, else who it says it is, else this client.
    pub(super) fn key(&self, identity: Option<&Arc<str>>, client: u64) -> PersonKey {
        match (identity, &self.id) {
            (Some(user), _) => PersonKey::Known(Arc::clone(user)),
            (None, Some(id)) => PersonKey::Claimed(Arc::clone(id)),
            (None, None) => PersonKey::Client(client),
        }
    }
}

fn fields(state: &str) -> Fields<'_> {
    serde_json::from_str(state).unwrap_or(Fields { user: None, typing: None })
}

fn mark(text: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_user_and_typing_are_looked_at() {
        let glance = |state| Glance::of(state);
        let plain = glance(r#"{"user":{"id":"a"},"cursor":{"at":1}}"#);
        assert_eq!(plain.typing, None);
        assert_eq!(plain, glance(r#"{"cursor":{"at":2},"user":{"id":"a"}}"#));
        assert_ne!(plain.user_mark, glance(r#"{"user":{"id":"b"}}"#).user_mark);
        assert_ne!(glance(r#"{"typing":1}"#).typing, glance(r#"{"typing":2}"#).typing);
        for quiet in ["{}", r#"{"typing":null}"#, r#"{"typing":false}"#, "7", "[]", "", "{", "null"] {
            assert_eq!(glance(quiet).typing, None, "{quiet}");
        }
        let deep = format!(r#"{{"user":{}1{}}}"#, "[".repeat(10_000), "]".repeat(10_000));
        assert_eq!(Described::of(&deep).id, None);
    }

    #[test]
    fn a_person_is_who_it_is_known_to_be_then_who_it_says_it_is() {
        let ada = Described::of(r#"{"user":{"id":"ada","name":"A\nL"}}"#);
        assert_eq!(&*ada.json, r#"{"id":"ada","name":"A\nL"}"#);
        assert_eq!(ada.key(None, 7), PersonKey::Claimed("ada".into()));
        assert_eq!(ada.key(Some(&"eve".into()), 7), PersonKey::Known("eve".into()));
        assert_eq!(Described::of("{}").key(None, 7), PersonKey::Client(7));
        assert_eq!(Described::of(r#"{"user":{"id":5}}"#).id.as_deref(), Some("5"));
        let large = format!(r#"{{"user":{{"id":"ada","x":"{}"}}}}"#, "y".repeat(USER_BYTES));
        assert_eq!(&*Described::of(&large).json, r#"{"id":"ada"}"#);
    }
}
