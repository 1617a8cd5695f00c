//! Who may do what.
//!
//! ```text
//! request --> Caller (credentials, address) --> Gate --> Authorizer --> Identity (who, until when, grants)
//!                                                |
//!                                                +--> Permit (identity, rights on one document), or 401 or 403
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
mod open;
mod tool;

#[allow(unused_imports, reason = "for the routes and dialects to come")]
pub(crate) use caller::{Caller, Token, token_of_subprotocol};
#[allow(unused_imports, reason = "for the routes and dialects to come")]
pub(crate) use gate::{Gate, Permit};
pub(crate) use grants::{Grant, Right, Scope};
pub(crate) use tool::{TokenClaims, explain_token, make_token};
