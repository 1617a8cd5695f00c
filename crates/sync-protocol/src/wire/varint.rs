//! lib0's variable-length integers, strings and byte arrays, read with bounds.
//!
//! An unsigned integer takes seven bits a byte, least significant first; the high bit says that more follow.
//! Strings and byte arrays are preceded by their length in bytes. Source: the encoding module of lib0, the
//! library beneath Yjs.

use crate::id::{ClientId, Id, MAX_SAFE_INTEGER};

/// Why reading stopped. The sender's fault in every case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// The input ends in the middle of a value.
    #[error("the input ends early")]
    EndsEarly,
    /// An integer is above 2^53 - 1, or padded beyond ten bytes.
    #[error("an integer is out of range")]
    IntegerOutOfRange,
    /// A string is not UTF-8.
    #[error("a string is not UTF-8")]
    InvalidText,
    /// A count or length promises more than the bytes that are left could hold.
    #[error("a declared count exceeds the bytes present")]
    CountExceedsInput,
}

/// Reads a byte slice from front to back. No method allocates or reads beyond the slice.
#[derive(Clone, Copy, Debug)]
pub struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// Starts at the front of `bytes`.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// Whether everything has been read.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// What has not been read yet.
    #[inline]
    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// One byte.
    #[inline]
    pub fn byte(&mut self) -> Result<u8, ReadError> {
        let (&first, rest) = self.rest.split_first().ok_or(ReadError::EndsEarly)?;
        self.rest = rest;
        Ok(first)
    }

    /// The next `count` bytes.
    #[inline]
    pub fn take(&mut self, count: usize) -> Result<&'a [u8], ReadError> {
        let (taken, rest) = self.rest.split_at_checked(count).ok_or(ReadError::EndsEarly)?;
        self.rest = rest;
        Ok(taken)
    }

    /// An unsigned integer up to 2^53 - 1.
    #[inline]
    pub fn var_uint(&mut self) -> Result<u64, ReadError> {
        match self.rest {
            [short @ 0..0x80, rest @ ..] => {
                self.rest = rest;
                Ok((*short).into())
            }
            _ => self.long_var_uint(),
        }
    }

    /// Up to eight bytes at once where there are as many; see [`Self::any_var_uint`].
    #[inline]
    fn long_var_uint(&mut self) -> Result<u64, ReadError> {
        let Some(&eight) = self.rest.first_chunk::<8>() else { return self.any_var_uint() };
        let word = u64::from_le_bytes(eight);
        // The high bits of the bytes that are the last of an integer.
        let ends = !word & 0x8080_8080_8080_8080;
        if ends == 0 {
            return self.any_var_uint();
        }
        // Of what stands up to the first of them, seven bits of each byte, moved together: to 14, to 28, to 56.
        let mut value = word & (ends ^ (ends - 1)) & 0x7f7f_7f7f_7f7f_7f7f;
        value = value & 0x007f_007f_007f_007f | (value & 0x7f00_7f00_7f00_7f00) >> 1;
        value = value & 0x0000_3fff_0000_3fff | (value & 0x3fff_0000_3fff_0000) >> 2;
        value = value & 0x0000_0000_0fff_ffff | (value & 0x0fff_ffff_0000_0000) >> 4;
        let length = ends.trailing_zeros() as usize / 8 + 1;
        self.rest = self.rest.get(length..).unwrap_or_default();
        if value <= MAX_SAFE_INTEGER { Ok(value) } else { Err(ReadError::IntegerOutOfRange) }
    }

    /// Byte by byte.
    fn any_var_uint(&mut self) -> Result<u64, ReadError> {
        let mut value = 0u64;
        for shift in (0..70).step_by(7) {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7f);
            // Padding with zero bits is tolerated, as lib0 does.
            if bits != 0 {
                if shift > 49 {
                    return Err(ReadError::IntegerOutOfRange);
                }
                value |= bits << shift;
            }
            if byte < 0x80 {
                return if value <= MAX_SAFE_INTEGER { Ok(value) } else { Err(ReadError::IntegerOutOfRange) };
            }
        }
        Err(ReadError::IntegerOutOfRange)
    }

    /// Skips a signed integer of up to 2^53 - 1 either way, and gives its first byte (sign and lowest bits). lib0 throws on
    /// larger ones.
    pub fn skip_var_int(&mut self) -> Result<u8, ReadError> {
        let first = self.byte()?;
        let mut value = u64::from(first & 0x3f);
        let mut byte = first;
        for shift in (6..70).step_by(7) {
            if byte < 0x80 {
                return if value <= MAX_SAFE_INTEGER { Ok(first) } else { Err(ReadError::IntegerOutOfRange) };
            }
            byte = self.byte()?;
            let bits = u64::from(byte & 0x7f);
            if bits != 0 {
                if shift > 48 {
                    return Err(ReadError::IntegerOutOfRange);
                }
                value |= bits << shift;
            }
        }
        Err(ReadError::IntegerOutOfRange)
    }

    /// A number of things of at least one byte each that are to follow.
    #[inline]
    pub fn count(&mut self) -> Result<usize, ReadError> {
        let count = self.var_uint()?;
        match usize::try_from(count) {
            Ok(count) if count <= self.rest.len() => Ok(count),
            _ => Err(ReadError::CountExceedsInput),
        }
    }

    /// A byte array with its length in front.
    #[inline]
    pub fn var_bytes(&mut self) -> Result<&'a [u8], ReadError> {
        let length = self.count()?;
        self.take(length)
    }

    /// A string with its length in bytes in front.
    pub fn var_string(&mut self) -> Result<&'a str, ReadError> {
        std::str::from_utf8(self.var_bytes()?).map_err(|_| ReadError::InvalidText)
    }

    /// A client id.
    #[inline]
    pub fn client(&mut self) -> Result<ClientId, ReadError> {
        ClientId::new(self.var_uint()?).ok_or(ReadError::IntegerOutOfRange)
    }

    /// A client id and a clock.
    #[inline]
    pub fn id(&mut self) -> Result<Id, ReadError> {
        Ok(Id { client: self.client()?, clock: self.var_uint()? })
    }
}

/// Appends an unsigned integer.
#[inline]
pub fn write_var_uint(out: &mut Vec<u8>, value: u64) {
    match u8::try_from(value) {
        Ok(short @ 0..0x80) => out.push(short),
        _ => write_long_var_uint(out, value),
    }
}

fn write_long_var_uint(out: &mut Vec<u8>, mut value: u64) {
    let (mut bytes, mut length) = ([0; 10], 0);
    for byte in &mut bytes {
        length += 1;
        *byte = value.to_le_bytes()[0] & 0x7f;
        value >>= 7;
        if value == 0 {
            break;
        }
        *byte |= 0x80;
    }
    out.extend_from_slice(bytes.get(..length).unwrap_or_default());
}

/// How many bytes [`write_var_uint`] takes for this value.
pub fn var_uint_bytes(value: u64) -> usize {
    (64 - (value | 1).leading_zeros() as usize).div_ceil(7)
}

/// Appends a byte array with its length in front.
pub fn write_var_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    write_var_uint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// Appends a client id and a clock.
pub fn write_id(out: &mut Vec<u8>, id: Id) {
    write_var_uint(out, id.client.value());
    write_var_uint(out, id.clock);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_survive_and_are_measured() {
        for value in [0, 1, 127, 128, 16_383, 16_384, u64::from(u32::MAX), MAX_SAFE_INTEGER] {
            let mut out = Vec::new();
            write_var_uint(&mut out, value);
            assert_eq!(out.len(), var_uint_bytes(value));
            let mut reader = Reader::new(&out);
            assert_eq!(reader.var_uint(), Ok(value));
            assert!(reader.is_empty());
        }
    }

    #[test]
    fn integers_are_read_alike_whatever_follows() {
        let cases: &[&[u8]] = &[
            &[0x7f],
            &[0x80, 0x01],
            &[0xff, 0xff, 0x03],
            &[0x81, 0x80, 0x00],
            &[0xff, 0xff, 0xff, 0xff, 0x0f],
            &[0x81, 0x82, 0x83, 0x84, 0x85, 0x86, 0x07],
            &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x0f],
            &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x1f],
            &[0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x10],
            &[0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x00],
            &[0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x01],
        ];
        for case in cases {
            let alone = Reader::new(case).any_var_uint();
            assert_eq!(Reader::new(case).var_uint(), alone, "{case:x?}");
            let followed = [case, &[0xa5; 9][..]].concat();
            let mut reader = Reader::new(&followed);
            assert_eq!(reader.var_uint(), alone, "{case:x?} with more behind it");
            if alone.is_ok() {
                assert_eq!(reader.rest(), [0xa5; 9]);
            }
        }
    }

    #[test]
    fn integers_out_of_range_are_refused() {
        let mut out = Vec::new();
        write_var_uint(&mut out, MAX_SAFE_INTEGER + 1);
        assert_eq!(Reader::new(&out).var_uint(), Err(ReadError::IntegerOutOfRange));
        assert_eq!(Reader::new(&[0xff; 12]).var_uint(), Err(ReadError::IntegerOutOfRange));
        assert_eq!(Reader::new(&[0x80; 12]).var_uint(), Err(ReadError::IntegerOutOfRange));
        assert_eq!(Reader::new(&[0x80]).var_uint(), Err(ReadError::EndsEarly));
        assert_eq!(Reader::new(&[0x81, 0x80, 0x00]).var_uint(), Ok(1));
    }

    #[test]
    fn signed_integers_end_where_those_of_javascript_do() {
        let skip = |bytes: &[u8]| Reader::new(bytes).skip_var_int();
        let largest = [0xbf, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x1f];
        let above = [0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x20];
        assert_eq!(skip(&largest), Ok(0xbf));
        assert_eq!(skip(&[&[0xff], &largest[1..]].concat()), Ok(0xff));
        assert_eq!(skip(&above), Err(ReadError::IntegerOutOfRange));
        assert_eq!(skip(&[0xff; 12]), Err(ReadError::IntegerOutOfRange));
        // Padding with zero bits is tolerated, as lib0 does, within ten bytes.
        assert_eq!(skip(&[0x85, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0]), Ok(0x85));
        assert_eq!(skip(&[0x80; 12]), Err(ReadError::IntegerOutOfRange));
        assert_eq!(skip(&[0x80]), Err(ReadError::EndsEarly));
    }

    #[test]
    fn counts_are_held_against_the_bytes_present() {
        assert_eq!(Reader::new(&[3, 1, 1]).count(), Err(ReadError::CountExceedsInput));
        assert_eq!(Reader::new(&[0xff, 0xff, 0xff, 0x7f]).var_bytes(), Err(ReadError::CountExceedsInput));
        assert_eq!(Reader::new(&[2, 0xc3, 0x28]).var_string(), Err(ReadError::InvalidText));
    }
}
