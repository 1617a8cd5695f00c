//! What watchers are told of a document.

use bytes::Bytes;
use quire_view::{Change, ViewError};

use crate::stream::{News, Snapshot};

/// Why a document cannot be shown at present. The words are part of the API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trouble {
    /// It holds something that cannot be shown.
    Unreadable,
    /// It, or what it says, is larger than is read.
    TooLarge,
    /// Reading it took too long or too much memory.
    TooHard,
}

impl Trouble {
    /// `None` if it is not about the document: then another attempt may help.
    pub(super) fn of(error: &ViewError) -> Option<Self> {
        match error {
            ViewError::Unreadable { .. } => Some(Self::Unreadable),
            ViewError::DocumentTooLarge { .. } | ViewError::AnswerTooLarge { .. } => Some(Self::TooLarge),
            ViewError::Late { .. } | ViewError::Died { .. } => Some(Self::TooHard),
            ViewError::Busy | ViewError::Start(_) => None,
            // Roots are not asked for.
            ViewError::UnknownRoot { .. } | ViewError::WrongType { .. } => None,
        }
    }

    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Unreadable => "unreadable",
            Self::TooLarge => "too_large",
            Self::TooHard => "too_hard",
        }
    }
}

/// What a document said when it was last read, and why that may not be what it says now.
#[derive(Debug, Default)]
pub(super) struct Content {
    json: Option<Bytes>,
    trouble: Option<Trouble>,
}

impl Snapshot for Content {
    const NAME: &'static str = "snapshot";

    fn snapshot(&self) -> String {
        // What a worker has answered is UTF-8; see `Pool::change`.
        let json = self.json.as_deref().and_then(|json| str::from_utf8(json).ok()).unwrap_or("null");
        match self.trouble {
            None => format!(r#"{{"content":{json}}}"#),
            Some(trouble) => format!(r#"{{"content":{json},"unreadable":"{}"}}"#, trouble.as_str()),
        }
    }
}

impl Content {
    /// What the next reading is held against.
    pub(super) fn json(&self) -> Bytes {
        self.json.clone().unwrap_or_default()
    }

    pub(super) fn trouble(&self) -> Option<Trouble> {
        self.trouble
    }

    /// Takes what a reading has found. Gives how many bytes each watcher is told.
    pub(super) fn take(&mut self, change: Change, news: &mut News) -> usize {
        let was_in_trouble = self.trouble.take().is_some();
        let (name, said) = match change {
            Change::None if !was_in_trouble => return 0,
            // It says what it said, and again that is what it says.
            Change::None => ("patch", "[]".to_owned()),
            Change::Patch { content, patch } => {
                self.json = Some(content);
                ("patch", String::from_utf8_lossy(&patch).into_owned())
            }
            Change::Whole { content } => {
                self.json = Some(content);
                (Self::NAME, self.snapshot())
            }
        };
        let bytes = said.len();
        news.push(name, said);
        bytes
    }

    /// It could not be read.
    pub(super) fn fail(&mut self, trouble: Trouble, news: &mut News) {
        if self.trouble != Some(trouble) {
            self.trouble = Some(trouble);
            news.push("unreadable", format!(r#"{{"code":"{}"}}"#, trouble.as_str()));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::task::{Context, Poll, Waker};

    use super::*;
    use crate::stream::{After, Feed, Next, Source as _};

    fn whole(json: &'static str) -> Change {
        Change::Whole { content: Bytes::from_static(json.as_bytes()) }
    }

    fn patch(json: &'static str, patch: &'static str) -> Change {
        Change::Patch {
            content: Bytes::from_static(json.as_bytes()),
            patch: Bytes::from_static(patch.as_bytes()),
        }
    }

    #[test]
    fn watchers_hear_what_changes_and_when_it_cannot_be_read() {
        let feed = Feed::new(Content::default(), 1, 1 << 20, Arc::default());
        let mut reader = feed.reader(After::Beginning);
        let mut told = || {
            let mut told = Vec::new();
            while let Poll::Ready(Next::Event(event)) =
                reader.poll_event(&mut Context::from_waker(Waker::noop()))
            {
                told.push(format!("{} {}", event.name, str::from_utf8(event.data()).unwrap()));
            }
            told
        };
        let take = |change| feed.update(|content, news| content.take(change, news));
        assert_eq!(told(), [r#"snapshot {"content":null}"#]);
        assert_eq!(take(whole(r#"{"a":1}"#)), 19);
        assert_eq!(take(patch(r#"{"a":2}"#, r#"[{"op":"replace"}]"#)), 18);
        assert_eq!(take(Change::None), 0);
        assert_eq!(told(), [r#"snapshot {"content":{"a":1}}"#, r#"patch [{"op":"replace"}]"#]);
        for _ in 0..2 {
            feed.update(|content, news| content.fail(Trouble::TooHard, news));
        }
        feed.update(|content, news| content.fail(Trouble::TooLarge, news));
        assert_eq!(told(), [r#"unreadable {"code":"too_hard"}"#, r#"unreadable {"code":"too_large"}"#]);
        let late = feed.look(Snapshot::snapshot);
        assert_eq!(late, r#"{"content":{"a":2},"unreadable":"too_large"}"#);
        take(Change::None);
        take(Change::None);
        assert_eq!(told(), ["patch []"]);
        assert_eq!(feed.look(Content::json), r#"{"a":2}"#);
    }
}
