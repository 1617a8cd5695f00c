//! Keys from files and URLs, and the application that is asked instead.

use std::time::Duration;

use jsonwebtoken::jwk::{Jwk, JwkSet};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ED25519, PKCS_RSA_SHA256, RsaKeySize};
use serde_json::{Value, json};

use super::application::Application;
use super::client::{Editor, get, within};
use super::server::Running;
use super::token;

/// Somebody who signs.
struct Signer {
    algorithm: Algorithm,
    pair: KeyPair,
    id: Option<String>,
}

impl Signer {
    fn new(algorithm: Algorithm, id: Option<&str>) -> Self {
        let pair = match algorithm {
            Algorithm::RS256 => KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048),
            Algorithm::ES256 => KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256),
            Algorithm::EdDSA => KeyPair::generate_for(&PKCS_ED25519),
            other => panic!("no key for {other:?}"),
        };
        Self { algorithm, pair: pair.unwrap(), id: id.map(str::to_owned) }
    }

    fn private(&self) -> EncodingKey {
        let pem = self.pair.serialize_pem();
        match self.algorithm {
            Algorithm::RS256 => EncodingKey::from_rsa_pem(pem.as_bytes()),
            Algorithm::ES256 => EncodingKey::from_ec_pem(pem.as_bytes()),
            _ => EncodingKey::from_ed_pem(pem.as_bytes()),
        }
        .unwrap()
    }

    fn token(&self, claims: &Value) -> String {
        let header = Header { kid: self.id.clone(), ..Header::new(self.algorithm) };
        jsonwebtoken::encode(&header, claims, &self.private()).unwrap()
    }

    fn jwk(&self) -> Jwk {
        let mut jwk = Jwk::from_encoding_key(&self.private(), self.algorithm).unwrap();
        jwk.common.key_id.clone_from(&self.id);
        jwk
    }
}

fn claims() -> Value {
    json!({"sub": "ada", "exp": token::now() + 3600, "docs": [{"name": "a", "access": "write"}]})
}

async fn status(server: &Running, token: &str) -> u16 {
    match Editor::try_connect(server.address, &format!("/a?token={token}")).await {
        Ok(_) => 101,
        Err(refusal) => refusal.status,
    }
}

fn jwks(signers: &[&Signer]) -> String {
    serde_json::to_string(&JwkSet { keys: signers.iter().map(|signer| signer.jwk()).collect() }).unwrap()
}

#[tokio::test]
async fn public_keys_verify_what_their_private_keys_signed_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    for algorithm in [Algorithm::RS256, Algorithm::ES256, Algorithm::EdDSA] {
        let (signer, other) = (Signer::new(algorithm, None), Signer::new(algorithm, None));
        let public = signer.pair.public_key_pem();
        let path = folder.path().join("public.pem");
        std::fs::write(&path, &public).unwrap();
        let server = Running::with([("auth_keys", path.to_str().unwrap())]).await;
        assert_eq!(status(&server, &signer.token(&claims())).await, 101, "{algorithm:?}");
        assert_eq!(status(&server, &other.token(&claims())).await, 401, "{algorithm:?}");
        // The public key, which everybody may know, is no secret to sign with.
        let confused = EncodingKey::from_secret(public.as_bytes());
        let confused = jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims(), &confused).unwrap();
        assert_eq!(status(&server, &confused).await, 401, "{algorithm:?}");
        let expired = json!({"sub": "ada", "exp": token::now() - 60, "docs": []});
        assert_eq!(status(&server, &signer.token(&expired)).await, 401, "{algorithm:?}");
        server.stop().await;
    }
}

#[tokio::test]
async fn keys_of_a_url_change_without_a_restart_and_outlive_its_failures() {
    let [first, second] = ["k1", "k2"].map(|id| Signer::new(Algorithm::ES256, Some(id)));
    let identity_provider = Application::new(200, &jwks(&[&first])).await;
    let url = format!("http://{}/jwks", identity_provider.address);
    let server = Running::with([("auth_keys", url.as_str())]).await;
    assert_eq!(status(&server, &first.token(&claims())).await, 101);
    identity_provider.say(500, "", Duration::ZERO);
    assert_eq!(status(&server, &second.token(&claims())).await, 401);
    assert_eq!(status(&server, &first.token(&claims())).await, 101);
    identity_provider.say(200, &jwks(&[&second]), Duration::ZERO);
    within("the new key", async { while status(&server, &second.token(&claims())).await != 101 {} }).await;
    assert_eq!(status(&server, &first.token(&claims())).await, 401);
    server.stop().await;
}

#[tokio::test]
async fn the_application_is_asked_and_nobody_is_let_in_without_its_word() {
    let yes = json!({"sub": "ada", "docs": [{"name": "a", "access": "write"}]}).to_string();
    let application = Application::new(200, &yes).await;
    let url = format!("http://{}/who", application.address);
    let server = Running::with([
        ("auth_webhook", url.as_str()),
        ("auth_webhook_timeout", "1s"),
        ("auth_webhook_cache", "5min"),
    ])
    .await;
    assert_eq!(status(&server, "one").await, 101);
    assert_eq!(status(&server, "one").await, 101);
    assert_eq!(application.asked().len(), 1, "the answer is kept");
    let asked: Value = serde_json::from_str(&application.asked()[0]).unwrap();
    assert_eq!(asked, json!({"token": "one", "cookie": null, "document": "a", "address": "127.0.0.1"}));
    let other = get(server.address, "/v1/docs/b/content?token=one").await;
    assert_eq!((other.status, other.code().as_str()), (403, "forbidden"));
    assert_eq!(status(&server, "").await, 401);

    for (answer, body, after, expected) in [
        (403, "", 0, 401),
        (500, "", 0, 503),
        (302, yes.as_str(), 0, 503),
        (200, "what?", 0, 503),
        (200, yes.as_str(), 5, 503),
    ] {
        application.say(answer, body, Duration::from_secs(after));
        let token = format!("token-{answer}-{after}-{}", body.len());
        assert_eq!(status(&server, &token).await, expected, "{answer} {body:?} after {after} s");
    }
    let address = application.address;
    drop(application);
    within("its end", async { while tokio::net::TcpStream::connect(address).await.is_ok() {} }).await;
    assert_eq!(status(&server, "two").await, 503);
    assert_eq!(status(&server, "one").await, 101, "what is kept holds");
    server.stop().await;
}
