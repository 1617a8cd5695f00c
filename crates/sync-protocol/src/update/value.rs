//! Walks lib0's self-describing values ("any") without building or recursing.

use super::UpdateError;
use crate::limits::MAX_DEPTH;
use crate::wire::varint::Reader;

/// The tags of lib0's `writeAny`.
mod tag {
    pub(super) const UNDEFINED: u8 = 127;
    pub(super) const NULL: u8 = 126;
    pub(super) const INTEGER: u8 = 125;
    pub(super) const FLOAT32: u8 = 124;
    pub(super) const FLOAT64: u8 = 123;
    pub(super) const BIGINT: u8 = 122;
    pub(super) const FALSE: u8 = 121;
    pub(super) const TRUE: u8 = 120;
    pub(super) const STRING: u8 = 119;
    pub(super) const OBJECT: u8 = 118;
    pub(super) const ARRAY: u8 = 117;
    pub(super) const BYTES: u8 = 116;
}

/// A list or object that is being walked.
#[derive(Clone, Copy)]
struct Open {
    left: usize,
    keyed: bool,
}

/// Skips one value of any kind, checking that it is whole and nested at most [`MAX_DEPTH`] deep.
pub(super) fn skip_value(reader: &mut Reader<'_>) -> Result<(), UpdateError> {
    let mut open = [Open { left: 0, keyed: false }; MAX_DEPTH];
    let mut depth = 0usize;
    loop {
        let opened = match reader.byte()? {
            tag::UNDEFINED | tag::NULL | tag::FALSE | tag::TRUE => None,
            tag::INTEGER => {
                reader.skip_var_int()?;
                None
            }
            tag::FLOAT32 => {
                reader.take(4)?;
                None
            }
            tag::FLOAT64 | tag::BIGINT => {
                reader.take(8)?;
                None
            }
            tag::STRING => {
                reader.var_string()?;
                None
            }
            tag::BYTES => {
                reader.var_bytes()?;
                None
            }
            tag::OBJECT => Some(Open { left: reader.count()?, keyed: true }),
            tag::ARRAY => Some(Open { left: reader.count()?, keyed: false }),
            other => return Err(UpdateError::UnknownValue(other)),
        };
        if let Some(opened) = opened {
            *open.get_mut(depth).ok_or(UpdateError::TooDeep)? = opened;
            depth += 1;
        }
        // Go on with the innermost list or object that has something left.
        loop {
            let Some(innermost) = depth.checked_sub(1).and_then(|top| open.get_mut(top)) else {
                return Ok(());
            };
            match innermost.left.checked_sub(1) {
                Some(left) => {
                    innermost.left = left;
                    if innermost.keyed {
                        reader.var_string()?;
                    }
                    break;
                }
                None => depth -= 1,
            }
        }
    }
}

/// Whether the value at the front is an object, as the options of a sub-document must be.
pub(super) fn is_object(bytes: &[u8]) -> bool {
    bytes.first() == Some(&tag::OBJECT)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn skip(bytes: &[u8]) -> Result<usize, UpdateError> {
        let mut reader = Reader::new(bytes);
        skip_value(&mut reader)?;
        Ok(bytes.len() - reader.rest().len())
    }

    #[test]
    fn every_kind_is_measured() {
        for value in [
            &[127][..],
            &[126],
            &[125, 0x40],
            &[125, 0xff, 0xff, 0x01],
            &[124, 0, 0, 0, 0],
            &[123, 0, 0, 0, 0, 0, 0, 0, 0],
            &[122, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
            &[121],
            &[120],
            &[119, 2, b'h', b'i'],
            &[118, 2, 1, b'a', 126, 1, b'b', 117, 1, 120],
            &[117, 0],
            &[116, 1, 0xff],
        ] {
            let mut padded = value.to_vec();
            padded.push(0);
            assert_eq!(skip(&padded), Ok(value.len()), "{value:?}");
            assert!(skip(&value[..value.len() - 1]).is_err(), "{value:?}");
        }
    }

    #[test]
    fn nesting_is_bounded_without_recursion() {
        let nest = |depth: usize| [[117u8, 1].repeat(depth), vec![126]].concat();
        assert!(skip(&nest(MAX_DEPTH)).is_ok());
        assert_eq!(skip(&nest(MAX_DEPTH + 1)), Err(UpdateError::TooDeep));
        assert_eq!(skip(&nest(200_000)), Err(UpdateError::TooDeep));
    }

    #[test]
    fn unknown_tags_and_lying_counts_are_refused() {
        assert_eq!(skip(&[115]), Err(UpdateError::UnknownValue(115)));
        assert!(skip(&[117, 0xff, 0xff, 0xff, 0x7f, 126]).is_err());
        assert!(skip(&[118, 0xff, 0xff, 0xff, 0x7f, 126]).is_err());
    }
}
