//! A session over HTTP, request by request.

use std::collections::VecDeque;
use std::net::SocketAddr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use quire_sync_protocol::wire::varint::{Reader, write_var_uint};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::net::TcpStream;

/// A client's end of a session.
pub(super) struct Session {
    server: SocketAddr,
    name: String,
    cursor: String,
    sent: u64,
    received: VecDeque<Bytes>,
    /// With a stream of events; otherwise it polls.
    events: Option<Lines<BufReader<TcpStream>>>,
}

impl Session {
    /// Opens a session, or gives the status of the refusal.
    pub(super) async fn open(server: SocketAddr, doc: &str, token: &str, streams: bool) -> Result<Self, u16> {
        let path = format!("/v1/docs/{doc}/sessions?token={token}");
        let (status, body) = request(server, "POST", &path, &[]).await;
        if status != 201 {
            return Err(status);
        }
        let mut reader = Reader::new(&body);
        let name = reader.var_string().unwrap().to_owned();
        reader.var_uint().unwrap();
        let cursor = reader.var_string().unwrap().to_owned();
        let mut received = VecDeque::new();
        items(&mut reader, &mut received);
        let mut session = Self { server, name, cursor, sent: 0, received, events: None };
        if streams {
            let mut stream = TcpStream::connect(server).await.unwrap();
            // In this version the events come without the lengths of pieces between them.
            let path = session.path("events");
            stream.write_all(format!("GET {path} HTTP/1.0\r\nHost: test\r\n\r\n").as_bytes()).await.unwrap();
            session.events = Some(BufReader::new(stream).lines());
        }
        Ok(session)
    }

    fn path(&self, what: &str) -> String {
        format!("/v1/sessions/{}/{what}?after={}", self.name, self.cursor)
    }

    /// Sends one frame. A session that is over takes none.
    pub(super) async fn send(&mut self, frame: &[u8]) {
        self.sent += 1;
        let path = format!("/v1/sessions/{}/frames?first={}", self.name, self.sent);
        let mut body = Vec::new();
        write_var_uint(&mut body, frame.len() as u64 * 2);
        body.extend_from_slice(frame);
        let (status, _) = request(self.server, "POST", &path, &body).await;
        assert!([200, 401, 410].contains(&status), "{status}");
    }

    /// The next frame, or the code or status with which it ended.
    pub(super) async fn receive(&mut self) -> Result<Bytes, u16> {
        loop {
            if let Some(frame) = self.received.pop_front() {
                return Ok(frame);
            }
            if self.events.is_some() {
                self.event().await?;
                continue;
            }
            let (status, body) = request(self.server, "GET", &self.path("poll"), &[]).await;
            if status != 200 {
                return Err(status);
            }
            let mut reader = Reader::new(&body);
            reader.var_string().unwrap().clone_into(&mut self.cursor);
            items(&mut reader, &mut self.received);
        }
    }

    /// Reads up to the end of an event.
    async fn event(&mut self) -> Result<(), u16> {
        let Some(lines) = &mut self.events else { return Ok(()) };
        let mut is_end = false;
        while let Some(line) = lines.next_line().await.unwrap() {
            if line == "event: close" {
                is_end = true;
            } else if let Some(data) = line.strip_prefix("data: ") {
                if is_end {
                    let said: serde_json::Value = serde_json::from_str(data).unwrap();
                    return Err(said["code"].as_u64().unwrap().try_into().unwrap());
                }
                self.received.push_back(STANDARD.decode(data).unwrap().into());
                return Ok(());
            }
        }
        // The session is over already.
        Err(410)
    }
}

fn items(reader: &mut Reader<'_>, into: &mut VecDeque<Bytes>) {
    while !reader.is_empty() {
        let head = reader.var_uint().unwrap();
        assert_eq!(head % 2, 0, "a frame in pieces");
        into.push_back(Bytes::copy_from_slice(reader.take(usize::try_from(head / 2).unwrap()).unwrap()));
    }
}

/// One request of its own connection. Gives status and body.
pub(super) async fn request(server: SocketAddr, method: &str, path: &str, body: &[u8]) -> (u16, Vec<u8>) {
    let mut stream = TcpStream::connect(server).await.unwrap();
    let length = body.len();
    let head = format!(
        "{method} {path} HTTP/1.0\r\nHost: test\r\nContent-Type: application/octet-stream\r\nContent-Length: {length}\r\n\r\n"
    );
    stream.write_all(&[head.as_bytes(), body].concat()).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    let end = answer.windows(4).position(|part| part == b"\r\n\r\n").unwrap() + 4;
    let status = std::str::from_utf8(&answer[9..12]).unwrap().parse().unwrap();
    (status, answer.split_off(end))
}
