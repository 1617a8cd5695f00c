//! The bare server: what a broadcast costs when nothing else is done.
//!
//! It hands each message to everybody else in the room, with buffers as small as Quire's, one task for each connection, and
//! one flush for everything that waits. It knows no document, stores nothing and confirms nothing. A question for
//! content (`SyncStep1`) is answered with as many bytes as it was told to, so that joins carry the same load.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Result;
use bytes::Bytes;
use futures_util::{SinkExt as _, StreamExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::accept_hdr_async_with_config;
use tokio_tungstenite::tungstenite::handshake::server::{Request, Response};
use tokio_tungstenite::tungstenite::protocol::{Message, WebSocketConfig};

use crate::edit;

type Room = Arc<Mutex<HashMap<u64, mpsc::UnboundedSender<Bytes>>>>;

#[derive(Default)]
struct Rooms {
    by_path: HashMap<String, Room>,
    members: u64,
}

/// Serves until the process is ended. Says on standard output where.
pub(crate) async fn run(listen: SocketAddr, answer_bytes: usize) -> Result<()> {
    let listener = TcpListener::bind(listen).await?;
    println!("bare listens on http://{}", listener.local_addr()?);
    let rooms = Arc::new(Mutex::new(Rooms::default()));
    let answer = edit::answer(answer_bytes);
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let (rooms, answer) = (Arc::clone(&rooms), answer.clone());
        tokio::spawn(async move {
            let mut path = String::new();
            let config = WebSocketConfig::default().read_buffer_size(4 << 10).write_buffer_size(4 << 10);
            #[expect(clippy::result_large_err, reason = "the library's signature")]
            let note_path = |request: &Request, response: Response| {
                request.uri().path().clone_into(&mut path);
                Ok(response)
            };
            let upgraded = accept_hdr_async_with_config(stream, note_path, Some(config)).await;
            if let Ok(socket) = upgraded {
                let (outgoing, queue) = mpsc::unbounded_channel();
                let (room, member) = join(&rooms, path, outgoing);
                // How it ended is of no interest.
                let _ = serve(socket, &room, member, queue, &answer).await;
                lock(&room).remove(&member);
            }
        });
    }
}

fn join(rooms: &Mutex<Rooms>, path: String, outgoing: mpsc::UnboundedSender<Bytes>) -> (Room, u64) {
    let mut rooms = lock(rooms);
    rooms.members += 1;
    let member = rooms.members;
    let room = Arc::clone(rooms.by_path.entry(path).or_default());
    lock(&room).insert(member, outgoing);
    (room, member)
}

async fn serve(
    mut socket: WebSocketStream<TcpStream>,
    room: &Room,
    member: u64,
    mut queue: mpsc::UnboundedReceiver<Bytes>,
    answer: &Bytes,
) -> Result<()> {
    loop {
        tokio::select! {
            received = socket.next() => match received.transpose()? {
                Some(Message::Binary(frame)) if edit::is_question(&frame) => {
                    socket.send(Message::Binary(answer.clone())).await?;
                }
                Some(Message::Binary(frame)) => {
                    for (_, outgoing) in lock(room).iter().filter(|(other, _)| **other != member) {
                        // One that is leaving gets nothing more.
                        let _ = outgoing.send(frame.clone());
                    }
                }
                Some(Message::Close(_)) | None => return Ok(()),
                Some(_) => {}
            },
            first = queue.recv() => {
                let Some(first) = first else { return Ok(()) };
                socket.feed(Message::Binary(first)).await?;
                while let Ok(next) = queue.try_recv() {
                    socket.feed(Message::Binary(next)).await?;
                }
                socket.flush().await?;
            }
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
