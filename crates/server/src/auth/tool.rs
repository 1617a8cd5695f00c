//! Making and explaining tokens, for the command line.

use std::time::{Duration, SystemTime};

use jsonwebtoken::{Algorithm, EncodingKey, Header};

use super::caller::Token;
use super::claims::{Claims, Expected, Seconds};
use super::grants::Grant;
use super::jwt;
use crate::config::Access;

/// What a token is to say.
#[derive(Debug)]
pub(crate) struct TokenClaims {
    pub(crate) user: Option<String>,
    pub(crate) name: Option<String>,
    pub(crate) color: Option<String>,
    pub(crate) grants: Vec<Grant>,
    /// Whether it may post notifications.
    pub(crate) notify: bool,
    pub(crate) expires: Duration,
}

/// What there is to say of a token.
#[derive(Debug)]
pub(crate) struct Explained {
    pub(crate) text: String,
    /// Whether it would be taken.
    pub(crate) holds: bool,
}

/// A token that this configuration takes, or why there can be none.
pub(crate) fn make_token(access: &Access, claims: TokenClaims, now: SystemTime) -> Result<String, String> {
    let Some(secret) = &access.secret else {
        return Err("there is no secret to sign with; set QUIRE_AUTH_SECRET or --auth-secret-file".to_owned());
    };
    if claims.grants.is_empty() && !claims.notify {
        return Err("a token without rights opens nothing; add one such as --grant write:notes".to_owned());
    }
    let issued = Seconds::of(now);
    let claims = Claims {
        sub: claims.user,
        exp: Some(Seconds(issued.0.saturating_add(claims.expires.as_secs()))),
        nbf: None,
        iat: Some(issued),
        iss: access.issuer.clone(),
        aud: super::claims::Audience(access.audience.iter().cloned().collect()),
        name: claims.name,
        color: claims.color,
        notify: claims.notify,
        docs: claims.grants,
    };
    let key = EncodingKey::from_secret(secret.bytes());
    let token = jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &key);
    token.map_err(|error| format!("the token cannot be made: {error}"))
}

/// Says what a token holds, whoever signed it, and whether this configuration takes it.
pub(crate) fn explain_token(access: &Access, text: &str, now: SystemTime) -> Explained {
    let Some(token) = Token::new(text) else {
        return Explained { text: "there is no token".to_owned(), holds: false };
    };
    let mut lines = Vec::new();
    match jsonwebtoken::dangerous::insecure_decode::<serde_json::Value>(text) {
        Ok(decoded) => {
            let key = decoded.header.kid.map_or_else(String::new, |kid| format!(", key {kid:?}"));
            lines.push(format!("algorithm: {:?}{key}", decoded.header.alg));
            lines.push(format!("claims: {:#}", decoded.claims));
        }
        Err(error) => lines.push(format!("it cannot be read: {error}")),
    }
    let keys = match access.ring() {
        Ok(ring) => ring.keys(),
        Err(reason) => return Explained { text: reason, holds: false },
    };
    let expected = Expected { audience: access.audience.clone(), issuer: access.issuer.clone() };
    let identity = if keys.is_empty() {
        Err("no key is configured on this machine, so nobody knows whether the signature is right".to_owned())
    } else {
        jwt::verify(&token, &keys)
            .and_then(|(claims, key)| claims.identity(&expected, key, now))
            .map_err(|refusal| refusal.to_string())
    };
    let holds = match identity {
        Ok(identity) => {
            let left = identity.expires.and_then(|expires| expires.duration_since(now).ok());
            let left = left.unwrap_or_default().as_secs();
            let user = identity.subject.as_deref().unwrap_or("nobody in particular");
            lines.push(format!("accepted: for {user}, for another {left} s"));
            for grant in identity.grants.iter() {
                lines.push(format!("  {grant}"));
            }
            if identity.may_notify {
                lines.push("  posts notifications".to_owned());
            }
            true
        }
        Err(reason) => {
            lines.push(format!("not accepted: {reason}"));
            false
        }
    };
    Explained { text: lines.join("\n"), holds }
}

#[cfg(test)]
mod tests {
    use super::super::grants::{Right, Scope};
    use super::*;
    use crate::config::{Config, Raw};

    fn access(secret: &str) -> Access {
        Config::resolve(&Raw::of([("auth_secret", secret), ("auth_audience", "docs")])).unwrap().access
    }

    fn claims() -> TokenClaims {
        TokenClaims {
            user: Some("ada".into()),
            name: None,
            color: None,
            grants: vec![Grant { scope: Scope::Prefix("team/".into()), right: Right::Write, presence: true }],
            notify: true,
            expires: Duration::from_mins(1),
        }
    }

    #[test]
    fn what_is_made_is_taken_and_explained() {
        let now = SystemTime::now();
        let token = make_token(&access("one"), claims(), now).unwrap();
        let explained = explain_token(&access("one"), &token, now);
        assert!(explained.holds, "{}", explained.text);
        for part in [
            "HS256",
            "\"sub\": \"ada\"",
            "accepted: for ada, for another",
            "write on team/*",
            "posts notifications",
        ] {
            assert!(explained.text.contains(part), "{}", explained.text);
        }
        let wrong = explain_token(&access("two"), &token, now);
        assert!(
            !wrong.holds && wrong.text.contains("not accepted: the signature is wrong"),
            "{}",
            wrong.text
        );
        let late = explain_token(&access("one"), &token, now + Duration::from_mins(2));
        assert!(!late.holds && late.text.contains("expired"), "{}", late.text);
    }

    #[test]
    fn what_cannot_be_made_says_why() {
        let open = Config::resolve(&Raw::default()).unwrap().access;
        assert!(make_token(&open, claims(), SystemTime::now()).unwrap_err().contains("QUIRE_AUTH_SECRET"));
        let none = TokenClaims { grants: Vec::new(), notify: false, ..claims() };
        assert!(make_token(&access("one"), none, SystemTime::now()).unwrap_err().contains("--grant"));
        assert!(!explain_token(&open, "nonsense", SystemTime::now()).holds);
    }
}
