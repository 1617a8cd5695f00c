//! The keys that tokens may be signed with.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, JwkSet, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey};

/// Keys of one source.
const MOST: usize = 64;

/// Largest file, or answer, with keys.
pub(crate) const SOURCE_BYTES: usize = 256 << 10;

/// A key for verifying tokens, with what it may be used for: a token cannot choose another algorithm for a key.
#[derive(Clone, Debug)]
pub(crate) struct Key {
    /// Its name (`kid`). A token that names a key is verified by that one.
    pub(crate) id: Option<Arc<str>>,
    pub(crate) algorithm: Algorithm,
    pub(crate) verifying: DecodingKey,
}

/// Whether a source may hold secrets, which whoever reads it could sign with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trust {
    /// A file of this machine.
    File,
    /// The network: public keys only.
    Network,
}

impl Key {
    /// A secret that the signer and this server share.
    pub(crate) fn secret(secret: &[u8]) -> Self {
        Self { id: None, algorithm: Algorithm::HS256, verifying: DecodingKey::from_secret(secret) }
    }

    /// `None` for a key that is for something else, or of a kind that is not known.
    fn of_jwk(jwk: &Jwk, trust: Trust) -> Option<Self> {
        let is_for_signing =
            jwk.common.public_key_use.as_ref().is_none_or(|purpose| *purpose == PublicKeyUse::Signature);
        let named = match &jwk.common.key_algorithm {
            Some(named) => Some(named.to_string().parse::<Algorithm>().ok()?),
            None => None,
        };
        let usual = match &jwk.algorithm {
            AlgorithmParameters::RSA(_) => Algorithm::RS256,
            AlgorithmParameters::EllipticCurve(key) => match key.curve {
                EllipticCurve::P256 => Algorithm::ES256,
                EllipticCurve::P384 => Algorithm::ES384,
                _ => return None,
            },
            AlgorithmParameters::OctetKeyPair(key) if key.curve == EllipticCurve::Ed25519 => Algorithm::EdDSA,
            AlgorithmParameters::OctetKey(_) if trust == Trust::File => Algorithm::HS256,
            _ => return None,
        };
        let algorithm = named.unwrap_or(usual);
        let verifying = DecodingKey::from_jwk(jwk).ok()?;
        let fits = algorithm.family() == verifying.family()
            && (algorithm == usual
                || matches!(jwk.algorithm, AlgorithmParameters::RSA(_) | AlgorithmParameters::OctetKey(_)));
        let id = jwk.common.key_id.as_deref().map(Arc::from);
        (is_for_signing && fits).then_some(Self { id, algorithm, verifying })
    }

    fn of_pem(pem: &[u8]) -> Option<Self> {
        let key = |algorithm, verifying| Self { id: None, algorithm, verifying };
        if let Ok(verifying) = DecodingKey::from_ed_pem(pem) {
            return Some(key(Algorithm::EdDSA, verifying));
        }
        if let Ok(verifying) = DecodingKey::from_ec_pem(pem) {
            // A point of P-256 has 65 bytes, one of P-384 97.
            let algorithm = match verifying.try_get_as_bytes().ok()?.len() {
                65 => Algorithm::ES256,
                97 => Algorithm::ES384,
                _ => return None,
            };
            return Some(key(algorithm, verifying));
        }
        DecodingKey::from_rsa_pem(pem).ok().map(|verifying| key(Algorithm::RS256, verifying))
    }
}

/// The keys in this file: one public key as PEM, or a JWKS. The error says what is wrong and shows nothing of the file.
pub(crate) fn read(path: &Path) -> Result<Vec<Key>, String> {
    let bytes = fs::read(path).map_err(|error| format!("{} cannot be read: {error}", path.display()))?;
    parse(&bytes, Trust::File).map_err(|error| format!("{}: {error}", path.display()))
}

/// The keys in these bytes.
pub(crate) fn parse(bytes: &[u8], trust: Trust) -> Result<Vec<Key>, String> {
    if bytes.len() > SOURCE_BYTES {
        return Err(format!("more than {SOURCE_BYTES} bytes are no keys"));
    }
    if bytes.trim_ascii_start().starts_with(b"-----BEGIN") {
        if bytes.windows(12).any(|part| part == b"PRIVATE KEY-") {
            return Err("this is a private key; give the public one, which is all that is needed".to_owned());
        }
        let key = Key::of_pem(bytes);
        return key
            .map(|key| vec![key])
            .ok_or("there is no RSA, P-256, P-384 or Ed25519 public key in it".to_owned());
    }
    let set: JwkSet = serde_json::from_slice(bytes).map_err(|error| {
        format!("neither PEM nor JWKS (line {}, column {})", error.line(), error.column())
    })?;
    let keys: Vec<_> = set.keys.iter().filter_map(|jwk| Key::of_jwk(jwk, trust)).take(MOST).collect();
    if keys.is_empty() {
        Err("there is no key in it that tokens can be verified with".to_owned())
    } else {
        Ok(keys)
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
