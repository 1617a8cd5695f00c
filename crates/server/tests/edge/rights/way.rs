//! Every way to a document that lasts: dialects over WebSocket, and sessions over HTTP. Each sends and hears the same messages.

use std::net::SocketAddr;

use bytes::Bytes;
use futures_util::{SinkExt as _, StreamExt as _};
use quire_sync_protocol::wire::hocuspocus::{self, Address, Body, Frame};
use quire_sync_protocol::wire::{frame, ysweet};
use quire_sync_protocol::{Access, Dialect, Limits, Message};
use tokio_tungstenite::tungstenite::protocol::Message as Ws;

use super::super::client::{Editor, within};
use super::session::Session;

/// A way to a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// Holds what stands in the path before the name.
    YWebsocket(&'static str),
    Quire,
    /// Whether at the newer address.
    YSweet {
        is_new: bool,
    },
    /// Whether the client tells its version, as it does since 4.
    Hocuspocus {
        tells_version: bool,
    },
    Events,
    Poll,
}

pub(super) const WAYS: [Way; 9] = [
    Way::YWebsocket("/ws/"),
    Way::YWebsocket("/"),
    Way::Quire,
    Way::YSweet { is_new: true },
    Way::YSweet { is_new: false },
    Way::Hocuspocus { tells_version: true },
    Way::Hocuspocus { tells_version: false },
    Way::Events,
    Way::Poll,
];

/// What a client hears.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Heard {
    Message(Message),
    /// Hocuspocus: the right that it has.
    Rights(Access),
    /// Hocuspocus: it was refused, or the document was closed to it. Holds what is said.
    Refused(String),
    /// The end. Holds the code, or the status of HTTP.
    Ended(u16),
}

/// Somebody who has come to a document by one of the ways.
pub(super) struct Visitor {
    pub(super) way: Way,
    line: Line,
}

enum Line {
    Socket { editor: Editor, dialect: Dialect, rest: Vec<Message> },
    Hocuspocus { editor: Editor, address: Address },
    Session(Session),
}

/// Whoever was refused, and with which status.
pub(super) type Refusal = u16;

impl Way {
    pub(super) fn is_hocuspocus(self) -> bool {
        matches!(self, Self::Hocuspocus { .. })
    }

    /// Whether the dialect has a count of changes that comes back.
    pub(super) fn has_versions(self) -> bool {
        matches!(self, Self::Quire | Self::YSweet { .. } | Self::Events | Self::Poll)
    }

    /// Comes to a document with a token, or is refused. By Hocuspocus nobody is refused before it has shown its token within the
    /// connection: see [`Visitor::show`].
    pub(super) async fn come(self, server: SocketAddr, doc: &str, token: &str) -> Result<Visitor, Refusal> {
        let socket = async |path: String, subprotocol: &str| {
            let request =
                super::super::client::handshake(&path).replace("Host:", &format!("{subprotocol}Host:"));
            Editor::request(server, &request).await.map_err(|answer| answer.status)
        };
        let line = match self {
            Self::YWebsocket(prefix) => {
                let editor = socket(format!("{prefix}{doc}?token={token}"), "").await?;
                Line::Socket { editor, dialect: Dialect::YWebsocket, rest: Vec::new() }
            }
            Self::Quire => {
                let offer = "Sec-WebSocket-Protocol: quire-client\r\n";
                let editor = socket(format!("/ws/{doc}?token={token}"), offer).await?;
                Line::Socket { editor, dialect: Dialect::Quire, rest: Vec::new() }
            }
            Self::YSweet { is_new } => {
                let path = if is_new { format!("/d/{doc}/ws/{doc}") } else { format!("/doc/ws/{doc}") };
                let editor = socket(format!("{path}?token={token}"), "").await?;
                Line::Socket { editor, dialect: Dialect::YSweet, rest: Vec::new() }
            }
            Self::Hocuspocus { tells_version } => {
                let editor = socket(if tells_version { "/" } else { "/hocuspocus" }.to_owned(), "").await?;
                Line::Hocuspocus { editor, address: Address::new(doc).unwrap() }
            }
            Self::Events => Line::Session(Session::open(server, doc, token, true).await?),
            Self::Poll => Line::Session(Session::open(server, doc, token, false).await?),
        };
        let mut visitor = Visitor { way: self, line };
        visitor.show(token).await;
        Ok(visitor)
    }
}

impl Visitor {
    /// Shows a token within the connection, where that is the way.
    pub(super) async fn show(&mut self, token: &str) {
        let Way::Hocuspocus { tells_version } = self.way else { return };
        let version = tells_version.then(|| "4.8.0".to_owned());
        self.send_body(Body::Token { token: token.into(), version }).await;
    }

    /// Sends something that concerns the document, by Hocuspocus.
    async fn send_body(&mut self, body: Body) {
        let Line::Hocuspocus { address, .. } = &self.line else { return };
        let frame = Frame::Document { address: address.clone(), body: Ok(body) };
        self.send_bytes(hocuspocus::encode(&frame).unwrap()).await;
    }

    /// Sends a message, as far as there is somebody who takes it.
    pub(super) async fn send(&mut self, message: &Message) {
        let bytes = match &self.line {
            Line::Socket { .. } | Line::Session(_) => ysweet::encode(message),
            Line::Hocuspocus { address, .. } => hocuspocus::encode_message(address, message),
        };
        self.send_bytes(bytes.expect("a message of this dialect")).await;
    }

    /// Sends a message that is none.
    pub(super) async fn send_unknown(&mut self) {
        match &self.line {
            Line::Socket { .. } | Line::Session(_) => {
                self.send_bytes(Bytes::from_static(&[99, 1, 2, 3])).await;
            }
            Line::Hocuspocus { .. } => self.send_body(Body::Unknown(99)).await,
        }
    }

    async fn send_bytes(&mut self, bytes: Bytes) {
        match &mut self.line {
            // It may be closed meanwhile.
            Line::Socket { editor, .. } | Line::Hocuspocus { editor, .. } => {
                let _ = editor.socket.send(Ws::Binary(bytes)).await;
            }
            Line::Session(session) => session.send(&bytes).await,
        }
    }

    /// The next thing that is said.
    pub(super) async fn hear(&mut self) -> Heard {
        within("something to hear", async {
            loop {
                match &mut self.line {
                    Line::Session(session) => match session.receive().await {
                        Ok(bytes) => {
                            let [message] = &frames(&Dialect::Quire, &bytes)[..] else { panic!("{bytes:?}") };
                            return Heard::Message(message.clone());
                        }
                        Err(code) => return Heard::Ended(code),
                    },
                    Line::Socket { editor, dialect, rest } => {
                        if !rest.is_empty() {
                            return Heard::Message(rest.remove(0));
                        }
                        match next(editor).await {
                            Ok(bytes) => *rest = frames(dialect, &bytes),
                            Err(code) => return Heard::Ended(code),
                        }
                    }
                    Line::Hocuspocus { editor, .. } => match next(editor).await {
                        Ok(bytes) => match hocuspocus::decode(&bytes, &Limits::default()).unwrap() {
                            Frame::Document { body, .. } => match body.unwrap() {
                                Body::Message(message) => return Heard::Message(message),
                                Body::Authenticated(access) => return Heard::Rights(access),
                                Body::Refused(why) | Body::Close(Some(why)) => return Heard::Refused(why),
                                Body::TokenRequest => {}
                                other => panic!("{other:?}"),
                            },
                            Frame::Ping | Frame::Pong => {}
                        },
                        Err(code) => return Heard::Ended(code),
                    },
                }
            }
        })
        .await
    }
}

/// The next binary message, or the code with which it ended.
async fn next(editor: &mut Editor) -> Result<Bytes, u16> {
    loop {
        match editor.socket.next().await {
            Some(Ok(Ws::Binary(bytes))) => return Ok(bytes),
            Some(Ok(Ws::Close(Some(frame)))) => return Err(frame.code.into()),
            Some(Ok(Ws::Ping(_) | Ws::Pong(_))) => {}
            other => panic!("no message but {other:?}"),
        }
    }
}

/// The messages of a frame. A client of y-websocket knows no versions, and never gets one.
fn frames(dialect: &Dialect, bytes: &Bytes) -> Vec<Message> {
    let limits = Limits::default();
    match dialect {
        Dialect::YWebsocket => frame::decode(bytes, &limits).unwrap(),
        other => other.decode(bytes, &limits).unwrap(),
    }
}
