//! Places in a stream.

use std::fmt;
use std::str::FromStr;

use http::HeaderMap;

/// A place in a stream: behind the event of this number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cursor {
    /// Of this stream, so that no cursor of another is taken for one of its own.
    pub(crate) tag: u32,
    pub(crate) number: u64,
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}.{}", self.tag, self.number)
    }
}

/// A text is no cursor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NoCursor;

impl FromStr for Cursor {
    type Err = NoCursor;

    fn from_str(text: &str) -> Result<Self, NoCursor> {
        let (tag, number) = text.split_once('.').ok_or(NoCursor)?;
        let is_number = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
        if tag.len() != 8 || !tag.bytes().all(|byte| byte.is_ascii_hexdigit()) || !is_number {
            return Err(NoCursor);
        }
        let tag = u32::from_str_radix(tag, 16).map_err(|_| NoCursor)?;
        Ok(Self { tag, number: number.parse().map_err(|_| NoCursor)? })
    }
}

/// From where on somebody wants to listen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum After {
    /// It has nothing yet.
    Beginning,
    /// It has everything up to here.
    Place(Cursor),
    /// It says something that no stream has ever given out.
    Nowhere,
}

impl After {
    /// By the header `Last-Event-ID`, or else `after=` in the query.
    pub(crate) fn of(headers: &HeaderMap, query: &str) -> Self {
        let said = match headers.get("last-event-id") {
            // A stream that is resumed by the browser itself has its first address and a newer header.
            Some(id) => Some(String::from_utf8_lossy(id.as_bytes())),
            None => form_urlencoded::parse(query.as_bytes())
                .find_map(|(name, value)| (name == "after").then_some(value)),
        };
        Self::parse(said.as_deref().unwrap_or_default())
    }

    /// By an id, or nothing.
    pub(crate) fn parse(text: &str) -> Self {
        match text.trim() {
            "" => Self::Beginning,
            id => id.parse().map_or(Self::Nowhere, Self::Place),
        }
    }

    /// Whether somebody goes on who was there before.
    pub(crate) fn goes_on(self) -> bool {
        match self {
            Self::Place(_) => true,
            Self::Beginning | Self::Nowhere => false,
        }
    }
}

/// A tag that no other stream has, as far as chance goes. Without random numbers, which an operating system always has, all would
/// be equal, and a listener that comes back after a restart might miss something.
pub(crate) fn tag() -> u32 {
    let mut bytes = [0; 4];
    if let Err(error) = getrandom::fill(&mut bytes) {
        tracing::error!(%error, "the system gives no random numbers");
    }
    u32::from_le_bytes(bytes)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn a_cursor_is_written_one_way() {
        let cursor = Cursor { tag: 0xab, number: 7 };
        assert_eq!(cursor.to_string(), "000000ab.7");
        assert_eq!("000000ab.7".parse(), Ok(cursor));
        for text in [
            "",
            "7",
            "ab.7",
            "000000ab.",
            "000000ab.-1",
            "000000ab.+1",
            "000000ab.99999999999999999999",
            "+00000ab.7",
        ] {
            assert_eq!(text.parse::<Cursor>(), Err(NoCursor), "{text}");
        }
    }

    #[test]
    fn the_header_counts_more_than_the_query() {
        let after = |query: &str, id: Option<&'static str>| {
            let mut headers = HeaderMap::new();
            if let Some(id) = id {
                headers.insert("last-event-id", HeaderValue::from_static(id));
            }
            After::of(&headers, query)
        };
        let place = |number| After::Place(Cursor { tag: 1, number });
        assert_eq!(after("token=x", None), After::Beginning);
        assert_eq!(after("after=", None), After::Beginning);
        assert_eq!(after("after=00000001.7", None), place(7));
        assert_eq!(after("after=00000001.7", Some("00000001.9")), place(9));
        assert_eq!(after("after=7", None), After::Nowhere);
        assert_eq!(after("", Some("garbage")), After::Nowhere);
    }
}
