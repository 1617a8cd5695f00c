//! What happens in a room.

use arbitrary::Arbitrary;

/// A room's life.
#[derive(Arbitrary, Debug)]
pub(super) struct Plan<'a> {
    /// Small parts and first syncs, so that most of them are made part by part.
    pub(super) small_parts: bool,
    /// What was stored before.
    pub(super) loaded: Option<Piece>,
    pub(super) steps: Vec<Step<'a>>,
}

/// One thing that happens. Numbers are taken as far as there is something for them to name.
#[derive(Arbitrary, Debug)]
pub(super) enum Step<'a> {
    Connect {
        read_only: bool,
        person: Option<bool>,
    },
    Disconnect {
        session: u8,
    },
    /// An honest edit: a piece of the document that all honest clients write.
    Edit {
        session: u8,
        piece: Piece,
    },
    /// Everything that a client has, as one update: what it answers when it is asked.
    Answer {
        session: u8,
    },
    /// Any update.
    Send {
        session: u8,
        answer: bool,
        update: &'a [u8],
    },
    /// Asks for what it lacks.
    Ask {
        session: u8,
    },
    /// Any frame.
    Frame {
        session: u8,
        frame: &'a [u8],
    },
    Announce {
        session: u8,
        client: u8,
        clock: u8,
        state: Option<u8>,
    },
    AskForPresence {
        session: u8,
    },
    /// An edit by the API.
    Apply {
        piece: Piece,
    },
    Flush,
    /// So many of the appends that wait are stored.
    Store {
        appends: u8,
    },
    /// A session reads what is in its outbox.
    Read {
        session: u8,
    },
    /// The outbox of a session overflows.
    Overflow {
        session: u8,
    },
    Wait {
        milliseconds: u16,
    },
}

/// A piece of the invented document.
#[derive(Arbitrary, Clone, Copy, Debug)]
pub(super) struct Piece {
    pub(super) client: u8,
    pub(super) start: u8,
    pub(super) length: u8,
    /// A client, a first clock, a length.
    pub(super) delete: Option<(u8, u8, u8)>,
}
