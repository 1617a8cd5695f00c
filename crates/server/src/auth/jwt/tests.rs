//! Every token that is not as it should be is refused, each with its own reason.

use std::time::{Duration, UNIX_EPOCH};

use jsonwebtoken::{EncodingKey, Header};
use serde_json::json;

use super::super::grants::Right;
use super::*;

const SECRET: &[u8] = b"0123456789abcdef0123456789abcdef";
const NOW: u64 = 1_800_000_000;

fn now() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(NOW)
}

fn sign(algorithm: Algorithm, secret: &[u8], claims: &Value) -> String {
    jsonwebtoken::encode(&Header::new(algorithm), claims, &EncodingKey::from_secret(secret)).unwrap()
}

/// A token with one claim set to this, or without it for `null`.
fn with(claim: &str, value: Value) -> String {
    let mut claims = json!({
        "sub": "ada", "exp": NOW + 60, "name": "Ada", "color": "#f00", "docs": [{"name": "a", "access": "write"}],
    });
    if value.is_null() {
        claims.as_object_mut().unwrap().remove(claim);
    } else {
        claims[claim] = value;
    }
    sign(Algorithm::HS256, SECRET, &claims)
}

fn good() -> String {
    with("x", json!(1))
}

/// A token of these two texts, with a signature that is as good as it can be.
fn made_of(header: &str, claims: &str) -> String {
    let message = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
    let signature =
        jsonwebtoken::crypto::sign(message.as_bytes(), &EncodingKey::from_secret(SECRET), Algorithm::HS256);
    format!("{message}.{}", signature.unwrap())
}

fn signed(expected: Expected) -> Signed {
    Signed::new(Ring::new(vec![Key::secret(SECRET)], Vec::new()).unwrap(), expected)
}

fn identity(token: &str, expected: Expected) -> Result<Identity, Refusal> {
    signed(expected).verify(&Token::new(token).unwrap(), now())
}

#[track_caller]
fn refused(token: &str, reason: &str) {
    refused_for(token, Expected::default(), reason);
}

#[track_caller]
fn refused_for(token: &str, expected: Expected, reason: &str) {
    let refusal = identity(token, expected).unwrap_err().to_string();
    assert!(refusal.contains(reason), "{refusal}");
    assert!(token.len() < 20 || !refusal.contains(token), "{refusal}");
}

#[test]
fn a_good_token_says_who_it_is() {
    let ada = identity(&good(), Expected::default()).unwrap();
    assert_eq!(ada.subject.as_deref(), Some("ada"));
    assert_eq!((ada.display.name.as_deref(), ada.display.color.as_deref()), (Some("Ada"), Some("#f00")));
    assert_eq!(ada.expires, Some(now() + Duration::from_mins(1)));
    assert_eq!(ada.grants.on(&DocId::new("a").unwrap()).unwrap().right, Right::Write);
    assert_eq!(ada.grants.on(&DocId::new("b").unwrap()), None);
    // One that a link is made of: whoever holds it is nobody in particular.
    assert_eq!(identity(&with("sub", Value::Null), Expected::default()).unwrap().subject, None);
}

#[test]
fn other_algorithms_and_none_are_refused() {
    let claims = json!({"sub": "ada", "exp": NOW + 60});
    refused(&sign(Algorithm::HS384, SECRET, &claims), "the algorithm \"HS384\" is not accepted");
    refused(&sign(Algorithm::HS512, SECRET, &claims), "the algorithm \"HS512\" is not accepted");
    let claims = claims.to_string();
    for name in ["none", "None", "", "RS256", "EdDSA", "hs256"] {
        let header = json!({"alg": name, "typ": "JWT"}).to_string();
        refused(&made_of(&header, &claims), &format!("the algorithm {name:?} is not accepted"));
        let unsigned = format!("{}.{}.", URL_SAFE_NO_PAD.encode(&header), URL_SAFE_NO_PAD.encode(&claims));
        refused(&unsigned, &format!("the algorithm {name:?} is not accepted"));
    }
    refused(&made_of(r#"{"alg":"HS256","crit":["exp"]}"#, &claims), "demands an extension");
}

#[test]
fn a_wrong_key_and_a_changed_token_are_refused() {
    let claims = json!({"sub": "ada", "exp": NOW + 60});
    refused(&sign(Algorithm::HS256, b"another secret", &claims), "the signature is wrong");
    let token = good();
    let (message, signature) = token.rsplit_once('.').unwrap();
    refused(&format!("{message}."), "the signature is wrong");
    refused(&format!("{message}.{}", &signature[1..]), "");
    let (header, _) = message.split_once('.').unwrap();
    let forged = URL_SAFE_NO_PAD.encode(json!({"sub": "eve", "exp": NOW + 60}).to_string());
    refused(&format!("{header}.{forged}.{signature}"), "the signature is wrong");
}

#[test]
fn a_named_key_must_be_the_one() {
    let mut key = Key::secret(SECRET);
    key.id = Some("k1".into());
    let signed = Signed::new(Ring::new(vec![key], Vec::new()).unwrap(), Expected::default());
    let with_key = |id: Option<&str>| {
        let header = Header { kid: id.map(str::to_owned), ..Header::new(Algorithm::HS256) };
        let claims = json!({"sub": "ada", "exp": NOW + 60});
        let token = jsonwebtoken::encode(&header, &claims, &EncodingKey::from_secret(SECRET)).unwrap();
        signed.verify(&Token::new(&token).unwrap(), now())
    };
    assert_eq!(with_key(Some("k1")).unwrap().key.as_deref(), Some("k1"));
    assert_eq!(with_key(None).unwrap().key.as_deref(), Some("k1"));
    assert_eq!(
        with_key(Some("k2")).unwrap_err(),
        Refusal::Unaccepted { what: "the key", found: "k2".to_owned() }
    );
}

#[test]
fn times_hold_within_the_skew_of_clocks() {
    let skew = CLOCK_SKEW.as_secs();
    for exp in [NOW + 1, NOW, NOW - skew + 1] {
        identity(&with("exp", json!(exp)), Expected::default()).unwrap();
    }
    refused(&with("exp", json!(NOW - skew)), "has expired 5 s ago");
    refused(&with("exp", json!(1)), "has expired");
    refused(&with("exp", Value::Null), "no time at which it ends");
    refused(&with("exp", json!("tomorrow")), "the claims cannot be read");
    refused(&with("exp", json!(-1)), "the claims cannot be read");
    refused(&with("exp", json!(u64::MAX)), "impossible time");
    identity(&with("exp", json!(1_800_000_000.5)), Expected::default()).unwrap();
    for claim in ["nbf", "iat"] {
        for begins in [NOW - 1_000_000, NOW, NOW + skew] {
            identity(&with(claim, json!(begins)), Expected::default()).unwrap();
        }
        refused(&with(claim, json!(NOW + skew + 1)), "not valid for another 6 s");
    }
}

#[test]
fn audience_and_issuer_must_be_ours() {
    let docs = || Expected { audience: Some("docs".into()), issuer: None };
    for aud in [json!("docs"), json!(["x", "docs"])] {
        identity(&with("aud", aud.clone()), docs()).unwrap();
        refused(&with("aud", aud), "the audience");
    }
    for aud in [json!("other"), json!(["x", "y"]), json!([]), Value::Null] {
        refused_for(&with("aud", aud), docs(), "the audience");
    }
    let app = || Expected { audience: None, issuer: Some("app".into()) };
    identity(&with("iss", json!("app")), app()).unwrap();
    for iss in [json!("other"), Value::Null] {
        refused_for(&with("iss", iss), app(), "the issuer");
    }
}

#[test]
fn what_is_too_large_cut_or_no_token_is_refused() {
    refused(&with("name", json!("x".repeat(2 * MAX_BYTES))), "too long");
    let token = good();
    for length in 1..token.len() {
        refused(&token[..length], "");
    }
    for text in ["a", "a.b", "a.b.c.d", "..", "\u{e4}.b.c", "eyJhbGciOiJIUzI1NiJ9"] {
        refused(text, "");
    }
    refused(&made_of("{}", "{}"), "header cannot be read");
    refused(&made_of("nonsense", "{}"), "header cannot be read");
    for claims in ["", "nonsense", "[]", "1", "\u{ff}"] {
        refused(&made_of(r#"{"alg":"HS256"}"#, claims), "claims");
    }
    for docs in [json!("a"), json!({}), json!([{"name": "a"}]), json!([{"name": "a", "access": "own"}])] {
        refused(&with("docs", docs), "the claims cannot be read");
    }
    for sub in [json!(""), json!("x".repeat(256)), json!("a\u{0}b")] {
        refused(&with("sub", sub), "(sub)");
    }
    refused(&with("sub", json!(7)), "the claims cannot be read");
}
