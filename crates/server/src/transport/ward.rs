//! What goes with a connection to one document, whatever carries it: how long it has which rights, and who it is.

use std::net::SocketAddr;
use std::sync::Arc;

use quire_sync_protocol::{Dialect, DocId};
use tokio::sync::OwnedSemaphorePermit;

use super::close::Close;
use super::mail::Mail;
use super::quota::Counted;
use super::rate::Rates;
use crate::auth::{Pass, PassEvent, Stamp};
use crate::doc::{Counters, Seat};

/// Who is connected, for the log.
#[derive(Debug)]
pub(super) struct Client {
    pub(super) peer: SocketAddr,
    pub(super) doc: DocId,
    pub(super) dialect: Dialect,
}

/// What goes with a connection. It counts for as long as this is held.
#[derive(Debug)]
pub(super) struct Ward {
    pub(super) pass: Pass,
    pub(super) stamp: Option<Stamp>,
    pub(super) client: Client,
    pub(super) rates: Rates,
    pub(super) mail: Mail,
    pub(super) counters: Arc<Counters>,
    pub(super) _counted: Counted,
    pub(super) _slot: OwnedSemaphorePermit,
}

/// Carries out what became of a pass; gives why its connection is to be closed, if it is.
pub(super) fn changed(event: PassEvent, seat: &Seat, counters: &Counters) -> Option<Close> {
    match event {
        PassEvent::Rights(rights) => {
            seat.set_rights(rights.right.access(), rights.presence);
            None
        }
        // None of these clients can be asked for another token within the connection.
        PassEvent::Expiring => None,
        PassEvent::Expired => {
            Counters::add(&counters.expired, 1);
            Some(Close::Expired)
        }
        PassEvent::Revoked => {
            Counters::add(&counters.revoked, 1);
            Some(Close::Revoked)
        }
    }
}
