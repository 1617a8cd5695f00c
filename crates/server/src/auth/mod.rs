//! Who may do what.
//!
//! ```text
//! request --> Caller (credentials, address) --> Gate --> Authorizer --> Identity (who, until when, grants)
//!                                                |
//!                                                +--> Permit (identity, rights on one document), or 401 or 403
//!                                                        |
//!                                                        +--> Pass (for a connection: ends, changes)
//! ```
//!
//! Every request for a document and every connection passes [`Gate::check`], and everything that concerns the server as a
//! whole [`Gate::check_server`]; there is no other way to a [`Permit`]. Why somebody was refused stands in the log and
//! never in the answer.

mod authorizer;
mod caller;
mod claims;
mod gate;
mod grants;
mod jwt;
mod keys;
mod ledger;
mod live;
mod open;
mod revocation;
mod ring;
mod stamp;
mod ticket;
mod tool;
mod webhook;

pub(crate) use caller::{Caller, Token, token_of_subprotocol};
pub(crate) use claims::{CLOCK_SKEW, Seconds};
pub(crate) use gate::{Gate, Permit};
pub(crate) use grants::{Grant, Right, Scope};
pub(crate) use keys::Key;
pub use ledger::LedgerError;
pub(crate) use ledger::{ChangeError, Ledger};
pub(crate) use live::{Live, Pass, PassEvent};
pub(crate) use revocation::Revocation;
pub(crate) use ring::{Ring, Source};
pub(crate) use stamp::Stamp;
pub(crate) use ticket::LIFE as TICKET_LIFE;
pub(crate) use tool::{TokenClaims, explain_token, make_token};
pub(crate) use webhook::WebhookConfig;
