//! One event, written once for all who listen.

use std::fmt::Write as _;

use bytes::Bytes;

use super::cursor::Cursor;

/// An event. Cheap to clone: all listeners share its bytes.
#[derive(Clone, Debug)]
pub(crate) struct Event {
    /// The place behind it; `None` for one that moves nobody.
    pub(crate) id: Option<Cursor>,
    /// What kind of event it is.
    pub(crate) name: &'static str,
    /// As it stands in a stream.
    sse: Bytes,
    /// The part of it that is its content.
    data: Bytes,
}

impl Event {
    /// `json`: one line.
    pub(crate) fn new(id: Option<Cursor>, name: &'static str, json: &str) -> Self {
        debug_assert!(!json.contains(['\n', '\r']), "a line end would end the event");
        let mut text = String::with_capacity(json.len() + name.len() + 48);
        if let Some(id) = id {
            // Writing to a string does not fail.
            let _ = writeln!(text, "id: {id}");
        }
        let _ = write!(text, "event: {name}\ndata: ");
        let begin = text.len();
        text.push_str(json);
        let end = text.len();
        text.push_str("\n\n");
        let sse = Bytes::from(text);
        Self { id, name, data: sse.slice(begin..end), sse }
    }

    /// As it stands in a stream.
    pub(crate) fn sse(&self) -> &Bytes {
        &self.sse
    }

    /// Its content, which is JSON.
    pub(crate) fn data(&self) -> &Bytes {
        &self.data
    }

    /// What keeping it costs, in bytes.
    pub(crate) fn cost(&self) -> usize {
        size_of::<Self>() + self.sse.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_written_as_browsers_read_it() {
        let event = Event::new(Some(Cursor { tag: 1, number: 2 }), "join", r#"{"a":1}"#);
        assert_eq!(event.sse(), "id: 00000001.2\nevent: join\ndata: {\"a\":1}\n\n");
        assert_eq!(event.data(), r#"{"a":1}"#);
        assert_eq!(Event::new(None, "read", "1").sse(), "event: read\ndata: 1\n\n");
    }
}
