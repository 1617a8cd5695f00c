//! Quire's server: documents, transports and HTTP around the sync protocol.

pub mod doc;
pub mod outbox;
pub mod store;
