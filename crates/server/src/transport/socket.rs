//! A WebSocket that reads and writes at the same time within one task.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::io;
use std::mem;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::error::{CapacityError, Error, ProtocolError};
use tokio_tungstenite::tungstenite::protocol::frame::FrameHeader;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};
use tokio_tungstenite::tungstenite::protocol::{Message, Role, WebSocketConfig, WebSocketContext};
use tracing::warn;

use super::bypass::Bypass;
use super::close::Close;
use super::framed::Framed;
use super::read_ahead::ReadAhead;
use crate::accept::{Line, Wire};
use crate::seldom::Bell;

/// What happened on the socket.
#[derive(Debug)]
pub(super) enum Event {
    /// A binary message came.
    Message(Bytes),
    /// A ping or a pong came. Pings are answered already.
    SignOfLife,
    /// All that was queued is handed to the operating system.
    Written,
    /// The client sends messages of this kind or size no more, or never should have.
    Fault(Close),
    /// The client said that it closes. Holds its code.
    Closing(Option<u16>),
    /// The connection is gone.
    Gone(Gone),
}

/// How a connection ended without a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Gone {
    /// The peer, or something on the way, ended it.
    Lost,
    /// The peer took no byte for the write timeout.
    Stalled,
}

/// Kept by every connection for as long as it lives; more is [read at a time](ReadAhead). It holds several messages of somebody who
/// types.
const READ_BUFFER: usize = 256;

/// Read at a time of what is not wanted.
const DISCARDED: usize = 2 << 10;

/// Small messages are gathered up to this size before they are written.
const WRITE_BUFFER: usize = 4 << 10;

/// A larger message is written from where it is ([`Bypass`]): one that goes to many readers exists once, not once more in the
/// buffer of each.
const LARGE: usize = 8 << 10;

/// A large message goes in pieces of this size (frames of one fragmented message), so that a ping is answered before its end.
const FRAGMENT: usize = 64 << 10;

/// The largest header of a frame that goes to a client.
const HEADER_BYTES: usize = 10;

/// What may be in the write buffer: one gathered lot, one message more, and control frames.
const MAX_WRITE_BUFFER: usize = 64 << 10;

/// How long the client may take to answer a close frame.
const CLOSE_WAIT: Duration = Duration::from_secs(2);

/// How long a client may go on sending a message that was refused. A connection that is cut while bytes arrive is reset, and
/// the client may then never see the close frame; long enough for a large message to pass on a usual line.
const REFUSAL_WAIT: Duration = Duration::from_secs(5);

/// A WebSocket, with messages queued for writing.
#[derive(Debug)]
pub(super) struct Socket<T> {
    framed: Framed<Bypass<ReadAhead<T>>>,
    /// Rings when there may be something to read.
    bell: Bell,
    queue: VecDeque<Bytes>,
    /// A ping is to be written, behind the queue.
    pings: bool,
    /// What remains of a message that is being written in pieces.
    rest: Option<Bytes>,
    /// Whether something was queued since the last [`Event::Written`].
    writing: bool,
    max_message: usize,
    /// In a box, which most do not need.
    last_large: Option<Box<Large>>,
}

/// A message that was larger than the read buffer, kept until as much as a read buffer has come after it.
///
/// The library reads a message into memory of its size, and when everything cut from that memory is gone, it goes on reading
/// into it: a connection would hold the memory of its largest message for as long as it lives. While the message is
/// alive the library cannot do so, and takes a small buffer when the rest of that memory, at most a read buffer, is
/// used up.
#[derive(Debug)]
struct Large {
    _message: Bytes,
    came_after: usize,
}

impl Socket<Line<Wire>> {
    /// Goes on in the present runtime, wherever it was before.
    pub(super) fn move_here(&mut self) {
        // What would have rung it is left behind.
        self.bell = Bell::new();
        if let Err(error) = self.framed.io().inner().inner().move_here() {
            warn!(%error, "a connection is served from another thread than its document, which is slower");
        }
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> Socket<T> {
    /// Takes over a connection whose handshake is done. `read` is what came in after the handshake.
    pub(super) fn new(io: T, read: Vec<u8>, max_message: usize) -> Self {
        let config = WebSocketConfig::default()
            .read_buffer_size(READ_BUFFER)
            .write_buffer_size(WRITE_BUFFER)
            .max_write_buffer_size(MAX_WRITE_BUFFER)
            .max_message_size(Some(max_message))
            .max_frame_size(Some(max_message));
        let protocol = WebSocketContext::from_partially_read(read, Role::Server, Some(config));
        Self {
            framed: Framed::new(Bypass::new(ReadAhead::new(io)), protocol),
            bell: Bell::new(),
            queue: VecDeque::new(),
            pings: false,
            rest: None,
            writing: false,
            max_message,
            last_large: None,
        }
    }

    /// Queues messages for [`Socket::event`] to write.
    pub(super) fn send(&mut self, messages: impl Into<Vec<Bytes>>) {
        let messages = messages.into();
        if self.queue.is_empty() {
            // Takes no memory of its own then.
            self.queue = messages.into();
        } else {
            self.queue.extend(messages);
        }
        self.writing = true;
    }

    /// Queues a ping.
    pub(super) fn ping(&mut self) {
        self.pings = true;
        self.writing = true;
    }

    /// Whether something queued is not written yet.
    pub(super) fn is_writing(&self) -> bool {
        self.writing
    }

    /// Writes what is queued, reads if `reading`, and waits until something happens. Cancel safe.
    pub(super) async fn event(&mut self, reading: bool) -> Event {
        poll_fn(|cx| {
            if self.writing
                && let Poll::Ready(event) = self.poll_written(cx)
            {
                return Poll::Ready(event);
            }
            if reading { self.poll_read(cx) } else { Poll::Pending }
        })
        .await
    }

    /// Writes what is queued: [`Event::Written`], or what went wrong.
    pub(super) fn poll_written(&mut self, cx: &mut Context<'_>) -> Poll<Event> {
        let written = ready!(self.poll_write(cx));
        Poll::Ready(match written {
            Ok(()) => {
                self.writing = false;
                Event::Written
            }
            Err(error) => failed(&error, self.max_message),
        })
    }

    /// Reads: anything but [`Event::Written`]. Cheap while nothing comes.
    pub(super) fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<Event> {
        let Self { framed, bell, .. } = self;
        let received = ready!(bell.poll(cx, |cx| framed.poll_next(cx)));
        if let Some(Ok(message)) = &received {
            self.note_large(message);
        }
        Poll::Ready(match received {
            Some(Ok(Message::Binary(bytes))) => Event::Message(bytes),
            Some(Ok(Message::Text(_))) => Event::Fault(Close::Text),
            // The library hands out no bare frames; they are for writing only.
            Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => Event::SignOfLife,
            Some(Ok(Message::Close(frame))) => Event::Closing(frame.map(|frame| frame.code.into())),
            Some(Err(error)) => failed(&error, self.max_message),
            None => Event::Gone(Gone::Lost),
        })
    }

    fn note_large(&mut self, message: &Message) {
        match message {
            Message::Binary(bytes) if bytes.len() > READ_BUFFER => {
                self.last_large = Some(Box::new(Large { _message: bytes.clone(), came_after: 0 }));
            }
            Message::Binary(_)
            | Message::Text(_)
            | Message::Ping(_)
            | Message::Pong(_)
            | Message::Close(_)
            | Message::Frame(_) => {
                if let Some(large) = &mut self.last_large {
                    large.came_after += message.len();
                    if large.came_after > READ_BUFFER {
                        self.last_large = None;
                    }
                }
            }
        }
    }

    fn poll_write(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        loop {
            if self.rest.is_some() || self.queue.front().is_some_and(|bytes| bytes.len() > LARGE) {
                ready!(self.poll_flush(cx))?;
                self.put_fragment()?;
            } else {
                let Self { framed, bell, .. } = self;
                ready!(framed.poll_ready(&mut Context::from_waker(bell.waker(cx))))?;
                let Some(message) = self.next_message() else { return self.poll_flush(cx) };
                let Self { framed, bell, .. } = self;
                framed.put(&mut Context::from_waker(bell.waker(cx)), message)?;
            }
        }
    }

    /// By the waker that is given for reading, too.
    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.framed.poll_flush(&mut Context::from_waker(self.bell.waker(cx)))
    }

    /// The next message, which is a small one.
    fn next_message(&mut self) -> Option<Message> {
        let next = self.queue.pop_front();
        if next.is_none() {
            // It keeps no room while there is nothing to write.
            self.queue = VecDeque::new();
        }
        next.map(Message::Binary).or_else(|| mem::take(&mut self.pings).then(|| Message::Ping(Bytes::new())))
    }

    /// Has the next piece of a large message written. Everything before it has been flushed.
    fn put_fragment(&mut self) -> Result<(), Error> {
        let (next, kind) = match self.rest.take() {
            Some(rest) => (Some(rest), Data::Continue),
            None => (self.queue.pop_front(), Data::Binary),
        };
        let Some(mut bytes) = next else { return Ok(()) };
        let piece = bytes.split_to(bytes.len().min(FRAGMENT));
        let is_final = bytes.is_empty();
        if !is_final {
            self.rest = Some(bytes);
        }
        let mut header = Vec::with_capacity(HEADER_BYTES);
        FrameHeader { is_final, opcode: OpCode::Data(kind), ..FrameHeader::default() }
            .format(piece.len() as u64, &mut header)?;
        self.framed.io().put(header.into(), piece);
        Ok(())
    }

    /// Reads what still comes, and the end.
    async fn read_out(&mut self) {
        poll_fn(|cx| {
            while let Some(Ok(_)) = ready!(self.framed.poll_next(cx)) {}
            Poll::Ready(())
        })
        .await;
    }

    /// Writes this behind what the library holds, whatever is queued.
    async fn write_alone(&mut self, message: Message) -> Result<(), Error> {
        let mut message = Some(message);
        poll_fn(|cx| {
            if message.is_some() {
                ready!(self.framed.poll_ready(cx))?;
            }
            if let Some(message) = message.take() {
                self.framed.put(cx, message)?;
            }
            self.framed.poll_flush(cx)
        })
        .await
    }

    /// Answers a client that closes: finishes the handshake and the connection.
    pub(super) async fn finish(mut self) {
        // The answer is queued inside the library, which sends it while it is read.
        let _ = timeout(CLOSE_WAIT, self.read_out()).await;
    }

    /// Closes the connection: says why, and waits for the client's answer.
    pub(super) async fn close(mut self, why: &Close) {
        let said = timeout(CLOSE_WAIT, self.write_alone(Message::Close(Some(why.frame())))).await;
        if !matches!(said, Ok(Ok(()))) {
            return;
        }
        match why {
            Close::Silent(_)
            | Close::Rebuilding
            | Close::Quarantined
            | Close::Restart
            | Close::Text
            | Close::Reset(_)
            | Close::NoToken
            | Close::NoPlace
            | Close::Damaged
            | Close::NoInbox
            | Close::Unauthorized
            | Close::Expired
            | Close::Revoked
            | Close::Forbidden
            | Close::Deleted
            | Close::DeadEpoch => {
                let _ = timeout(CLOSE_WAIT, self.read_out()).await;
            }
            // What comes now is the rest of what was refused, and may be the middle of a frame.
            Close::Malformed(_) | Close::TooBig(_) => {
                let io = self.framed.io();
                let _ = io.shutdown().await;
                let mut discarded = vec![0; DISCARDED];
                let _ = timeout(REFUSAL_WAIT, async { while let Ok(1..) = io.read(&mut discarded).await {} })
                    .await;
            }
        }
    }
}

/// What a failure of the library means.
fn failed(error: &Error, max_message: usize) -> Event {
    match error {
        Error::Capacity(CapacityError::MessageTooLong { .. }) => {
            Event::Fault(Close::TooBig(format!("the message is larger than the {max_message} bytes allowed")))
        }
        Error::Utf8(_) => Event::Fault(Close::Text),
        Error::Protocol(ProtocolError::ResetWithoutClosingHandshake) => Event::Gone(Gone::Lost),
        Error::Protocol(error) => Event::Fault(Close::Malformed(error.to_string())),
        Error::Io(error) if error.kind() == io::ErrorKind::TimedOut => Event::Gone(Gone::Stalled),
        // Of the remaining ones only those of the connection itself can occur here.
        _ => Event::Gone(Gone::Lost),
    }
}

#[cfg(test)]
mod tests {
    use futures_util::{SinkExt as _, StreamExt as _};
    use tokio::io::{DuplexStream, duplex};
    use tokio_tungstenite::WebSocketStream;

    use super::*;

    /// Two sockets with a pipe of this many bytes between them, the first of them ours.
    async fn pair(pipe: usize) -> (Socket<DuplexStream>, WebSocketStream<DuplexStream>) {
        let (near, far) = duplex(pipe);
        (
            Socket::new(near, Vec::new(), 1 << 20),
            WebSocketStream::from_raw_socket(far, Role::Client, None).await,
        )
    }

    fn numbered(length: usize) -> Bytes {
        (0..=250).cycle().take(length).collect()
    }

    #[tokio::test]
    async fn messages_of_any_size_arrive_whole_and_in_order() {
        let (mut socket, mut client) = pair(1000).await;
        let around = |size| [size - 1, size, size + 1];
        let sizes = [&[0, 1][..], &around(LARGE), &around(FRAGMENT), &[3 * FRAGMENT, 1_000_000, 5]].concat();
        socket.send(sizes.iter().copied().map(numbered).collect::<Vec<_>>());
        let reading = tokio::spawn(async move {
            for size in sizes {
                assert_eq!(client.next().await.unwrap().unwrap(), Message::Binary(numbered(size)), "{size}");
            }
            client
        });
        assert!(matches!(socket.event(true).await, Event::Written));
        assert!(!socket.is_writing());
        reading.await.unwrap();
    }

    #[tokio::test]
    async fn reading_goes_on_while_writing_waits() {
        let (mut socket, mut client) = pair(1000).await;
        socket.send([numbered(100_000)]);
        client.send(Message::Ping(Bytes::new())).await.unwrap();
        client.send(Message::binary(&b"hello"[..])).await.unwrap();
        assert!(matches!(socket.event(true).await, Event::SignOfLife));
        assert!(matches!(socket.event(true).await, Event::Message(bytes) if bytes == "hello"));
        assert!(socket.is_writing());
        let reading = tokio::spawn(async move { [client.next().await, client.next().await] });
        assert!(matches!(socket.event(true).await, Event::Written));
        let came = reading.await.unwrap().map(|message| message.unwrap().unwrap());
        // A ping is answered before the end of what is being written.
        assert_eq!(came, [Message::Pong(Bytes::new()), Message::Binary(numbered(100_000))]);
    }

    #[tokio::test]
    async fn nothing_is_read_unless_wanted() {
        let (mut socket, mut client) = pair(1000).await;
        client.send(Message::binary(&b"hello"[..])).await.unwrap();
        socket.send([Bytes::from_static(b"out")]);
        assert!(matches!(socket.event(false).await, Event::Written));
        assert!(futures_util::FutureExt::now_or_never(socket.event(false)).is_none());
        assert!(matches!(socket.event(true).await, Event::Message(_)));
    }

    #[tokio::test]
    async fn the_memory_of_a_large_message_is_given_back() {
        let (mut socket, mut client) = pair(1 << 20).await;
        client.send(Message::Binary(numbered(500_000))).await.unwrap();
        let Event::Message(bytes) = socket.event(true).await else { panic!("no message") };
        for _ in 0..=READ_BUFFER / 100 {
            client.send(Message::Binary(numbered(100))).await.unwrap();
            assert!(matches!(socket.event(true).await, Event::Message(_)));
        }
        // Is unique only if nobody else holds any of it, the read buffer included.
        assert!(bytes.try_into_mut().is_ok());
    }

    #[tokio::test]
    async fn the_reason_of_a_refusal_arrives_although_the_client_goes_on_sending() {
        let (mut socket, client) = pair(1000).await;
        let (mut sink, mut stream) = client.split();
        let sending = tokio::spawn(async move { sink.send(Message::Binary(numbered(3 << 20))).await });
        let Event::Fault(why) = socket.event(true).await else { panic!("no fault") };
        assert_eq!(why.code(), 1009);
        let closing = tokio::spawn(async move { socket.close(&why).await });
        let Some(Ok(Message::Close(Some(frame)))) = stream.next().await else { panic!("no close frame") };
        assert_eq!(u16::from(frame.code), 1009);
        drop(stream);
        sending.abort();
        let _ = sending.await;
        closing.await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_does_not_answer_a_close_is_not_waited_for() {
        let (socket, _client) = pair(1000).await;
        socket.close(&Close::Restart).await;
        let (mut socket, _client) = pair(10).await;
        socket.send([numbered(1000)]);
        assert!(futures_util::FutureExt::now_or_never(socket.event(true)).is_none());
        socket.close(&Close::Restart).await;
    }
}
