//! Notifications: put into the inbox of a user, which is durable, and from there into every stream of that user.
//!
//! ```text
//!  POST --> Notifications --> store (inbox) --+
//!                |                            |  reads behind its own place
//!                +--> doorbell of the user --> Delivery --> stream, poll, socket
//! ```
//!
//! A listener learns from the doorbell that there is something, and reads it from the store behind what it has. So what goes out
//! is what is stored, in its order and once, whoever was away, and however the server ended in between.

mod delivery;
mod doorbell;

pub(crate) use delivery::Delivery;
pub(crate) use doorbell::Notifications;

use std::sync::Arc;

use quire_persistence::{Notification, StoreError};
use serde::Serialize;
use serde_json::value::RawValue;

use crate::stream::Cursor;

/// Why an inbox could not be read or changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NotifyError {
    /// Too many wait for the store.
    #[error("too many calls wait for the store")]
    Busy,
    /// The store takes or gives nothing at present, or the inbox is damaged. The text is for operators.
    #[error("{0}")]
    Store(Arc<str>),
    /// An error of ours.
    #[error("an inbox met an internal error")]
    Internal,
}

impl From<StoreError> for NotifyError {
    fn from(error: StoreError) -> Self {
        Self::Store(error.to_string().into())
    }
}

/// A notification as it is shown.
#[derive(Debug, Serialize)]
pub(crate) struct Shown<'a> {
    id: String,
    posted: u64,
    expires: u64,
    read: bool,
    body: &'a RawValue,
}

impl<'a> Shown<'a> {
    /// A notification of the inbox of this tag.
    pub(crate) fn of(tag: u32, notification: &'a Notification) -> Self {
        let Notification { number, posted, expires, is_read, body } = notification;
        // Nothing but JSON is ever put in; another program may have written the store.
        let body = serde_json::from_slice(body).unwrap_or(RawValue::NULL);
        let id = Cursor { tag, number: *number }.to_string();
        Self { id, posted: *posted, expires: *expires, read: *is_read, body }
    }

    /// As one line of JSON.
    pub(crate) fn json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }
}
