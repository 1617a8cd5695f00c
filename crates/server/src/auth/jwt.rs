//! Signed tokens (JSON Web Tokens, RFC 7519).

use std::sync::Arc;
use std::time::SystemTime;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, Validation};
use quire_sync_protocol::DocId;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::authorizer::{Authorizer, Identity, Refusal, printable};
use super::caller::{Caller, Token};
#[cfg(test)]
use super::claims::CLOCK_SKEW;
use super::claims::{Claims, Expected};
use super::keys::{self, Key};
use super::ring::Ring;

/// What is not accepted if a token names a key that is not known.
const UNKNOWN_KEY: &str = "the key";

/// Largest token. Real ones have some hundred bytes; the head of a request has no room for much more.
const MAX_BYTES: usize = 16 << 10;

/// Knows people by signed tokens.
#[derive(Clone, Debug)]
pub(crate) struct Signed {
    ring: Ring,
    expected: Expected,
}

impl Signed {
    pub(crate) fn new(ring: Ring, expected: Expected) -> Self {
        Self { ring, expected }
    }

    fn verify(&self, token: &Token, now: SystemTime) -> Result<Identity, Refusal> {
        let (claims, key) = verify(token, &self.ring.keys())?;
        claims.identity(&self.expected, key, now)
    }

    async fn who(&self, token: &Token) -> Result<Identity, Refusal> {
        match self.verify(token, SystemTime::now()) {
            // A key that is not known may be a new one.
            Err(Refusal::Unaccepted { what: UNKNOWN_KEY, .. }) if self.ring.refreshed().await => {
                self.verify(token, SystemTime::now())
            }
            known => known,
        }
    }
}

impl Authorizer for Signed {
    fn authorize<'a>(
        &'a self,
        caller: &'a Caller,
        _doc: Option<&'a DocId>,
    ) -> BoxFuture<'a, Result<Identity, Refusal>> {
        async move { self.who(caller.token.as_ref().ok_or(Refusal::NoCredentials)?).await }.boxed()
    }
}

/// The part of a token in front of its claims.
#[derive(Debug, Deserialize)]
struct Header {
    alg: String,
    kid: Option<String>,
    /// Extensions that a reader must understand. None is.
    crit: Option<Value>,
}

/// The claims of a token that one of these keys has signed, and the name of that key. Says nothing of whether they hold.
pub(crate) fn verify(token: &Token, keys: &[Key]) -> Result<(Claims, Option<Arc<str>>), Refusal> {
    let text = token.expose();
    if text.len() > MAX_BYTES {
        return Err(Refusal::Bad("the token is too long"));
    }
    let header = header(text)?;
    let unaccepted = |what, found: &str| Refusal::Unaccepted { what, found: printable(found) };
    let algorithm: Algorithm = header.alg.parse().map_err(|_| unaccepted("the algorithm", &header.alg))?;
    let mut candidates = keys::candidates(keys, header.kid.as_deref()).peekable();
    if candidates.peek().is_none() {
        return Err(unaccepted(UNKNOWN_KEY, header.kid.as_deref().unwrap_or_default()));
    }
    let mut refusal = unaccepted("the algorithm", &header.alg);
    for key in candidates.filter(|key| key.algorithm == algorithm) {
        match jsonwebtoken::decode::<Map<String, Value>>(text, &key.verifying, &signature_only(algorithm)) {
            Ok(decoded) => {
                let claims = serde_json::from_value(Value::Object(decoded.claims))
                    .map_err(|error| Refusal::Claims(printable(&error.to_string())))?;
                return Ok((claims, key.id.clone()));
            }
            Err(error) => refusal = wrong(error.kind()),
        }
    }
    Err(refusal)
}

fn header(text: &str) -> Result<Header, Refusal> {
    const SHAPE: Refusal = Refusal::Bad("it is no signed token: three parts with a dot between them");
    let mut parts = text.split('.');
    let (Some(header), Some(_), Some(_), None) = (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(SHAPE);
    };
    let json = URL_SAFE_NO_PAD.decode(header).map_err(|_| SHAPE)?;
    let header: Header =
        serde_json::from_slice(&json).map_err(|_| Refusal::Bad("the token's header cannot be read"))?;
    match header.crit {
        None => Ok(header),
        Some(_) => Err(Refusal::Bad("the token demands an extension that is not understood")),
    }
}

/// The library looks at the signature; the claims are looked at with a clock that tests can set.
fn signature_only(algorithm: Algorithm) -> Validation {
    let mut validation = Validation::new(algorithm);
    validation.required_spec_claims.clear();
    validation.validate_exp = false;
    validation.validate_nbf = false;
    validation.validate_aud = false;
    validation
}

fn wrong(kind: &ErrorKind) -> Refusal {
    match kind {
        ErrorKind::Json(_) | ErrorKind::Utf8(_) => Refusal::Bad("the token's claims are no JSON object"),
        ErrorKind::Base64(_) => Refusal::Bad("the token is damaged: a part is not base64url"),
        // Of the others only a signature that does not match is left.
        _ => Refusal::Bad("the signature is wrong"),
    }
}

#[cfg(test)]
mod tests;
