//! How far somebody knows each client's insertions.

use bytes::Bytes;

use crate::id::{ClientId, Clock};

/// For each client the first clock that is not known. Clients at 0 are left out. Sorted by client.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StateVector(Vec<(ClientId, Clock)>);

impl StateVector {
    /// The first unknown clock of this client; 0 if nothing of it is known.
    pub fn clock(&self, client: ClientId) -> Clock {
        let _ = client;
        todo!()
    }
    /// Encodes it as v1.
    pub fn encode(&self) -> Bytes {
        todo!()
    }
}
