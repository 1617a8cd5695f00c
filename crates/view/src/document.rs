//! A document in yrs, and what its roots are.
//!
//! Everything here runs in a worker. Two traps of yrs are avoided by construction: reading a sequence of characters
//! as a list (`ArrayRef::iter`, `to_json`, `XmlFragment::children`) never ends when one of them lies outside the
//! BMP, so a sequence is read as a list only after no character was found in it; and defining a root by the
//! wrong type changes how yrs reads it, so roots are only looked up, never defined.

use std::fmt;

use serde::{Deserialize, Serialize};
use yrs::{
    Any, Array as _, ArrayRef, ClientID, Doc, GetString as _, Map as _, MapRef, OffsetKind, Options, Out,
    ReadTxn, Text as _, TextRef, Transact as _, Update, WriteTxn as _,
    branch::{Branch, BranchPtr},
    types::text::{Diff, YChange},
    updates::decoder::Decode as _,
};

use crate::{
    json,
    limited::Limited,
    wire::{ContentRequest, Refusal},
    xml,
};

/// What a root holds, inferred from what is in it at present, by the first rule that fits:
///
/// 1. Characters, formats or embedded values in its sequence make a text.
/// 2. A sequence of XML elements, XML texts and XML fragments only makes an XML fragment.
/// 3. Any other sequence makes an array.
/// 4. Keys without a sequence make a map.
/// 5. A root whose content is all deleted is empty.
///
/// A root that one application uses as a list and another as a map shows its sequence. A text of which nothing but
/// embedded XML is left is taken for XML.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum RootKind {
    /// `Y.Text`, or a `Y.XmlText` with characters of its own. JSON: a string.
    Text,
    /// `Y.XmlFragment`. JSON: a string of XML.
    Xml,
    /// `Y.Array`. JSON: an array.
    Array,
    /// `Y.Map`. JSON: an object.
    Map,
    /// Nothing is left in it. JSON: `null`; as a text or as XML: the empty string.
    Empty,
}

impl fmt::Display for RootKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Text => "a text",
            Self::Xml => "an XML fragment",
            Self::Array => "an array",
            Self::Map => "a map",
            Self::Empty => "nothing",
        })
    }
}

/// A document that yrs has read.
pub(crate) struct Document {
    doc: Doc,
}

impl Document {
    pub(crate) fn read(update: &[u8]) -> Result<Self, Refusal> {
        let refuse = |error: &dyn fmt::Display| Refusal::Unreadable(error.to_string());
        let update = Update::decode_v1(update).map_err(|error| refuse(&error))?;
        // The document is never written to, so its client id means nothing; a fixed one saves a random number.
        let doc = Doc::with_options(Options {
            offset_kind: OffsetKind::Utf16,
            cleanup_formatting: false,
            ..Options::with_guid_and_client_id("view".into(), ClientID::new(1))
        });
        let mut txn = doc.transact_mut();
        txn.apply_update(update).map_err(|error| refuse(&error))?;
        // yrs holds some structs for pending whose dependencies came in the same update; offered again they
        // fit. Once is enough: what is pending after that is missing.
        if txn.has_missing_updates()
            && let Some(pending) = txn.prune_pending()
        {
            txn.apply_update(pending).map_err(|error| refuse(&error))?;
        }
        drop(txn);
        Ok(Self { doc })
    }

    /// Writes what `request` asks for.
    pub(crate) fn content(&self, request: &ContentRequest, output: &mut Limited) -> Result<(), Refusal> {
        let txn = self.doc.transact();
        let find = |root: &str| {
            let out = txn.get(root).ok_or(Refusal::UnknownRoot)?;
            let kind = kind_of(&out, &txn);
            Ok((out, kind))
        };
        match request {
            ContentRequest::All => json::write_roots(&txn, output),
            ContentRequest::Json(root) => json::write_value(&find(root)?.0, &txn, output),
            ContentRequest::Text(root) => match find(root)? {
                (_, RootKind::Empty) => Ok(()),
                (out, RootKind::Text) => xml::write_plain(&plain_text(&out, &txn), output),
                (_, found) => Err(Refusal::WrongType { found, asked: RootKind::Text }),
            },
            ContentRequest::Xml(root) => match find(root)? {
                (_, RootKind::Empty) => Ok(()),
                (out, RootKind::Xml) => xml::write_children(&out, &txn, output),
                (_, found) => Err(Refusal::WrongType { found, asked: RootKind::Xml }),
            },
        }
    }
}

/// The kind of a root, or of a nested type that does not say its own.
pub(crate) fn kind_of<T: ReadTxn>(out: &Out, txn: &T) -> RootKind {
    let Some(branch) = branch_of(out) else { return RootKind::Empty };
    let is_text = |diff: &Diff<YChange>| diff.attributes.is_some() || matches!(diff.insert, Out::Any(_));
    if pieces(branch, txn).iter().any(is_text) {
        return RootKind::Text;
    }
    // No characters: reading it as a list ends.
    let mut elements = ArrayRef::from(branch).iter(txn).peekable();
    if elements.peek().is_some() {
        return if elements.all(|element| is_xml(&element)) { RootKind::Xml } else { RootKind::Array };
    }
    if MapRef::from(branch).keys(txn).next().is_some() { RootKind::Map } else { RootKind::Empty }
}

pub(crate) fn is_xml(out: &Out) -> bool {
    matches!(out, Out::YXmlElement(_) | Out::YXmlText(_) | Out::YXmlFragment(_))
}

/// The branch of a shared type; `None` for plain values and sub-documents.
pub(crate) fn branch_of(out: &Out) -> Option<BranchPtr> {
    out.try_branch().map(|branch: &Branch| BranchPtr::from(branch))
}

/// The characters of a text.
pub(crate) fn plain_text<T: ReadTxn>(out: &Out, txn: &T) -> String {
    branch_of(out).map(|branch| TextRef::from(branch).get_string(txn)).unwrap_or_default()
}

/// A sequence as a text: runs of characters with their formats, embedded values, embedded types. Other elements
/// are left out.
pub(crate) fn pieces<T: ReadTxn>(branch: BranchPtr, txn: &T) -> Vec<Diff<YChange>> {
    TextRef::from(branch).diff(txn, YChange::identity)
}

/// A sequence as a list. Characters in it, which no client puts into a list, come as one string for each run.
pub(crate) fn elements<T: ReadTxn>(branch: BranchPtr, txn: &T) -> Vec<Out> {
    let pieces = pieces(branch, txn);
    if pieces.iter().any(|piece| matches!(piece.insert, Out::Any(Any::String(_)))) {
        return pieces.into_iter().map(|piece| piece.insert).collect();
    }
    ArrayRef::from(branch).iter(txn).collect()
}

/// The entries of a map, sorted by key so that the same document always reads the same.
pub(crate) fn entries<T: ReadTxn>(branch: BranchPtr, txn: &T) -> Vec<(String, Out)> {
    let mut entries: Vec<_> =
        MapRef::from(branch).iter(txn).map(|(key, value)| (key.to_owned(), value)).collect();
    entries.sort_by(|(a, _), (b, _)| a.cmp(b));
    entries
}
