//! One-time tickets: a token that stands in a URL for seconds instead of hours.
//!
//! URLs end in logs of proxies and in histories of browsers. So a page fetches a ticket with its token in a header, and
//! connects with the ticket, which opens one connection and is gone.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::authorizer::Identity;
use super::caller::Token;

/// How long a ticket waits to be used.
pub(crate) const LIFE: Duration = Duration::from_secs(30);

/// Tickets that may wait at the same time, of all and of one user.
const MOST: usize = 100_000;
const MOST_OF_ONE: usize = 1_000;

/// Tickets begin so; no signed token does.
const PREFIX: &str = "ticket_";

/// Random bytes of a ticket.
const BYTES: usize = 32;

/// The tickets that wait to be used. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tickets {
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    /// By the text of the ticket, which nobody can guess.
    waiting: HashMap<Token, Ticket>,
    /// How many of them are whose. Without a name all are of one.
    of_user: HashMap<Option<Arc<str>>, usize>,
    /// Before this time none of them ends.
    sweep_at: Option<Instant>,
}

#[derive(Debug)]
struct Ticket {
    identity: Identity,
    ends: Instant,
}

/// Why there is no ticket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NoTicket {
    /// Too many wait, of all or of this user.
    #[error("too many tickets wait to be used")]
    TooMany,
    /// The system gives no random numbers.
    #[error("the system gives no random numbers")]
    NoRandomness,
}

impl Tickets {
    /// A ticket for this identity.
    pub(crate) fn issue(&self, identity: Identity) -> Result<Token, NoTicket> {
        let mut random = [0; BYTES];
        aws_lc_rs::rand::fill(&mut random).map_err(|_| NoTicket::NoRandomness)?;
        let mut text = PREFIX.to_owned();
        for byte in random {
            // Writing to a String cannot fail.
            let _ = write!(text, "{byte:02x}");
        }
        let token = Token::new(&text).ok_or(NoTicket::NoRandomness)?;
        let now = Instant::now();
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.sweep(now);
        let own = state.of_user.get(&identity.subject).copied().unwrap_or_default();
        if state.waiting.len() >= MOST || own >= MOST_OF_ONE {
            return Err(NoTicket::TooMany);
        }
        *state.of_user.entry(identity.subject.clone()).or_default() += 1;
        state.waiting.insert(token.clone(), Ticket { identity, ends: now + LIFE });
        state.sweep_at.get_or_insert(now + LIFE);
        Ok(token)
    }

    /// Uses a ticket up. `None` if there is none such, or no more.
    pub(crate) fn redeem(&self, token: &Token) -> Option<Identity> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let ticket = state.remove(token)?;
        (Instant::now() < ticket.ends).then_some(ticket.identity)
    }
}

/// Whether this is a ticket, good or not.
pub(crate) fn is_ticket(token: &Token) -> bool {
    token.expose().starts_with(PREFIX)
}

impl State {
    fn remove(&mut self, token: &Token) -> Option<Ticket> {
        let ticket = self.waiting.remove(token)?;
        if let Some(own) = self.of_user.get_mut(&ticket.identity.subject) {
            *own -= 1;
            if *own == 0 {
                self.of_user.remove(&ticket.identity.subject);
            }
        }
        Some(ticket)
    }

    /// Removes what has ended, at most once in the life of a ticket, so that issuing stays cheap.
    fn sweep(&mut self, now: Instant) {
        if self.sweep_at.is_none_or(|at| now < at) {
            return;
        }
        let ended = self.waiting.iter().filter(|(_, ticket)| ticket.ends <= now);
        let ended: Vec<_> = ended.map(|(token, _)| token.clone()).collect();
        for token in ended {
            self.remove(&token);
        }
        self.sweep_at = (!self.waiting.is_empty()).then_some(now + LIFE);
    }
}

#[cfg(test)]
mod tests {
    use super::super::grants::{Grants, Right};
    use super::*;

    fn identity(user: &str) -> Identity {
        Identity { subject: Some(user.into()), ..Identity::anonymous(Grants::everywhere(Right::Write)) }
    }

    #[tokio::test(start_paused = true)]
    async fn a_ticket_is_used_once_and_in_time() {
        let tickets = Tickets::default();
        let ticket = tickets.issue(identity("ada")).unwrap();
        assert!(is_ticket(&ticket));
        assert_eq!(tickets.redeem(&ticket), Some(identity("ada")));
        assert_eq!(tickets.redeem(&ticket), None);
        let ticket = tickets.issue(identity("ada")).unwrap();
        tokio::time::advance(LIFE).await;
        assert_eq!(tickets.redeem(&ticket), None);
        assert_eq!(tickets.redeem(&Token::new("ticket_00").unwrap()), None);
    }

    #[tokio::test(start_paused = true)]
    async fn they_are_bounded_by_user_and_those_that_end_make_room() {
        let tickets = Tickets::default();
        let all: Vec<_> = (0..MOST_OF_ONE).map(|_| tickets.issue(identity("ada")).unwrap()).collect();
        assert_eq!(tickets.issue(identity("ada")), Err(NoTicket::TooMany));
        tickets.issue(identity("bob")).unwrap();
        tickets.redeem(&all[0]).unwrap();
        tickets.issue(identity("ada")).unwrap();
        tokio::time::advance(LIFE).await;
        tickets.issue(identity("ada")).unwrap();
        assert_eq!(tickets.state.lock().unwrap().waiting.len(), 1);
    }
}
