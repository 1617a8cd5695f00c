//! Tokens as an application makes them.

use std::time::{SystemTime, UNIX_EPOCH};

use jsonwebtoken::{EncodingKey, Header};
use serde_json::{Value, json};

/// What the servers of these tests verify tokens with.
pub(crate) const SECRET: &str = "a secret of at least 32 bytes for tests";

/// Now, in seconds since 1970.
pub(crate) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

/// A token with these claims.
pub(crate) fn of(claims: &Value) -> String {
    jsonwebtoken::encode(&Header::default(), claims, &EncodingKey::from_secret(SECRET.as_bytes())).unwrap()
}

/// A token of this user for an hour, with these grants.
pub(crate) fn token(user: &str, docs: &Value) -> String {
    of(&json!({"sub": user, "exp": now() + 3600, "docs": docs}))
}

/// One that has expired.
pub(crate) fn expired(user: &str, docs: &Value) -> String {
    of(&json!({"sub": user, "exp": now() - 60, "docs": docs}))
}
