//! From one JSON text to the next: the difference as JSON Patch (RFC 6902).
//!
//! Of our own, since what there is works on decoded values: those lose digits of numbers, end at a depth of 128, and compare
//! lists place by place, so that one element at the front replaces all others. Here only what differs is taken apart. In
//! lists, what is the same at both ends and in between keeps its place.
//!
//! A string, so a text or XML as well, is one value: it is replaced as a whole.

mod parts;

use std::{collections::HashMap, fmt::Write as _};

use parts::Value;

use crate::limited::Limited;

/// Lists are aligned if no more pairs of their elements than this have to be compared; otherwise what lies between their
/// common ends is compared place by place.
const PAIRS: usize = 1 << 18;

/// What leads from one text to another.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Difference {
    /// They are the same.
    None,
    /// A patch, smaller than the text it leads to.
    Patch(Vec<u8>),
    /// No patch is smaller than the text itself.
    Whole,
}

/// The difference between two texts that were written by [`crate::json`].
pub(crate) fn between(before: &str, after: &str) -> Difference {
    if before == after {
        return Difference::None;
    }
    let mut patch = Patch { output: Limited::new(after.len()), path: String::new() };
    match patch.begin().and_then(|()| patch.value(before, after)).and_then(|()| patch.end()) {
        Ok(()) => Difference::Patch(patch.output.into_bytes()),
        Err(NoPatch) => Difference::Whole,
    }
}

/// There is no room for it, or a text is none of ours.
struct NoPatch;

impl From<std::fmt::Error> for NoPatch {
    fn from(_: std::fmt::Error) -> Self {
        Self
    }
}

impl From<parts::Malformed> for NoPatch {
    fn from(_: parts::Malformed) -> Self {
        Self
    }
}

/// A patch that is being written. Each operation holds for what the ones before it have made.
struct Patch {
    output: Limited,
    /// Where we are, as it stands in a JSON string.
    path: String,
}

impl Patch {
    fn begin(&mut self) -> Result<(), NoPatch> {
        Ok(self.output.write_char('[')?)
    }

    fn end(&mut self) -> Result<(), NoPatch> {
        Ok(self.output.write_char(']')?)
    }

    fn value(&mut self, before: &str, after: &str) -> Result<(), NoPatch> {
        if before == after {
            return Ok(());
        }
        match (Value::of(before)?, Value::of(after)?) {
            (Value::Object(before), Value::Object(after)) => self.object(&before, &after),
            (Value::Array(before), Value::Array(after)) => self.array(&before, &after),
            _ => self.operation("replace", Some(after)),
        }
    }

    fn object(&mut self, before: &[(&str, &str)], after: &[(&str, &str)]) -> Result<(), NoPatch> {
        let mut left: HashMap<_, _> = before.iter().copied().collect();
        for (key, value) in after {
            let known = left.remove(key);
            self.within(key, |patch| match known {
                Some(known) => patch.value(known, value),
                None => patch.operation("add", Some(value)),
            })?;
        }
        for (key, _) in before.iter().filter(|(key, _)| left.contains_key(key)) {
            self.within(key, |patch| patch.operation("remove", None))?;
        }
        Ok(())
    }

    fn array(&mut self, before: &[&str], after: &[&str]) -> Result<(), NoPatch> {
        let start = before.iter().zip(after).take_while(|(a, b)| a == b).count();
        let (before, after) =
            (before.get(start..).unwrap_or_default(), after.get(start..).unwrap_or_default());
        let end = before.iter().rev().zip(after.iter().rev()).take_while(|(a, b)| a == b).count();
        let before = before.get(..before.len() - end).unwrap_or_default();
        let after = after.get(..after.len() - end).unwrap_or_default();
        let mut at = start;
        for gap in gaps(before, after) {
            let Gap { before, after, kept } = gap;
            let pairs = before.len().min(after.len());
            for (old, new) in before.iter().zip(after) {
                self.within(&at.to_string(), |patch| patch.value(old, new))?;
                at += 1;
            }
            for _ in before.iter().skip(pairs) {
                self.within(&at.to_string(), |patch| patch.operation("remove", None))?;
            }
            for new in after.iter().skip(pairs) {
                self.within(&at.to_string(), |patch| patch.operation("add", Some(new)))?;
                at += 1;
            }
            at += kept;
        }
        Ok(())
    }

    /// Goes down one level and comes back.
    fn within(
        &mut self,
        key: &str,
        change: impl FnOnce(&mut Self) -> Result<(), NoPatch>,
    ) -> Result<(), NoPatch> {
        let length = self.path.len();
        self.path.push('/');
        for character in key.chars() {
            match character {
                '~' => self.path.push_str("~0"),
                '/' => self.path.push_str("~1"),
                other => self.path.push(other),
            }
        }
        change(self)?;
        self.path.truncate(length);
        Ok(())
    }

    fn operation(&mut self, name: &str, value: Option<&str>) -> Result<(), NoPatch> {
        let Self { output, path } = self;
        let comma = if output.is_longer_than(1) { "," } else { "" };
        write!(output, r#"{comma}{{"op":"{name}","path":"{path}""#)?;
        if let Some(value) = value {
            write!(output, r#","value":{value}"#)?;
        }
        Ok(output.write_char('}')?)
    }
}

/// A stretch of two lists that differs, and how many elements behind it are the same.
#[derive(Debug)]
struct Gap<'a, 't> {
    before: &'a [&'t str],
    after: &'a [&'t str],
    kept: usize,
}

/// Two lists as stretches that differ between longest common ones.
fn gaps<'a, 't>(before: &'a [&'t str], after: &'a [&'t str]) -> Vec<Gap<'a, 't>> {
    let all = || vec![Gap { before, after, kept: 0 }];
    let width = after.len() + 1;
    if before.is_empty() || after.is_empty() || before.len().saturating_mul(after.len()) > PAIRS {
        return all();
    }
    // lengths[i * width + j]: the longest common subsequence of what lies behind i and behind j.
    let mut lengths = vec![0_u32; (before.len() + 1) * width];
    let length =
        |lengths: &[u32], i: usize, j: usize| lengths.get(i * width + j).copied().unwrap_or_default();
    for (i, old) in before.iter().enumerate().rev() {
        for (j, new) in after.iter().enumerate().rev() {
            let best = if old == new {
                length(&lengths, i + 1, j + 1) + 1
            } else {
                length(&lengths, i + 1, j).max(length(&lengths, i, j + 1))
            };
            if let Some(place) = lengths.get_mut(i * width + j) {
                *place = best;
            }
        }
    }
    let mut gaps = Vec::new();
    let (mut i, mut j, mut from) = (0, 0, (0, 0));
    while let (Some(old), Some(new)) = (before.get(i), after.get(j)) {
        if old == new {
            let gap = (before.get(from.0..i).unwrap_or_default(), after.get(from.1..j).unwrap_or_default());
            gaps.push(Gap { before: gap.0, after: gap.1, kept: 1 });
            (i, j) = (i + 1, j + 1);
            from = (i, j);
        } else if length(&lengths, i + 1, j) >= length(&lengths, i, j + 1) {
            i += 1;
        } else {
            j += 1;
        }
    }
    let rest = (before.get(from.0..).unwrap_or_default(), after.get(from.1..).unwrap_or_default());
    gaps.push(Gap { before: rest.0, after: rest.1, kept: 0 });
    gaps
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value as Json, json};

    use super::{Difference, between};

    fn patch(before: &Json, after: &Json) -> Json {
        match between(&before.to_string(), &after.to_string()) {
            Difference::None => json!([]),
            Difference::Patch(patch) => serde_json::from_slice(&patch).unwrap(),
            Difference::Whole => json!("whole"),
        }
    }

    /// So long that every patch of something beside it is smaller than the whole.
    fn long() -> Json {
        "x".repeat(500).into()
    }

    #[test]
    fn only_what_differs_is_said() {
        let before = json!({"a": {"b/~\"": 1, "c": [1, 2], "gone": 0}, "long": long()});
        let after = json!({"a": {"b/~\"": 2, "c": [1, 2], "new": {}}, "long": long()});
        assert_eq!(
            patch(&before, &after),
            json!([
                {"op": "replace", "path": "/a/b~1~0\"", "value": 2},
                {"op": "add", "path": "/a/new", "value": {}},
                {"op": "remove", "path": "/a/gone"},
            ])
        );
        assert_eq!(patch(&before, &before), json!([]));
        assert_eq!(patch(&json!({"a": 1}), &json!({"a": 2})), json!("whole"));
    }

    #[test]
    fn elements_of_lists_keep_their_place() {
        let before = json!([{"id": 1}, {"id": 2}, {"id": 3}, {"id": 4}, long()]);
        let after = json!([{"id": 0}, {"id": 1}, {"id": 2}, {"id": 33}, {"id": 4}, {"id": 5}, long()]);
        assert_eq!(
            patch(&before, &after),
            json!([
                {"op": "add", "path": "/0", "value": {"id": 0}},
                {"op": "replace", "path": "/3/id", "value": 33},
                {"op": "add", "path": "/5", "value": {"id": 5}},
            ])
        );
        assert_eq!(
            patch(&json!([1, 2, 3, 4, long()]), &json!([2, 4, long()])),
            json!([{"op": "remove", "path": "/0"}, {"op": "remove", "path": "/1"}])
        );
    }

    #[test]
    fn numbers_keep_their_digits() {
        let text = |number: &str| format!(r#"{{"n":{number},"long":{}}}"#, long());
        let difference = between(&text("9007199254740993"), &text("9007199254740992"));
        let Difference::Patch(patch) = difference else { panic!("{difference:?}") };
        assert_eq!(patch, br#"[{"op":"replace","path":"/n","value":9007199254740992}]"#);
    }

    #[test]
    fn depth_is_no_matter() {
        let nested = |inner: &str| format!("{}{inner}{}", "[".repeat(2_000), "]".repeat(2_000));
        let text = |inner: &str| format!("[{},{}]", nested(inner), long());
        let difference = between(&text("1"), &text("2"));
        let Difference::Patch(patch) = difference else { panic!("{difference:?}") };
        let expected = format!(r#"[{{"op":"replace","path":"{}","value":2}}]"#, "/0".repeat(2_001));
        assert_eq!(String::from_utf8(patch).unwrap(), expected);
    }

    #[test]
    fn what_is_no_json_of_ours_is_said_as_a_whole() {
        assert_eq!(between("{", r#"{"a":1}"#), Difference::Whole);
        assert_eq!(between("", "[1]"), Difference::Whole);
    }

    fn any_json() -> impl Strategy<Value = Json> {
        let leaf = prop_oneof![
            Just(Json::Null),
            any::<bool>().prop_map(Json::from),
            (-3_i64..3).prop_map(Json::from),
            "[a-c/~\"\\\\\u{1f600}]{0,3}".prop_map(Json::from),
        ];
        leaf.prop_recursive(4, 40, 6, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..8).prop_map(Json::from),
                prop::collection::btree_map("[a-c/~\"\\\\ ]{0,2}", inner, 0..6)
                    .prop_map(|map| Json::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]
        #[test]
        fn a_patch_leads_from_one_to_the_other(before in any_json(), after in any_json()) {
            // Beside something long, so that there is room for a patch.
            let (before, after) = (json!([before, "x".repeat(5_000)]), json!([after, "x".repeat(5_000)]));
            match between(&before.to_string(), &after.to_string()) {
                Difference::None => prop_assert_eq!(before, after),
                Difference::Whole => prop_assert!(false, "no patch from {} to {}", before, after),
                Difference::Patch(patch) => {
                    let patch: json_patch::Patch = serde_json::from_slice(&patch).unwrap();
                    let mut made = before.clone();
                    json_patch::patch(&mut made, &patch).unwrap();
                    prop_assert_eq!(made, after);
                }
            }
        }
    }
}
