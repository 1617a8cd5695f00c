//! Text counted as JavaScript counts it: in UTF-16 code units.

/// What Yjs puts in the place of half a surrogate pair.
pub(super) const REPLACEMENT: &str = "\u{fffd}";

/// A piece of text. Cutting through a surrogate pair leaves half of it on either side; Yjs makes of each half a
/// replacement character, and so does this.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Text<'a> {
    /// Begins with half a pair, which is not in `whole`.
    pub half_first: bool,
    /// The characters that are whole.
    pub whole: &'a str,
    /// Ends with half a pair, which is not in `whole`.
    pub half_last: bool,
}

impl<'a> Text<'a> {
    pub(super) fn new(whole: &'a str) -> Self {
        Self { half_first: false, whole, half_last: false }
    }

    /// UTF-16 code units.
    pub(super) fn units(&self) -> u64 {
        utf16_units(self.whole) + u64::from(self.half_first) + u64::from(self.half_last)
    }

    /// UTF-8 bytes, halves written as replacement characters.
    pub(super) fn bytes(&self) -> usize {
        self.whole.len() + REPLACEMENT.len() * (usize::from(self.half_first) + usize::from(self.half_last))
    }

    pub(super) fn write(&self, out: &mut Vec<u8>) {
        if self.half_first {
            out.extend_from_slice(REPLACEMENT.as_bytes());
        }
        out.extend_from_slice(self.whole.as_bytes());
        if self.half_last {
            out.extend_from_slice(REPLACEMENT.as_bytes());
        }
    }

    /// The first unit from `at` on before which nothing is halved by a cut.
    pub(super) fn cut(&self, len: u64, at: u64) -> u64 {
        let lead = u64::from(self.half_first);
        let whole_end = len - u64::from(self.half_last);
        let (_, splits) = offset(self.whole, at.max(lead).min(whole_end) - lead);
        at + u64::from(splits)
    }

    /// The units from `from` up to `to` of `len`.
    pub(super) fn slice(&self, len: u64, from: u64, to: u64) -> Self {
        // The halves at the ends are units of their own, outside of `whole`.
        let lead = u64::from(self.half_first);
        let whole_end = len - u64::from(self.half_last);
        let half_first = from < lead;
        let half_last = to > whole_end;
        let (start, start_splits) = offset(self.whole, from.max(lead).min(whole_end) - lead);
        // The end is found without a walk: whoever cuts piece after piece off the front pays for each piece only.
        let (end, end_splits) =
            if to >= whole_end { (self.whole.len(), false) } else { offset(self.whole, to.max(lead) - lead) };
        // Behind a split pair the whole characters begin after it; before one they end ahead of it.
        let start = if start_splits { next_char(self.whole, start) } else { start };
        let whole = self.whole.get(start..end.max(start)).unwrap_or_default();
        Self { half_first: half_first || start_splits, whole, half_last: half_last || end_splits }
    }
}

/// UTF-16 code units of a string: one for each character, two for those beyond the basic plane.
fn utf16_units(text: &str) -> u64 {
    text.as_bytes().iter().map(|&byte| u64::from(byte & 0xc0 != 0x80) + u64::from(byte >= 0xf0)).sum()
}

/// The byte at which UTF-16 unit `unit` begins, and whether that lies in the middle of a pair (then the byte is the
/// beginning of the pair).
fn offset(text: &str, unit: u64) -> (usize, bool) {
    // Up to the first byte beyond ASCII, units are bytes.
    let wanted = usize::try_from(unit).unwrap_or(usize::MAX);
    let ascii = text.as_bytes().iter().take(wanted).take_while(|byte| byte.is_ascii()).count();
    if ascii == wanted {
        return (ascii, false);
    }
    let mut units = ascii;
    for (at, char) in text.get(ascii..).unwrap_or_default().char_indices() {
        if units == wanted {
            return (ascii + at, false);
        }
        units += char.len_utf16();
        if units > wanted {
            return (ascii + at, true);
        }
    }
    (text.len(), false)
}

fn next_char(text: &str, at: usize) -> usize {
    at + text.get(at..).and_then(|rest| rest.chars().next()).map_or(0, char::len_utf8)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Slices as JavaScript would, then encodes as `TextEncoder` does.
    fn by_units(text: &str, from: usize, to: usize) -> String {
        String::from_utf16_lossy(&text.encode_utf16().collect::<Vec<_>>()[from..to])
    }

    fn written(text: &Text<'_>) -> String {
        let mut out = Vec::new();
        text.write(&mut out);
        assert_eq!(out.len(), text.bytes());
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn every_slice_of_every_slice_is_what_javascript_gives() {
        for text in [
            "",
            "abc",
            "\u{1f600}",
            "a\u{1f600}b\u{e4}\u{1d538}",
            "e\u{301}\u{4e2d}\u{1f600}\u{1f600}z",
            "\u{e4}",
        ] {
            let whole = Text::new(text);
            let len = text.encode_utf16().count();
            assert_eq!(whole.units(), len as u64);
            for at in 1..len {
                let cut = usize::try_from(whole.cut(len as u64, at as u64)).unwrap();
                assert!((at..=at + 1).contains(&cut));
                assert_eq!(by_units(text, 0, cut) + &by_units(text, cut, len), text);
            }
            for from in 0..len {
                for to in from + 1..=len {
                    let slice = whole.slice(len as u64, from as u64, to as u64);
                    let plain = by_units(text, from, to);
                    assert_eq!(written(&slice), plain, "{text:?} {from}..{to}");
                    assert_eq!(slice.units(), (to - from) as u64);
                    for inner in 0..to - from {
                        for end in inner + 1..=to - from {
                            let again = slice.slice((to - from) as u64, inner as u64, end as u64);
                            assert_eq!(
                                written(&again),
                                by_units(&plain, inner, end),
                                "{text:?} {from}..{to} {inner}..{end}"
                            );
                        }
                    }
                }
            }
        }
    }
}
