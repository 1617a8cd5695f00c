//! The keys that tokens may be signed with.

use std::sync::Arc;

use jsonwebtoken::{Algorithm, DecodingKey};

/// A key for verifying tokens, with what it may be used for: a token cannot choose another algorithm for a key.
#[derive(Clone, Debug)]
pub(crate) struct Key {
    /// Its name (`kid`). A token that names a key is verified by that one.
    pub(crate) id: Option<Arc<str>>,
    pub(crate) algorithm: Algorithm,
    pub(crate) verifying: DecodingKey,
}

impl Key {
    /// A secret that the signer and this server share.
    pub(crate) fn secret(secret: &[u8]) -> Self {
        Self { id: None, algorithm: Algorithm::HS256, verifying: DecodingKey::from_secret(secret) }
    }
}

/// Those of `keys` that may have signed a token which names this key, if it names one. A name that no key has is
/// one of a key without a name.
pub(crate) fn candidates<'a>(keys: &'a [Key], id: Option<&str>) -> impl Iterator<Item = &'a Key> {
    let named = id.is_some_and(|id| keys.iter().any(|key| key.id.as_deref() == Some(id)));
    let id = id.map(str::to_owned);
    keys.iter().filter(move |key| match (&id, &key.id) {
        (None, _) => true,
        (Some(id), Some(own)) => **own == **id,
        (Some(_), None) => !named,
    })
}
