//! Why the server closes a connection, and what it says then.
//!
//! Every close code that the server sends stands here and nowhere else. Codes from 4400 to 4499 tell y-websocket 3
//! never to come back, so they are for what no new attempt can cure; a client returns after every other one. To a
//! Hocuspocus client, whose connection carries several documents, one document is closed with the reason alone.

use std::borrow::Cow;
use std::time::Duration;

use quire_sync_protocol::wire::frame::FrameError;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

use crate::doc::CloseReason;
use crate::http::ApiError;

/// Why the server closes a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Close {
    /// 1001: nothing came for this long, not even the answer to a ping.
    Silent(Duration),
    /// 1002: bytes that are no message, or against the WebSocket protocol. Holds what was wrong with them.
    Malformed(String),
    /// 1003: a text frame; messages are binary.
    Text,
    /// 1009: a message, or a part of one, larger than allowed. Holds which.
    TooBig(String),
    /// 1011: the document met an error of ours; coming back helps.
    Rebuilding,
    /// 1011: the document is closed to editors until an operator has looked at it.
    Quarantined,
    /// 1012: the server is going down; coming back finds the next one.
    Restart,
    /// 4205: a Hocuspocus frame that is for no document, or a client that has to come back to show another token. Holds
    /// which. (4401 would send providers before 3
    /// away for good.)
    Reset(String),
    /// 4408: a Hocuspocus connection without a document, for too long.
    NoToken,
    /// 4408: a Hocuspocus connection without a document, when there were too many of them.
    NoPlace,
    /// 1011: what is stored of the document is damaged; an operator has to look at it. Said to one document.
    Damaged,
    /// 4401: nobody is known by what the client shows. Another token helps, coming back does not.
    Unauthorized,
    /// 4401: the client's token has ended.
    Expired,
    /// 4401: somebody took the client's rights back.
    Revoked,
    /// 4403: the client has no right on the document.
    Forbidden,
    /// 4404: the document was deleted.
    Deleted,
    /// 4409: the client holds a document of the same name that was deleted.
    DeadEpoch,
}

/// A reason has at most this many bytes: what a close frame holds beside the code.
const REASON_BYTES: usize = 123;

impl Close {
    /// The code on the wire.
    pub(crate) fn code(&self) -> u16 {
        match self {
            Self::Silent(_) => 1001,
            Self::Malformed(_) => 1002,
            Self::Text => 1003,
            Self::TooBig(_) => 1009,
            Self::Rebuilding | Self::Quarantined | Self::Damaged => 1011,
            Self::Restart => 1012,
            Self::Reset(_) => 4205,
            Self::NoToken | Self::NoPlace => 4408,
            Self::Unauthorized | Self::Expired | Self::Revoked => 4401,
            Self::Forbidden => 4403,
            Self::Deleted => 4404,
            Self::DeadEpoch => 4409,
        }
    }

    /// The reason on the wire and in the log.
    pub(crate) fn reason(&self) -> Cow<'static, str> {
        match self {
            Self::Silent(limit) => format!("nothing was received for {} s", limit.as_secs()).into(),
            Self::Malformed(what) | Self::TooBig(what) | Self::Reset(what) => what.clone().into(),
            Self::NoToken => "no document was opened in time".into(),
            Self::NoPlace => "too many others have no document open either".into(),
            Self::Damaged => "the document cannot be loaded".into(),
            Self::Text => "messages are binary, a text frame was received".into(),
            Self::Rebuilding => "the document is being reloaded, come back".into(),
            Self::Quarantined => "the document is closed after repeated internal errors".into(),
            Self::Restart => "the server is restarting, come back".into(),
            Self::Unauthorized => "this needs a valid token".into(),
            Self::Expired => "the token has expired".into(),
            Self::Revoked => "your rights on this document were taken back".into(),
            Self::Forbidden => "you may not do this".into(),
            Self::Deleted => "the document was deleted".into(),
            Self::DeadEpoch => "this copy is of a document that was deleted; open the new one afresh".into(),
        }
    }

    /// Whether the client would be refused again with the same document.
    pub(super) fn is_likely_to_repeat(&self) -> bool {
        match self {
            Self::TooBig(_) | Self::DeadEpoch | Self::NoPlace => true,
            Self::Silent(_)
            | Self::Malformed(_)
            | Self::Text
            | Self::Rebuilding
            | Self::Quarantined
            | Self::Restart
            | Self::Reset(_)
            | Self::NoToken
            | Self::Damaged
            | Self::Unauthorized
            | Self::Expired
            | Self::Revoked
            | Self::Forbidden
            | Self::Deleted => false,
        }
    }

    /// Whether no new attempt can cure it: it takes another token, a right, or another document.
    #[cfg(test)]
    fn is_for_good(&self) -> bool {
        matches!(
            self,
            Self::Unauthorized
                | Self::Expired
                | Self::Revoked
                | Self::Forbidden
                | Self::Deleted
                | Self::DeadEpoch
        )
    }

    /// What a client of the HTTP transports is told, whose request meets the end of its session.
    pub(crate) fn answer(&self) -> ApiError {
        match self {
            Self::Silent(_) => ApiError::LostSession,
            Self::Malformed(what) | Self::Reset(what) => ApiError::Malformed(what.clone()),
            Self::Text | Self::NoToken | Self::NoPlace => ApiError::Malformed(self.reason().into()),
            Self::TooBig(what) => ApiError::TooLarge(what.clone()),
            Self::Rebuilding | Self::Quarantined | Self::Damaged => ApiError::Unavailable,
            Self::Restart => ApiError::Restarting,
            Self::Unauthorized | Self::Expired | Self::Revoked => {
                ApiError::Unauthorized("the session has ended".into())
            }
            Self::Forbidden => ApiError::Forbidden("the session has ended".into()),
            Self::Deleted => ApiError::Deleted,
            Self::DeadEpoch => ApiError::DeadEpoch,
        }
    }

    /// The frame that says so.
    pub(super) fn frame(&self) -> CloseFrame {
        let reason = self.reason();
        let end = reason.floor_char_boundary(REASON_BYTES);
        let reason = reason.get(..end).unwrap_or_default();
        CloseFrame { code: CloseCode::from(self.code()), reason: reason.into() }
    }
}

impl From<CloseReason> for Close {
    fn from(reason: CloseReason) -> Self {
        match reason {
            CloseReason::Restart => Self::Restart,
            CloseReason::Rebuilding => Self::Rebuilding,
            CloseReason::Quarantined => Self::Quarantined,
            CloseReason::Deleted => Self::Deleted,
            CloseReason::DeadEpoch => Self::DeadEpoch,
        }
    }
}

impl From<FrameError> for Close {
    fn from(error: FrameError) -> Self {
        if error.is_too_large() {
            Self::TooBig(error.to_string())
        } else {
            Self::Malformed(error.to_string())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_is_in_the_manual_and_only_what_is_hopeless_sends_clients_away_for_good() {
        let manual = include_str!("../../OPERATIONS.md");
        let all = [
            Close::Silent(Duration::from_secs(45)),
            Close::Malformed("x".into()),
            Close::Text,
            Close::TooBig("x".into()),
            Close::Rebuilding,
            Close::Quarantined,
            Close::Restart,
            Close::Reset("x".into()),
            Close::NoToken,
            Close::NoPlace,
            Close::Damaged,
            Close::Unauthorized,
            Close::Expired,
            Close::Revoked,
            Close::Forbidden,
            Close::Deleted,
            Close::DeadEpoch,
        ];
        for close in all {
            assert!(manual.contains(&format!("\n| {} |", close.code())), "{close:?}");
            let is_for_hocuspocus = matches!(close, Close::NoToken | Close::NoPlace);
            let is_for_good = close.is_for_good() || is_for_hocuspocus;
            assert_eq!((4400..4500).contains(&close.code()), is_for_good, "{close:?}");
        }
    }

    #[test]
    fn a_long_reason_is_cut_at_a_character() {
        let frame = Close::Malformed("\u{20ac}".repeat(60)).frame();
        assert_eq!(frame.reason.as_str(), "\u{20ac}".repeat(41));
    }
}
