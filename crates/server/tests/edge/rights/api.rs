//! Every request of the HTTP API with every right.

use std::net::SocketAddr;

use serde_json::json;

use super::super::client::{insertion, update_of};
use super::super::server::Running;
use super::super::token::{self, SECRET, token};
use super::session::request;
use super::{on, revoke};

/// What a request needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Needs {
    /// A token of somebody.
    Somebody,
    Read,
    Write,
    Admin,
    /// To administer the server as a whole.
    Server,
}

/// The requests: method, path, whether an update is its body, and what it needs. `DOC` stands for a document's name.
const REQUESTS: [(&str, &str, bool, Needs); 19] = [
    ("GET", "/v1/docs/DOC/content", false, Needs::Read),
    ("GET", "/v1/docs/DOC/update", false, Needs::Read),
    ("HEAD", "/v1/docs/DOC/update", false, Needs::Read),
    ("POST", "/v1/docs/DOC/update", true, Needs::Write),
    ("PUT", "/v1/docs/DOC", false, Needs::Admin),
    ("POST", "/v1/docs/DOC/sessions", false, Needs::Read),
    ("GET", "/v1/docs", false, Needs::Server),
    ("GET", "/d/DOC/as-update", false, Needs::Read),
    ("GET", "/doc/DOC/as-update", false, Needs::Read),
    ("POST", "/d/DOC/update", true, Needs::Write),
    ("POST", "/doc/DOC/update", true, Needs::Write),
    ("POST", "/doc/DOC/auth", false, Needs::Admin),
    ("GET", "/check_store", false, Needs::Server),
    ("POST", "/v1/tickets", false, Needs::Somebody),
    ("GET", "/v1/admin/revocations", false, Needs::Server),
    ("POST", "/v1/admin/compact", false, Needs::Server),
    ("POST", "/v1/admin/backup", false, Needs::Server),
    ("GET", "/metrics", false, Needs::Server),
    // The last, since there is nothing to ask for behind it.
    ("DELETE", "/v1/docs/DOC", false, Needs::Admin),
];

/// What somebody has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Has {
    NoToken,
    /// On another document.
    Nothing,
    Read,
    Write,
    Admin,
    Server,
    /// The token of an administrator that has expired.
    Expired,
    /// Everything was taken back.
    Revoked,
    /// Everything but `read`.
    Lowered,
}

impl Has {
    /// What there is to be seen of a request that needs this.
    fn is_let_in(self, needs: Needs) -> bool {
        match self {
            Self::NoToken | Self::Expired | Self::Revoked => false,
            Self::Nothing => needs == Needs::Somebody,
            Self::Read | Self::Lowered => needs <= Needs::Read,
            Self::Write => needs <= Needs::Write,
            Self::Admin => needs <= Needs::Admin,
            Self::Server => true,
        }
    }

    fn refusal(self) -> u16 {
        match self {
            Self::NoToken | Self::Expired | Self::Revoked => 401,
            _ => 403,
        }
    }
}

async fn token_of(address: SocketAddr, has: Has, doc: &str, user: &str) -> String {
    let everything = json!([{"prefix": "", "access": "admin"}]);
    match has {
        Has::NoToken => String::new(),
        Has::Nothing => token(user, &on("another", "admin")),
        Has::Read => token(user, &on(doc, "read")),
        Has::Write => token(user, &on(doc, "write")),
        Has::Admin => token(user, &on(doc, "admin")),
        Has::Server => token(user, &everything),
        Has::Expired => token::expired(user, &everything),
        Has::Revoked => {
            revoke(address, &json!({"user": user})).await;
            token(user, &on(doc, "admin"))
        }
        Has::Lowered => {
            revoke(address, &json!({"user": user, "document": doc, "access": "read"})).await;
            token(user, &on(doc, "admin"))
        }
    }
}

#[tokio::test]
async fn every_request_with_every_right() {
    let server = Running::with([("auth_secret", SECRET)]).await;
    let address = server.address;
    let update = update_of(&insertion(1, "text"));
    let all = [
        Has::NoToken,
        Has::Nothing,
        Has::Read,
        Has::Write,
        Has::Admin,
        Has::Server,
        Has::Expired,
        Has::Revoked,
        Has::Lowered,
    ];
    for (number, has) in all.into_iter().enumerate() {
        let (doc, user) = (format!("doc{number}"), format!("user{number}"));
        let writer = token("writer", &on(&doc, "write"));
        let path = format!("/v1/docs/{doc}/update?token={writer}");
        assert_eq!(request(address, "POST", &path, &update).await.0, 200);
        let shown = token_of(address, has, &doc, &user).await;
        for (method, path, with_update, needs) in REQUESTS {
            let asked = format!("{}?token={shown}", path.replace("DOC", &doc));
            let body = if with_update { &update[..] } else { &[] };
            let (status, _) = request(address, method, &asked, body).await;
            let what = format!("{method} {path} by {has:?}: {status}");
            if has.is_let_in(needs) {
                assert!((200..300).contains(&status), "{what}");
            } else {
                assert_eq!(status, has.refusal(), "{what}");
            }
        }
    }
    server.stop().await;
}
