//! Clients: one that speaks HTTP byte by byte, and one that edits.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{SinkExt as _, StreamExt as _};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::{Message, Role};

/// Far more than anything here takes; what is late by this much is broken.
pub(crate) const DEADLINE: Duration = Duration::from_secs(20);

/// Waits for something that must happen.
pub(crate) async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    timeout(DEADLINE, future).await.unwrap_or_else(|_| panic!("{what}: nothing within {DEADLINE:?}"))
}

/// An HTTP answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Answer {
    /// The value of this header, whose name is in lower case.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (found, value) = line.split_once(':')?;
            found.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }

    /// The `code` of an error.
    pub(crate) fn code(&self) -> String {
        let body: serde_json::Value =
            serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"));
        assert!(body["error"]["message"].is_string(), "{self:?}");
        body["error"]["code"].as_str().unwrap().to_owned()
    }
}

/// Sends these bytes and reads the one answer.
pub(crate) async fn exchange(address: SocketAddr, request: impl AsRef<[u8]>) -> Answer {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request.as_ref()).await.unwrap();
    within("the answer", answer(&mut stream)).await.unwrap()
}

/// `GET` of this path, written as it stands.
pub(crate) async fn get(address: SocketAddr, path: &str) -> Answer {
    exchange(address, format!("GET {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n")).await
}

/// Reads one answer: its head, then as much body as the head says.
pub(crate) async fn answer(stream: &mut TcpStream) -> io::Result<Answer> {
    let head = head(stream).await?;
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
    let mut answer = Answer { status: status.expect("a status line"), head, body: String::new() };
    if let Some(length) = answer.header("content-length") {
        let mut body = vec![0; length.parse().unwrap()];
        stream.read_exact(&mut body).await?;
        answer.body = String::from_utf8_lossy(&body).into_owned();
    }
    Ok(answer)
}

/// Reads up to the empty line and not a byte more.
async fn head(stream: &mut TcpStream) -> io::Result<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await?);
    }
    Ok(String::from_utf8(head).unwrap())
}

/// A WebSocket handshake for this path, which is written as it stands.
pub(crate) fn handshake(path: &str) -> String {
    format!(
        "GET {path} HTTP/1.1\r\nHost: test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
}

/// An editor's connection.
#[derive(Debug)]
pub(crate) struct Editor {
    pub(crate) socket: WebSocketStream<TcpStream>,
}

/// What ended a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// A close frame with this code and reason.
    Closed(u16, String),
    /// No close frame.
    Cut,
}

impl Editor {
    /// Connects at this path, which is written as it stands.
    pub(crate) async fn connect(address: SocketAddr, path: &str) -> Self {
        Self::try_connect(address, path)
            .await
            .unwrap_or_else(|answer| panic!("{path} was refused: {answer:?}"))
    }

    /// Connects, or gives the refusal.
    pub(crate) async fn try_connect(address: SocketAddr, path: &str) -> Result<Self, Answer> {
        Self::request(address, &handshake(path)).await
    }

    /// Connects with this handshake, or gives the refusal.
    pub(crate) async fn request(address: SocketAddr, handshake: &str) -> Result<Self, Answer> {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(handshake.as_bytes()).await.unwrap();
        let answer = within("the handshake", answer(&mut stream)).await.unwrap();
        if answer.status != 101 {
            return Err(answer);
        }
        Ok(Self { socket: WebSocketStream::from_raw_socket(stream, Role::Client, None).await })
    }

    /// Sends one binary message.
    pub(crate) async fn send(&mut self, message: impl Into<Bytes>) {
        self.socket.send(Message::Binary(message.into())).await.unwrap();
    }

    /// The next binary message. Pings are answered meanwhile.
    pub(crate) async fn receive(&mut self) -> Bytes {
        within("a message", async {
            loop {
                match self.socket.next().await {
                    Some(Ok(Message::Binary(bytes))) => return bytes,
                    Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                    other => panic!("no message but {other:?}"),
                }
            }
        })
        .await
    }

    /// Waits for an update or a sync answer that holds these bytes.
    pub(crate) async fn receive_text(&mut self, text: &str) {
        loop {
            let message = self.receive().await;
            if message.first() == Some(&0) && message.windows(text.len()).any(|part| part == text.as_bytes())
            {
                return;
            }
        }
    }

    /// Asks for everything there is.
    pub(crate) async fn ask(&mut self) {
        self.send(&[0, 0, 1, 0][..]).await;
    }

    /// Reads until the connection ends.
    pub(crate) async fn ending(&mut self) -> Ending {
        within("the end", async {
            loop {
                match self.socket.next().await {
                    Some(Ok(Message::Close(Some(frame)))) => {
                        return Ending::Closed(frame.code.into(), frame.reason.to_string());
                    }
                    Some(Ok(_)) => {}
                    Some(Err(_)) | None => return Ending::Cut,
                }
            }
        })
        .await
    }
}

/// An update message in which `client` inserts `text` at the beginning of the empty root text `content`.
pub(crate) fn insertion(client: u8, text: &str) -> Bytes {
    let mut update = vec![1, 1, client, 0, 4, 1];
    write_bytes(&mut update, b"content");
    write_bytes(&mut update, text.as_bytes());
    update.push(0);
    let mut message = vec![0, 2];
    write_bytes(&mut message, &update);
    message.into()
}

/// The update in a message of [`insertion`].
pub(crate) fn update_of(message: &Bytes) -> Bytes {
    // Kind, kind of sync, and a length of one byte.
    assert!(message[2] < 0x80);
    message.slice(3..)
}

fn write_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    let mut length = bytes.len();
    while length >= 0x80 {
        #[expect(clippy::cast_possible_truncation, reason = "masked to seven bits")]
        out.push((length & 0x7f) as u8 | 0x80);
        length >>= 7;
    }
    #[expect(clippy::cast_possible_truncation, reason = "less than 0x80")]
    out.push(length as u8);
    out.extend_from_slice(bytes);
}
