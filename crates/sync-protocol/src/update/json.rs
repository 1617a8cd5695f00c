//! Checks that a string is JSON as `JSON.parse` takes it, without building or recursing.
//!
//! Embeds and formats carry JSON text. A reader in JavaScript throws on anything else and with it loses the
//! whole update, so the text is checked before it is handed on. Half surrogate pairs in escapes are valid.
//! Grammar: RFC 8259.

use super::UpdateError;
use crate::limits::MAX_DEPTH;

/// Checks one JSON text, nested at most [`MAX_DEPTH`] deep.
pub(crate) fn check(text: &str) -> Result<(), UpdateError> {
    let mut scanner = Scanner { rest: text.as_bytes() };
    scanner.text()?;
    scanner.space();
    if scanner.rest.is_empty() { Ok(()) } else { Err(UpdateError::InvalidJson) }
}

struct Scanner<'a> {
    rest: &'a [u8],
}

impl Scanner<'_> {
    fn text(&mut self) -> Result<(), UpdateError> {
        // One bit for each open bracket, the innermost lowest: set for an object. MAX_DEPTH is 64.
        let mut objects = 0u64;
        let mut depth = 0usize;
        loop {
            self.space();
            let mut ended = true;
            match self.next()? {
                open @ (b'{' | b'[') => {
                    if depth == MAX_DEPTH {
                        return Err(UpdateError::TooDeep);
                    }
                    let keyed = open == b'{';
                    self.space();
                    let close = if keyed { b'}' } else { b']' };
                    if self.rest.first() == Some(&close) {
                        self.next()?;
                    } else {
                        objects = objects << 1 | u64::from(keyed);
                        depth += 1;
                        if keyed {
                            self.key()?;
                        }
                        ended = false;
                    }
                }
                b'"' => self.string()?,
                b't' => self.word(b"rue")?,
                b'f' => self.word(b"alse")?,
                b'n' => self.word(b"ull")?,
                first @ (b'-' | b'0'..=b'9') => self.number(first)?,
                _ => return Err(UpdateError::InvalidJson),
            }
            while ended {
                if depth == 0 {
                    return Ok(());
                }
                let keyed = objects & 1 == 1;
                self.space();
                match (self.next()?, keyed) {
                    (b',', true) => {
                        self.key()?;
                        ended = false;
                    }
                    (b',', false) => ended = false,
                    (b'}', true) | (b']', false) => {
                        objects >>= 1;
                        depth -= 1;
                    }
                    _ => return Err(UpdateError::InvalidJson),
                }
            }
        }
    }

    fn next(&mut self) -> Result<u8, UpdateError> {
        let (&first, rest) = self.rest.split_first().ok_or(UpdateError::InvalidJson)?;
        self.rest = rest;
        Ok(first)
    }

    fn space(&mut self) {
        while let Some((b' ' | b'\t' | b'\n' | b'\r', rest)) = self.rest.split_first() {
            self.rest = rest;
        }
    }

    fn word(&mut self, tail: &[u8]) -> Result<(), UpdateError> {
        self.rest = self.rest.strip_prefix(tail).ok_or(UpdateError::InvalidJson)?;
        Ok(())
    }

    fn key(&mut self) -> Result<(), UpdateError> {
        self.space();
        if self.next()? != b'"' {
            return Err(UpdateError::InvalidJson);
        }
        self.string()?;
        self.space();
        if self.next()? == b':' { Ok(()) } else { Err(UpdateError::InvalidJson) }
    }

    fn string(&mut self) -> Result<(), UpdateError> {
        loop {
            match self.next()? {
                b'"' => return Ok(()),
                b'\\' => match self.next()? {
                    b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => {}
                    b'u' => {
                        for _ in 0..4 {
                            if !self.next()?.is_ascii_hexdigit() {
                                return Err(UpdateError::InvalidJson);
                            }
                        }
                    }
                    _ => return Err(UpdateError::InvalidJson),
                },
                0..0x20 => return Err(UpdateError::InvalidJson),
                _ => {}
            }
        }
    }

    fn number(&mut self, first: u8) -> Result<(), UpdateError> {
        let lead = if first == b'-' { self.next()? } else { first };
        match lead {
            b'0' => {}
            b'1'..=b'9' => self.digits(),
            _ => return Err(UpdateError::InvalidJson),
        }
        if self.rest.first() == Some(&b'.') {
            self.next()?;
            self.some_digits()?;
        }
        if let Some(b'e' | b'E') = self.rest.first() {
            self.next()?;
            if let Some(b'+' | b'-') = self.rest.first() {
                self.next()?;
            }
            self.some_digits()?;
        }
        Ok(())
    }

    fn some_digits(&mut self) -> Result<(), UpdateError> {
        if !self.next()?.is_ascii_digit() {
            return Err(UpdateError::InvalidJson);
        }
        self.digits();
        Ok(())
    }

    fn digits(&mut self) {
        while let Some((b'0'..=b'9', rest)) = self.rest.split_first() {
            self.rest = rest;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_json_parse_takes_is_taken() {
        for text in [
            "null",
            "true",
            "false",
            "0",
            "-0",
            "-1.5e+10",
            "1E3",
            "\"\"",
            "[]",
            "{}",
            " [ 1 , [ ] , { } ] ",
            r#"{"a":{"b":[1,2,{"c":null}]},"d":"\ud83d"}"#,
            r#""\u0000\n\"\\\/""#,
            "[[[1]],2]",
            "\"\u{e4}\u{1f600}\"",
        ] {
            assert_eq!(check(text), Ok(()), "{text}");
        }
    }

    #[test]
    fn what_json_parse_refuses_is_refused() {
        for text in [
            "",
            " ",
            "undefined",
            "NaN",
            "01",
            "1.",
            ".5",
            "+1",
            "1e",
            "-",
            "[1,]",
            "[,1]",
            "{\"a\"}",
            "{\"a\":}",
            "{a:1}",
            "{\"a\":1,}",
            "[1",
            "[1}",
            "{\"a\":1]",
            "\"",
            "\"\n\"",
            r#""\x""#,
            r#""\u12g4""#,
            "1 2",
            "[] []",
            "tru",
            "'a'",
        ] {
            assert_eq!(check(text), Err(UpdateError::InvalidJson), "{text}");
        }
    }

    #[test]
    fn nesting_is_bounded_without_recursion() {
        let nest = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
        assert_eq!(check(&nest(MAX_DEPTH)), Ok(()));
        assert_eq!(check(&nest(MAX_DEPTH + 1)), Err(UpdateError::TooDeep));
        assert_eq!(check(&"{\"a\":".repeat(100_000)), Err(UpdateError::TooDeep));
    }
}
