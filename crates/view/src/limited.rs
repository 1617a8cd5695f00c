//! An output that takes so many bytes and no more.

use std::{fmt, io};

/// A buffer for an answer. A write that does not fit fails, and nothing else makes it fail.
pub(crate) struct Limited {
    bytes: Vec<u8>,
    limit: usize,
}

impl Limited {
    pub(crate) fn new(limit: usize) -> Self {
        Self { bytes: Vec::new(), limit }
    }

    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    /// How much more it takes.
    pub(crate) fn left(&self) -> usize {
        self.limit - self.bytes.len()
    }

    /// Whether it has more bytes than this.
    pub(crate) fn is_longer_than(&self, bytes: usize) -> bool {
        self.bytes.len() > bytes
    }

    fn put(&mut self, bytes: &[u8]) -> bool {
        let fits = bytes.len() <= self.left();
        if fits {
            self.bytes.extend_from_slice(bytes);
        }
        fits
    }
}

impl io::Write for Limited {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.put(bytes) { Ok(bytes.len()) } else { Err(io::ErrorKind::FileTooLarge.into()) }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl fmt::Write for Limited {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        if self.put(text.as_bytes()) { Ok(()) } else { Err(fmt::Error) }
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use super::Limited;

    #[test]
    fn takes_exactly_its_limit() {
        let mut output = Limited::new(4);
        assert!(output.write_str("abc").is_ok());
        assert!(output.write_str("de").is_err());
        assert!(output.write_str("d").is_ok());
        assert!(output.write_str("e").is_err());
        assert_eq!(output.into_bytes(), b"abcd");
    }
}
