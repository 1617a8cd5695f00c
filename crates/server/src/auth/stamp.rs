//! Presence that says who somebody really is.
//!
//! Editors put a name and a colour of their own choice into their presence, at `user`. From a session whose user is known,
//! `user.id` and, where the token has them, `user.name` and `user.color` are written over; from one whose user is not
//! known, `user.id` is taken out, so that nobody passes for somebody else.

use quire_sync_protocol::wire::awareness::AwarenessEntry;
use quire_sync_protocol::{AwarenessUpdate, Message};
use serde_json::{Map, Value};

use super::authorizer::Identity;

/// Writes into presence who it is from.
#[derive(Clone, Debug)]
pub(crate) struct Stamp {
    /// What is written over at `user`.
    fields: Vec<(&'static str, Value)>,
}

impl Stamp {
    pub(crate) fn of(identity: &Identity) -> Self {
        let text = |text: &std::sync::Arc<str>| Value::from(&**text);
        let id = identity.subject.as_ref().map_or(Value::Null, text);
        let name = identity.display.name.as_ref().map(text);
        let color = identity.display.color.as_ref().map(text);
        let fields = [("id", Some(id)), ("name", name), ("color", color)];
        Self { fields: fields.into_iter().filter_map(|(key, value)| Some((key, value?))).collect() }
    }

    /// What a client sent, with what it says of itself put right, if there is a stamp.
    pub(crate) fn all(stamp: Option<&Self>, messages: Vec<Message>) -> Vec<Message> {
        match stamp {
            None => messages,
            Some(stamp) => messages.into_iter().map(|message| stamp.message(message)).collect(),
        }
    }

    /// Stamps presence; other messages stay as they are.
    fn message(&self, message: Message) -> Message {
        match message {
            Message::Awareness(update) => Message::Awareness(self.update(&update)),
            other => other,
        }
    }

    fn update(&self, update: &AwarenessUpdate) -> AwarenessUpdate {
        let stamped: Vec<_> = update
            .entries()
            .filter_map(|entry| match entry.state {
                None => Some((entry.client, entry.clock, None)),
                // Presence that cannot be read cannot be stamped, and is not passed on.
                Some(state) => Some((entry.client, entry.clock, Some(self.state(state)?))),
            })
            .collect();
        AwarenessUpdate::encode(stamped.iter().map(|(client, clock, state)| AwarenessEntry {
            client: *client,
            clock: *clock,
            state: state.as_deref(),
        }))
    }

    fn state(&self, json: &str) -> Option<String> {
        let mut state: Value = serde_json::from_str(json).ok()?;
        // What is no object has no place for a user, and no editor writes it.
        let Value::Object(fields) = &mut state else { return Some(json.to_owned()) };
        if !fields.contains_key("user") && self.fields.iter().all(|(_, value)| value.is_null()) {
            return Some(json.to_owned());
        }
        let user = fields.entry("user").or_insert_with(|| Value::Object(Map::new()));
        if !user.is_object() {
            *user = Value::Object(Map::new());
        }
        if let Value::Object(user) = user {
            for (key, value) in &self.fields {
                if value.is_null() {
                    user.remove(*key);
                } else {
                    user.insert((*key).to_owned(), value.clone());
                }
            }
        }
        serde_json::to_string(&state).ok()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::authorizer::Display;
    use super::super::grants::Grants;
    use super::*;

    fn stamped(identity: &Identity, state: &Value) -> Value {
        serde_json::from_str(&Stamp::of(identity).state(&state.to_string()).unwrap()).unwrap()
    }

    #[test]
    fn whoever_is_known_is_who_the_token_says() {
        let ada = Identity {
            subject: Some("ada".into()),
            display: Display { name: Some("Ada".into()), color: None },
            ..Identity::anonymous(Grants::default())
        };
        let cursor = json!({"anchor": {"type": {"client": 9_007_199_254_740_991_u64, "clock": 3}}});
        for (state, user) in [
            (json!({"cursor": cursor}), json!({"id": "ada", "name": "Ada"})),
            (
                json!({"cursor": cursor, "user": {"name": "Eve", "color": "#f00", "id": "eve"}}),
                json!({"id": "ada", "name": "Ada", "color": "#f00"}),
            ),
            (json!({"cursor": cursor, "user": "Eve"}), json!({"id": "ada", "name": "Ada"})),
        ] {
            assert_eq!(stamped(&ada, &state), json!({"cursor": cursor, "user": user}), "{state}");
        }
        assert_eq!(stamped(&ada, &json!("text")), json!("text"));
    }

    #[test]
    fn whoever_is_not_known_has_no_id() {
        let nobody = Identity::anonymous(Grants::default());
        let state = json!({"user": {"name": "Somebody", "id": "ada"}});
        assert_eq!(stamped(&nobody, &state), json!({"user": {"name": "Somebody"}}));
    }

    #[test]
    fn removals_stay_removals() {
        let entry = |client, state| AwarenessEntry { client, clock: 3, state };
        let client = |number: u64| quire_sync_protocol::ClientId::new(number).unwrap();
        let update = AwarenessUpdate::encode([entry(client(1), None), entry(client(2), Some("{}"))]);
        let stamped = Stamp::of(&Identity::anonymous(Grants::default())).update(&update);
        let found: Vec<_> = stamped.entries().map(|entry| (entry.client, entry.state)).collect();
        assert_eq!(found, [(client(1), None), (client(2), Some("{}"))]);
    }
}
