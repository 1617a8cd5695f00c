//! One client's connection.

use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use bytes::Bytes;
use futures_util::{SinkExt as _, StreamExt as _};
use quire_sync_protocol::Update;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};
use tokio_tungstenite::tungstenite::protocol::{Message, WebSocketConfig};
use tokio_tungstenite::{WebSocketStream, client_async_with_config};

use crate::edit::{self, Received};
use crate::process::Address;

/// How long anything may take that a server is waited for with.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);

/// A connection to a document.
#[derive(Debug)]
pub(crate) struct Client {
    socket: WebSocketStream<TcpStream>,
}

/// What a first sync brought.
#[derive(Debug)]
pub(crate) struct Synced {
    pub(crate) client: Client,
    /// What came until the answer was whole, the answer last.
    pub(crate) updates: Vec<Update>,
    /// From the first packet of the connection to the end of the answer.
    pub(crate) took: Duration,
}

impl Client {
    /// Connects and waits for the answer to the question for everything.
    pub(crate) async fn sync(address: &Address, doc: &str) -> Result<Synced> {
        timeout(PATIENCE, Self::sync_in_any_time(address, doc))
            .await
            .context("a client was not synced in time")?
    }

    async fn sync_in_any_time(address: &Address, doc: &str) -> Result<Synced> {
        let begun = Instant::now();
        let stream = TcpStream::connect(&address.host).await.context("no connection")?;
        stream.set_nodelay(true)?;
        let url = format!("ws://{}{}", address.host, address.path(doc));
        let config = WebSocketConfig::default()
            .read_buffer_size(4 << 10)
            .write_buffer_size(0)
            .max_message_size(None)
            .max_frame_size(None);
        let (socket, _) =
            client_async_with_config(url, stream, Some(config)).await.context("no WebSocket")?;
        let mut client = Self { socket };
        client.send(edit::question()).await?;
        let mut updates = Vec::new();
        loop {
            let frame = client.receive_frame().await?;
            // Reading a large document is the client's own work.
            let took = begun.elapsed();
            match edit::read(&frame)? {
                Received::Question => client.send(edit::nothing()).await?,
                Received::Edits(update) => updates.push(update),
                Received::Answer(update) => {
                    updates.push(update);
                    return Ok(Synced { client, updates, took });
                }
                Received::Other => {}
            }
        }
    }

    /// Sends a message.
    pub(crate) async fn send(&mut self, frame: Bytes) -> Result<()> {
        Ok(self.socket.send(Message::Binary(frame)).await?)
    }

    /// Waits for a message. Cancel safe. Pings are answered on the way.
    pub(crate) async fn receive(&mut self) -> Result<Received> {
        edit::read(&self.receive_frame().await?)
    }

    async fn receive_frame(&mut self) -> Result<Bytes> {
        loop {
            match self.socket.next().await {
                Some(Ok(Message::Binary(frame))) => return Ok(frame),
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => self.socket.flush().await?,
                Some(Ok(other)) => bail!("the server sent {other:?}"),
                Some(Err(error)) => return Err(error.into()),
                None => bail!("the server closed the connection"),
            }
        }
    }

    /// Waits until everything of this writer up to `clock` has come back, which confirms that it is stored.
    pub(crate) async fn confirmed(&mut self, writer: usize, clock: u64) -> Result<()> {
        let mut reached = 0;
        let reading = async {
            while reached < clock {
                if let Received::Edits(update) = self.receive().await? {
                    edit::for_each_typed(&update, |by, _, end| {
                        if by == writer {
                            reached = reached.max(end);
                        }
                    });
                }
            }
            anyhow::Ok(())
        };
        timeout(PATIENCE, reading).await.context("an edit was not confirmed in time")?
    }
}
