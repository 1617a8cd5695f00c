//! Shared types and values as JSON, the way `toJSON` and `JSON.stringify` of JavaScript show them, except that
//! binary values are base64 (standard alphabet, padded) and a sub-document is an object with its `guid`.
//!
//! Written piece by piece: a document that is large as JSON is not held as a tree besides.

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use serde::{
    Serialize, Serializer,
    ser::{Error as _, SerializeMap as _},
};
use yrs::{Any, Number, Out, ReadTxn};

use crate::{
    document::{self, RootKind},
    limited::Limited,
    wire::Refusal,
    xml,
};

/// Numbers up to here are whole in JavaScript, and shown without a fraction.
const MAX_SAFE_INTEGER: f64 = 9_007_199_254_740_991.0;

/// Writes an object of all roots, sorted by name.
pub(crate) fn write_roots<T: ReadTxn>(txn: &T, output: &mut Limited) -> Result<(), Refusal> {
    let mut roots: Vec<_> = txn.root_refs().map(|(name, out)| (name.to_owned(), out)).collect();
    roots.sort_by(|(a, _), (b, _)| a.cmp(b));
    write(&Entries { sorted: &roots, txn, limit: output.left() }, output)
}

/// Writes one root.
pub(crate) fn write_value<T: ReadTxn>(out: &Out, txn: &T, output: &mut Limited) -> Result<(), Refusal> {
    write(&Value { out, txn, limit: output.left() }, output)
}

fn write(value: &impl Serialize, output: &mut Limited) -> Result<(), Refusal> {
    // The output fails only for its size, and so does every serialisation below.
    serde_json::to_writer(output, value).map_err(|_| Refusal::AnswerTooLarge)
}

/// A value as text: what stands in an XML attribute.
pub(crate) fn compact(any: &Any) -> String {
    serde_json::to_string(&Plain(any)).unwrap_or_default()
}

struct Value<'a, T> {
    out: &'a Out,
    txn: &'a T,
    /// What the whole answer may have; bounds the XML strings within.
    limit: usize,
}

impl<T: ReadTxn> Serialize for Value<'_, T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self { out, txn, limit } = *self;
        let kind = match out {
            Out::Any(any) => return Plain(any).serialize(serializer),
            Out::YDoc(doc) => {
                let mut object = serializer.serialize_map(Some(1))?;
                object.serialize_entry("guid", doc.guid().as_ref())?;
                return object.end();
            }
            Out::YText(_) => RootKind::Text,
            Out::YArray(_) => RootKind::Array,
            Out::YMap(_) => RootKind::Map,
            Out::YXmlElement(_) | Out::YXmlFragment(_) | Out::YXmlText(_) => RootKind::Xml,
            // A link shows what it links to only where that stands.
            Out::YWeakLink(_) => RootKind::Empty,
            Out::UndefinedRef(_) => document::kind_of(out, txn),
        };
        let Some(branch) = document::branch_of(out) else { return serializer.serialize_unit() };
        match kind {
            RootKind::Empty => serializer.serialize_unit(),
            RootKind::Text => serializer.serialize_str(&document::plain_text(out, txn)),
            RootKind::Array => {
                let elements = document::elements(branch, txn);
                serializer.collect_seq(elements.iter().map(|out| Value { out, txn, limit }))
            }
            RootKind::Map => {
                let entries = document::entries(branch, txn);
                Entries { sorted: &entries, txn, limit }.serialize(serializer)
            }
            RootKind::Xml => {
                let xml = xml::to_string(out, txn, limit).map_err(|_| S::Error::custom("too large"))?;
                serializer.serialize_str(&xml)
            }
        }
    }
}

struct Entries<'a, T> {
    sorted: &'a [(String, Out)],
    txn: &'a T,
    limit: usize,
}

impl<T: ReadTxn> Serialize for Entries<'_, T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let shown = self.sorted.iter().filter(|(_, out)| !matches!(out, Out::Any(Any::Undefined)));
        serializer.collect_map(shown.map(|(key, out)| (key, Value { out, txn: self.txn, limit: self.limit })))
    }
}

/// A value without shared types in it.
struct Plain<'a>(&'a Any);

impl Serialize for Plain<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Any::Null | Any::Undefined => serializer.serialize_unit(),
            Any::Bool(value) => serializer.serialize_bool(*value),
            Any::Number(Number::Int(value)) => serializer.serialize_i64(*value),
            Any::Number(Number::Float(value)) => serialize_float(*value, serializer),
            Any::String(value) => serializer.serialize_str(value),
            Any::Buffer(value) => serializer.serialize_str(&BASE64.encode(value)),
            Any::Array(values) => serializer.collect_seq(values.iter().map(Plain)),
            Any::Map(entries) => {
                let mut entries: Vec<_> =
                    entries.iter().filter(|(_, value)| !matches!(value, Any::Undefined)).collect();
                entries.sort_by_key(|(key, _)| *key);
                serializer.collect_map(entries.into_iter().map(|(key, value)| (key, Plain(value))))
            }
        }
    }
}

fn serialize_float<S: Serializer>(value: f64, serializer: S) -> Result<S::Ok, S::Error> {
    if value.fract() == 0.0 && value.abs() <= MAX_SAFE_INTEGER {
        #[expect(clippy::cast_possible_truncation, reason = "whole and within 53 bits")]
        return serializer.serialize_i64(value as i64);
    }
    // JSON has no NaN and no infinity; serde_json writes null for them, as JavaScript does.
    serializer.serialize_f64(value)
}

#[cfg(test)]
mod tests {
    use std::{collections::HashMap, sync::Arc};

    use yrs::{Any, Number};

    use super::compact;

    #[test]
    fn numbers_read_as_javascript_writes_them() {
        let float = |value| compact(&Any::Number(Number::Float(value)));
        assert_eq!(float(5e9), "5000000000");
        assert_eq!(float(-0.0), "0");
        assert_eq!(float(0.1), "0.1");
        assert_eq!(float(9_007_199_254_740_991.0), "9007199254740991");
        assert_eq!(float(1e300), "1e+300");
        assert_eq!(float(f64::NAN), "null");
        assert_eq!(float(f64::NEG_INFINITY), "null");
        assert_eq!(compact(&Any::Number(Number::Int(i64::MAX))), "9223372036854775807");
    }

    #[test]
    fn undefined_is_left_out_of_objects_and_null_in_lists() {
        let object = HashMap::from([("b".to_owned(), Any::Undefined), ("a".to_owned(), Any::Null)]);
        let list = [Any::Undefined, Any::Map(Arc::new(object)), Any::Buffer(Arc::from([0, 1, 255]))];
        assert_eq!(compact(&Any::Array(Arc::from(list))), r#"[null,{"a":null},"AAH/"]"#);
    }
}
