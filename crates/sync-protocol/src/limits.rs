//! Bounds on what a peer may send.

/// Bounds on one frame and what is in it. Every decoder checks declared counts against the bytes that are
/// present, so no limit is needed on those.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Bytes in one frame. A larger one is refused by the transport before it is read whole.
    pub frame_bytes: usize,
    /// Messages packed into one frame. Clients send one; a few are allowed.
    pub frame_messages: usize,
    /// Bytes of one state vector.
    pub state_vector_bytes: usize,
    /// Bytes of one awareness message.
    pub awareness_bytes: usize,
    /// Bytes of one client's presence state (its JSON).
    pub presence_state_bytes: usize,
    /// Bytes of one stateless message.
    pub stateless_bytes: usize,
    /// Bytes of one token.
    pub token_bytes: usize,
    /// Presence ids that one session may hold.
    pub presence_per_session: usize,
    /// Presence ids in one room, those of departed clients included.
    pub presence_per_room: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            frame_bytes: 64 << 20,
            frame_messages: 64,
            // About 600,000 clients; a document has one id for each time an editor was opened on it.
            state_vector_bytes: 4 << 20,
            awareness_bytes: 1 << 20,
            presence_state_bytes: 64 << 10,
            stateless_bytes: 64 << 10,
            // Headers of HTTP, in which tokens travel otherwise, are bounded at this, too.
            token_bytes: 32 << 10,
            // An editor has one id. Bridges that carry the presence of others have some more.
            presence_per_session: 16,
            presence_per_room: 10_000,
        }
    }
}

/// How deep values, and JSON, may be nested inside an update.
pub const MAX_DEPTH: usize = 64;
