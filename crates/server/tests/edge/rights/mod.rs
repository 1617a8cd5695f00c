//! Every right, with every kind of message, by every way, while it holds, after it was lowered or taken back or has ended, and
//! with a token that had ended before. And every request of the HTTP API.

mod api;
mod session;
mod way;

use std::net::SocketAddr;

use futures_util::stream::{self, StreamExt as _};
use quire_sync_protocol::wire::awareness::AwarenessEntry;
use quire_sync_protocol::{Access, AwarenessUpdate, ClientId, Message, StateVector, Update};
use serde_json::{Value, json};

use super::client::exchange;
use super::hocuspocus::insertion;
use super::server::Running;
use super::token::{self, SECRET, token};
use way::{Heard, Visitor, WAYS, Way};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    SyncStep1,
    Awareness,
    QueryAwareness,
    Version,
    Stateless,
    Denied,
    Unknown,
    SyncStep2,
    Update,
}

/// All, in an order in which what one brings about does not hide what another does.
const KINDS: [Kind; 9] = [
    Kind::SyncStep1,
    Kind::Awareness,
    Kind::QueryAwareness,
    Kind::Version,
    Kind::Stateless,
    Kind::Denied,
    Kind::Unknown,
    Kind::SyncStep2,
    Kind::Update,
];

impl Kind {
    /// Whether clients of this dialect have it. The others would end the connection with it, whatever they may.
    fn is_of(self, way: Way) -> bool {
        match self {
            Self::Stateless => way.is_hocuspocus(),
            Self::Version => way.has_versions(),
            // There it is a refusal of the token, which ends the document for a client that sends it.
            Self::Denied => !way.is_hocuspocus(),
            _ => true,
        }
    }
}

/// When the message comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum When {
    /// The right holds.
    Live,
    /// It was lowered to `read` after the connection began.
    Lowered,
    /// It was taken back after the connection began.
    Revoked,
    /// Its token has ended after the connection began.
    Ended,
    /// Its token had ended before.
    Expired,
}

const WHENS: [When; 5] = [When::Live, When::Lowered, When::Revoked, When::Ended, When::Expired];

/// What one message brings about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "a row of the table")]
struct Effect {
    /// The content changed, at the server and at the others.
    edits: bool,
    /// The sender got content.
    reads: bool,
    /// The sender was told that it may not edit.
    told: bool,
    /// The sender was told that its edit, or what its version counts, is stored.
    confirmed: bool,
    /// The sender shows in the presence of the others.
    seen: bool,
    /// The others got the application's words.
    spread: bool,
}

/// The table.
fn expected(way: Way, access: &str, kind: Kind, when: When) -> Effect {
    let may_read = access != "none" && matches!(when, When::Live | When::Lowered);
    let may_write = matches!(access, "write" | "admin") && when == When::Live;
    if !may_read {
        return Effect::default();
    }
    let nothing = Effect::default();
    match kind {
        Kind::SyncStep1 => Effect { reads: true, ..nothing },
        Kind::Awareness => Effect { seen: true, ..nothing },
        Kind::SyncStep2 | Kind::Update => {
            let told = match way {
                Way::Hocuspocus { .. } => true,
                // They have no word for it: what they sent is not confirmed.
                Way::YSweet { .. } => false,
                // Once: with the first edit that is not taken, or when the right is lowered.
                Way::YWebsocket(_) | Way::Quire | Way::Events | Way::Poll => {
                    kind == Kind::SyncStep2 && (when == When::Live || access == "read")
                }
            };
            Effect { edits: may_write, confirmed: may_write, told: told && !may_write, ..nothing }
        }
        Kind::Version => Effect { confirmed: true, ..nothing },
        Kind::Stateless => Effect { spread: may_write, ..nothing },
        Kind::QueryAwareness | Kind::Denied | Kind::Unknown => nothing,
    }
}

fn on(doc: &str, access: &str) -> Value {
    json!([{"name": doc, "access": access}])
}

async fn content(address: SocketAddr, doc: &str) -> String {
    let reader = token("reader", &on(doc, "read"));
    let path = format!("/v1/docs/{doc}/content?root=content&format=text&token={reader}");
    let (status, body) = session::request(address, "GET", &path, &[]).await;
    assert_eq!(status, 200);
    String::from_utf8(body).unwrap()
}

async fn revoke(address: SocketAddr, what: &Value) {
    let admin = token("root", &json!([{"prefix": "", "access": "admin"}]));
    let body = what.to_string();
    let length = body.len();
    let request = format!(
        "POST /v1/admin/revoke HTTP/1.1\r\nHost: test\r\nAuthorization: Bearer {admin}\r\nContent-Length: {length}\r\n\r\n{body}"
    );
    assert_eq!(exchange(address, request).await.status, 200);
}

fn presence(client: u64, state: &Value) -> Message {
    let state = state.to_string();
    let entry = AwarenessEntry { client: ClientId::new(client).unwrap(), clock: 1, state: Some(&state) };
    Message::Awareness(AwarenessUpdate::encode([entry]))
}

fn shows(message: &Message, mark: &str) -> bool {
    matches!(message, Message::Awareness(update) if update.entries().any(|entry| {
        entry.state.is_some_and(|state| state.contains(mark))
    }))
}

fn holds(message: &Message, text: &str) -> bool {
    let (Message::Update(update) | Message::SyncStep2(update)) = message else { return false };
    update.bytes().windows(text.len()).any(|part| part == text.as_bytes())
}

/// Asks who is present, and gives everything that is heard up to the answer: there is always somebody. Answers come in order,
/// so it makes a fence.
async fn fence(visitor: &mut Visitor) -> Vec<Message> {
    visitor.send(&Message::QueryAwareness).await;
    greeted(visitor).await
}

/// Hears up to a message that says who is present. A newcomer is told at once.
async fn greeted(visitor: &mut Visitor) -> Vec<Message> {
    let mut heard = Vec::new();
    loop {
        match visitor.hear().await {
            Heard::Message(message) => {
                heard.push(message);
                if heard.last().is_some_and(|message| shows(message, "\"here\"")) {
                    return heard;
                }
            }
            Heard::Rights(_) => {}
            other => panic!("{:?} ended: {other:?}", visitor.way),
        }
    }
}

/// A document with somebody who writes and is always present, and somebody who hears what applications say.
struct Place {
    address: SocketAddr,
    doc: String,
    host: Visitor,
    listener: Visitor,
}

impl Place {
    async fn new(address: SocketAddr, doc: String) -> Self {
        let host = token("host", &on(&doc, "write"));
        let mut host = Way::YWebsocket("/ws/").come(address, &doc, &host).await.unwrap();
        host.send(&presence(1, &json!({"x": "here"}))).await;
        fence(&mut host).await;
        let listener = token("listener", &on(&doc, "read"));
        let way = Way::Hocuspocus { tells_version: true };
        let mut listener = way.come(address, &doc, &listener).await.unwrap();
        greeted(&mut listener).await;
        let mut place = Self { address, doc, host, listener };
        place.settle(0).await;
        place
    }

    /// Writes something and waits until it is stored: what was taken before is stored by then, and said to be.
    async fn settle(&mut self, number: u8) {
        let text = format!("by the host {number}.");
        self.host.send(&Message::Update(insertion(100 + number, &text))).await;
        loop {
            match self.host.hear().await {
                Heard::Message(message) if holds(&message, &text) => return,
                Heard::Message(_) => {}
                other => panic!("the host: {other:?}"),
            }
        }
    }

    /// What came of what one has sent with this mark, as far as the others notice; what it `heard` itself is put to it.
    async fn effect(&mut self, mark: &str, number: u8, heard: &[Message]) -> Effect {
        let at_others = fence(&mut self.listener).await;
        let edits = content(self.address, &self.doc).await.contains(mark);
        assert_eq!(edits, at_others.iter().any(|message| holds(message, mark)), "server and others differ");
        let present = fence(&mut self.host).await;
        let version = Message::Version(vec![number].into());
        let is_stored = |message: &Message| {
            *message == version
                || matches!(message, Message::SyncStatus { applied: true, .. })
                || matches!(message, Message::Update(_)) && holds(message, mark)
        };
        Effect {
            edits,
            reads: heard.iter().any(|message| matches!(message, Message::SyncStep2(_))),
            told: heard.iter().any(|message| {
                matches!(message, Message::Denied(_) | Message::SyncStatus { applied: false, .. })
            }),
            confirmed: heard.iter().any(is_stored),
            seen: present.iter().any(|message| shows(message, mark)),
            spread: at_others
                .iter()
                .any(|message| matches!(message, Message::Stateless(text) if **text == *mark)),
        }
    }
}

/// Sends a message of this kind, with this mark, if it has a place for one.
async fn send(visitor: &mut Visitor, kind: Kind, mark: &str, number: u8) {
    let message = match kind {
        Kind::SyncStep1 => Message::SyncStep1(StateVector::default()),
        Kind::SyncStep2 => Message::SyncStep2(insertion(30 + number, mark)),
        Kind::Update => Message::Update(insertion(30 + number, mark)),
        Kind::Awareness => presence(2, &json!({"x": mark})),
        Kind::QueryAwareness => Message::QueryAwareness,
        Kind::Denied => Message::Denied("no".into()),
        Kind::Version => Message::Version(vec![number].into()),
        Kind::Stateless => Message::Stateless(mark.into()),
        Kind::Unknown => return visitor.send_unknown().await,
    };
    visitor.send(&message).await;
    if matches!(kind, Kind::SyncStep2 | Kind::Update) && visitor.way.has_versions() {
        visitor.send(&Message::Version(vec![number].into())).await;
    }
}

/// One right by one way at one time, with all kinds of messages one after another.
async fn row(address: SocketAddr, way: Way, access: &'static str, when: When, number: usize) {
    let (doc, user) = (format!("doc{number}"), format!("user{number}"));
    let what = format!("{access} {when:?} by {way:?}");
    let mut place = Place::new(address, doc.clone()).await;
    let docs = if access == "none" { on("another", "write") } else { on(&doc, access) };
    let shown = match when {
        When::Expired => token::expired(&user, &docs),
        // Clocks may differ by 5 s: it holds for as long.
        When::Ended => token::of(&json!({"sub": user, "exp": token::now(), "docs": docs})),
        When::Live | When::Lowered | When::Revoked => token(&user, &docs),
    };
    let is_refused = access == "none" || when == When::Expired;
    let mut visitor = match way.come(address, &doc, &shown).await {
        Ok(visitor) => {
            assert!(!is_refused || way.is_hocuspocus(), "{what} was let in");
            visitor
        }
        Err(status) => {
            assert_eq!(status, if when == When::Expired { 401 } else { 403 }, "{what}");
            assert!(is_refused, "{what} was refused");
            return;
        }
    };
    if is_refused {
        // Within the connection: it stays, and so does everything outside of it.
        assert_eq!(visitor.hear().await, Heard::Refused("permission-denied".into()), "{what}");
        return outside(&mut place, &mut visitor, access, when, &what).await;
    }
    // As clients do; what the room says at the beginning is no effect.
    greeted(&mut visitor).await;
    visitor.send(&Message::SyncStep2(Update::empty())).await;
    place.settle(1).await;
    fence(&mut visitor).await;
    match when {
        When::Live | When::Expired => {}
        When::Lowered => {
            revoke(address, &json!({"user": user, "document": doc, "access": "read"})).await;
            if access != "read" && !matches!(way, Way::YSweet { .. }) {
                lowered(&mut visitor, &what).await;
            }
            fence(&mut visitor).await;
        }
        When::Revoked | When::Ended => {
            if when == When::Revoked {
                revoke(address, &json!({"user": user})).await;
            }
            ended(&mut visitor, when, &what).await;
            if !way.is_hocuspocus() {
                assert_eq!(way.come(address, &doc, &shown).await.err(), Some(401), "{what} came back");
            }
            return outside(&mut place, &mut visitor, access, when, &what).await;
        }
    }
    for (number, kind) in (2..).zip(KINDS.into_iter().filter(|kind| kind.is_of(way))) {
        let mark = format!("by the visitor {number}.");
        send(&mut visitor, kind, &mark, number).await;
        let mut heard = fence(&mut visitor).await;
        if kind == Kind::QueryAwareness {
            // That was the answer to it.
            heard.extend(greeted(&mut visitor).await);
        }
        place.settle(number).await;
        heard.extend(fence(&mut visitor).await);
        let found = place.effect(&mark, number, &heard).await;
        assert_eq!(found, expected(way, access, kind, when), "{what}: {kind:?} heard {heard:?}");
    }
}

/// Whoever may edit no more is told so at once.
async fn lowered(visitor: &mut Visitor, what: &str) {
    loop {
        match visitor.hear().await {
            Heard::Message(Message::Denied(_)) | Heard::Rights(Access::Read) => return,
            Heard::Message(_) | Heard::Rights(Access::Write) => {}
            other => panic!("{what}: {other:?}"),
        }
    }
}

/// Whoever has no right any more is told so by the end.
async fn ended(visitor: &mut Visitor, when: When, what: &str) {
    loop {
        match visitor.hear().await {
            Heard::Message(_) | Heard::Rights(_) => {}
            Heard::Ended(code) => {
                let codes: &[u16] = match visitor.way {
                    // A poll that waits hears of it; the next would be of a session that is over, and a new one is refused.
                    Way::Poll => &[401, 410],
                    // Providers before 4 are sent away for another token.
                    Way::Hocuspocus { tells_version: false } if when == When::Ended => &[4205],
                    _ => &[4401],
                };
                assert!(codes.contains(&code), "{what}: {code}");
                return;
            }
            Heard::Refused(why) => {
                assert!(visitor.way.is_hocuspocus(), "{what}: {why}");
                assert!(why.contains("taken back") || why.contains("expired"), "{what}: {why}");
                return;
            }
        }
    }
}

/// Nothing that is sent from outside has an effect, and nothing comes back.
async fn outside(place: &mut Place, visitor: &mut Visitor, access: &str, when: When, what: &str) {
    let way = visitor.way;
    for (number, kind) in (2..).zip(KINDS.into_iter().filter(|kind| kind.is_of(way))) {
        let mark = format!("by the visitor {number}.");
        send(visitor, kind, &mark, number).await;
        place.settle(number).await;
        let found = place.effect(&mark, number, &[]).await;
        assert_eq!(found, expected(way, access, kind, when), "{what}: {kind:?}");
    }
    if way.is_hocuspocus() && when != When::Ended {
        // What a client may ask for without a document comes behind everything else.
        visitor.show("nonsense").await;
        let mut refusals = 0;
        while refusals < 2 {
            match visitor.hear().await {
                Heard::Refused(why) if why == "permission-denied" => refusals += 1,
                other => panic!("{what} heard {other:?}"),
            }
            visitor.show("nonsense again").await;
        }
    }
}

#[tokio::test]
async fn every_right_with_every_message_by_every_way_at_every_time() {
    let server = Running::with([("auth_secret", SECRET)]).await;
    let address = server.address;
    let mut rows = Vec::new();
    for when in WHENS {
        for way in WAYS {
            for access in ["none", "read", "write", "admin"] {
                rows.push(row(address, way, access, when, rows.len()));
            }
        }
    }
    assert_eq!(rows.len(), 5 * 9 * 4);
    stream::iter(rows).for_each_concurrent(48, |row| row).await;
    server.stop().await;
}
