//! Whether a connection lives, and what keeps it alive.

use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::Instant;

use super::close::Close;
use super::socket::Socket;

/// When a connection gets a sign of life, and when it counts as dead.
#[derive(Clone, Copy, Debug)]
pub(super) struct Keepalive(pub(super) Duration);

impl Keepalive {
    /// Two questions may go unanswered, with some time for the second answer to arrive.
    fn dead_after(self) -> Duration {
        2 * self.0 + Duration::from_secs(5)
    }
}

/// The times from which follows whether the connection lives.
#[derive(Debug)]
pub(super) struct Life {
    keepalive: Keepalive,
    /// When a message was last sent. Pings are none: y-websocket does not see them.
    pub(super) said: Instant,
    /// When the client was last pinged.
    asked: Instant,
    /// Silence before this time does not count: the connection was not read because the document had enough to do.
    listened: Instant,
    /// When to look again.
    pub(super) tick: Instant,
}

/// What a tick found to be due.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Due {
    sign_of_life: bool,
    ping: bool,
}

impl Life {
    pub(super) fn new(keepalive: Keepalive) -> Self {
        let now = Instant::now();
        Self { keepalive, said: now, asked: now, listened: now, tick: now + keepalive.0 }
    }

    pub(super) fn not_listened_until(&mut self, now: Instant) {
        self.listened = now;
    }

    /// Looks at the times and sets the next tick.
    pub(super) fn tick(&mut self, now: Instant, heard: Instant, reading: bool) -> Result<Due, Close> {
        let Keepalive(keepalive) = self.keepalive;
        let dead_after = self.keepalive.dead_after();
        if !reading {
            self.listened = now;
        }
        let heard = heard.max(self.listened);
        if now >= heard + dead_after {
            return Err(Close::Silent(dead_after));
        }
        let due = Due {
            sign_of_life: now >= self.said + keepalive,
            ping: now >= heard.max(self.asked) + keepalive,
        };
        if due.sign_of_life {
            self.said = now;
        }
        if due.ping {
            self.asked = now;
        }
        self.tick = (self.said + keepalive).min(heard.max(self.asked) + keepalive).min(heard + dead_after);
        Ok(due)
    }
}

impl Due {
    pub(super) fn send<T: AsyncRead + AsyncWrite + Unpin>(
        &self,
        socket: &mut Socket<T>,
        sign_of_life: Option<Bytes>,
    ) {
        // A socket that is still busy with earlier messages will show by its write timeout whether it lives.
        if socket.is_writing() {
            return;
        }
        if self.sign_of_life
            && let Some(sign_of_life) = sign_of_life
        {
            socket.send([sign_of_life]);
        }
        if self.ping {
            socket.ping();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TWENTY: Keepalive = Keepalive(Duration::from_secs(20));
    const NOTHING: Due = Due { sign_of_life: false, ping: false };

    fn life() -> (Life, Instant) {
        let life = Life::new(TWENTY);
        let start = life.said;
        (life, start)
    }

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_that_answers_lives_with_traffic_both_ways() {
        let (mut life, start) = life();
        for round in 1..100 {
            assert_eq!(life.tick, start + round * seconds(20));
            // The answer to the last ping came at once.
            let heard = start + (round - 1) * seconds(20);
            let due = life.tick(life.tick, heard, true).unwrap();
            assert_eq!(due, Due { sign_of_life: true, ping: true });
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_silent_one_is_asked_twice_and_then_closed() {
        let (mut life, start) = life();
        let mut pings = 0;
        let closed = loop {
            let now = life.tick;
            match life.tick(now, start, true) {
                Ok(due) => pings += u32::from(due.ping),
                Err(close) => break (close, now - start),
            }
        };
        assert_eq!((closed, pings), ((Close::Silent(seconds(45)), seconds(45)), 2));
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_only_sends_still_gets_messages_and_one_that_only_receives_is_asked() {
        let (mut sends, start) = life();
        let now = start + seconds(20);
        assert_eq!(sends.tick(now, now, true).unwrap(), Due { sign_of_life: true, ping: false });
        let (mut receives, start) = life();
        receives.said = start + seconds(19);
        assert_eq!(
            receives.tick(start + seconds(20), start, true).unwrap(),
            Due { sign_of_life: false, ping: true }
        );
        assert_eq!(receives.tick, start + seconds(39));
        assert_eq!(receives.tick(start + seconds(21), start + seconds(21), true).unwrap(), NOTHING);
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_not_listened_to_is_no_silence() {
        let (mut life, start) = life();
        let now = start + seconds(100);
        life.tick(now, start, false).unwrap();
        life.not_listened_until(now + seconds(10));
        life.tick(now + seconds(50), start, true).unwrap();
        assert!(life.tick(now + seconds(55), start, true).is_err());
    }
}
