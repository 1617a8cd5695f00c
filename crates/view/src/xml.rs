//! XML types as XML: elements with their attributes sorted by name, texts with each format as an element around
//! the characters it holds for.
//!
//! Unlike `toString` of yjs this is well-formed whatever the clients wrote: characters are escaped, what XML
//! cannot say at all becomes U+FFFD, and characters that no name may have become `_`. Names keep their case.
//! Values that are neither characters nor XML (embedded objects, maps, sub-documents) have no place in XML and
//! are left out.

use std::fmt::{self, Write};

use yrs::{Any, Out, ReadTxn, Xml as _, branch::BranchPtr};

use crate::{document, json, limited::Limited, wire::Refusal};

/// Writes the children of a fragment.
pub(crate) fn write_children<T: ReadTxn>(out: &Out, txn: &T, output: &mut Limited) -> Result<(), Refusal> {
    let Some(branch) = document::branch_of(out) else { return Ok(()) };
    children(branch, txn, output).map_err(|fmt::Error| Refusal::AnswerTooLarge)
}

/// Writes characters as they are.
pub(crate) fn write_plain(text: &str, output: &mut Limited) -> Result<(), Refusal> {
    output.write_str(text).map_err(|fmt::Error| Refusal::AnswerTooLarge)
}

/// One XML type as a string of at most `limit` bytes.
pub(crate) fn to_string<T: ReadTxn>(out: &Out, txn: &T, limit: usize) -> Result<String, fmt::Error> {
    let mut output = Limited::new(limit);
    // A root that is XML by inference says nothing of itself: what it shows are its children.
    match (out, document::branch_of(out)) {
        (Out::UndefinedRef(_), Some(branch)) => children(branch, txn, &mut output)?,
        _ => node(out, txn, &mut output)?,
    }
    Ok(String::from_utf8_lossy(&output.into_bytes()).into_owned())
}

fn node<T: ReadTxn>(out: &Out, txn: &T, output: &mut Limited) -> fmt::Result {
    match out {
        Out::YXmlElement(element) => {
            let tag = name(element.try_tag().map_or("", |tag| tag));
            write!(output, "<{tag}")?;
            let mut attributes: Vec<_> = element.attributes(txn).collect();
            attributes.sort_by_key(|(name, _)| *name);
            for (key, value) in &attributes {
                if let Out::Any(value) = value {
                    attribute(key, value, output)?;
                }
            }
            output.write_char('>')?;
            children(BranchPtr::from(AsRef::<yrs::branch::Branch>::as_ref(element)), txn, output)?;
            write!(output, "</{tag}>")
        }
        Out::YXmlFragment(_) => match document::branch_of(out) {
            Some(branch) => children(branch, txn, output),
            None => Ok(()),
        },
        Out::YText(_) | Out::YXmlText(_) => match document::branch_of(out) {
            Some(branch) => text(branch, txn, output),
            None => Ok(()),
        },
        Out::Any(Any::String(characters)) => escape(characters, output),
        Out::Any(_)
        | Out::YArray(_)
        | Out::YMap(_)
        | Out::YDoc(_)
        | Out::YWeakLink(_)
        | Out::UndefinedRef(_) => Ok(()),
    }
}

fn children<T: ReadTxn>(branch: BranchPtr, txn: &T, output: &mut Limited) -> fmt::Result {
    document::elements(branch, txn).iter().try_for_each(|child| node(child, txn, output))
}

fn text<T: ReadTxn>(branch: BranchPtr, txn: &T, output: &mut Limited) -> fmt::Result {
    for piece in document::pieces(branch, txn) {
        let mut formats: Vec<_> = piece.attributes.iter().flat_map(|formats| formats.iter()).collect();
        formats.sort_by_key(|(name, _)| *name);
        for (key, value) in &formats {
            write!(output, "<{}", name(key))?;
            if let Any::Map(attributes) = value {
                let mut attributes: Vec<_> = attributes.iter().collect();
                attributes.sort_by_key(|(name, _)| *name);
                for (key, value) in attributes {
                    attribute(key, value, output)?;
                }
            }
            output.write_char('>')?;
        }
        node(&piece.insert, txn, output)?;
        for (key, _) in formats.iter().rev() {
            write!(output, "</{}>", name(key))?;
        }
    }
    Ok(())
}

fn attribute(key: &str, value: &Any, output: &mut Limited) -> fmt::Result {
    write!(output, " {}=\"", name(key))?;
    match value {
        Any::String(value) => escape(value, output)?,
        value => escape(&json::compact(value), output)?,
    }
    output.write_char('"')
}

/// Characters for element content and for attribute values in double quotes.
fn escape(text: &str, output: &mut Limited) -> fmt::Result {
    let mut rest = text;
    while let Some(at) = rest.find(|c: char| matches!(c, '&' | '<' | '>' | '"') || !is_allowed(c)) {
        let (plain, special) = rest.split_at(at);
        output.write_str(plain)?;
        let mut characters = special.chars();
        output.write_str(match characters.next() {
            Some('&') => "&amp;",
            Some('<') => "&lt;",
            Some('>') => "&gt;",
            Some('"') => "&quot;",
            _ => "\u{fffd}",
        })?;
        rest = characters.as_str();
    }
    output.write_str(rest)
}

/// The production `Char` of XML 1.0.
fn is_allowed(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r' | '\u{20}'..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..)
}

/// A name that XML takes: what it does not take becomes `_`.
fn name(name: &str) -> String {
    let keep = |c: char| is_name_start(c) || matches!(c, '-' | '.' | '0'..='9' | '\u{b7}');
    let mut kept: String = name.chars().map(|c| if keep(c) { c } else { '_' }).collect();
    if !kept.starts_with(is_name_start) {
        kept.insert(0, '_');
    }
    kept
}

/// The production `NameStartChar` of XML 1.0, without the planes beyond the first two.
fn is_name_start(c: char) -> bool {
    matches!(c,
        ':' | '_' | 'A'..='Z' | 'a'..='z'
        | '\u{c0}'..='\u{d6}' | '\u{d8}'..='\u{f6}' | '\u{f8}'..='\u{2ff}' | '\u{370}'..='\u{37d}'
        | '\u{37f}'..='\u{1fff}' | '\u{200c}'..='\u{200d}' | '\u{2070}'..='\u{218f}'
        | '\u{2c00}'..='\u{2fef}' | '\u{3001}'..='\u{d7ff}' | '\u{f900}'..='\u{fdcf}'
        | '\u{fdf0}'..='\u{fffd}' | '\u{10000}'..='\u{1ffff}')
}

#[cfg(test)]
mod tests {
    use super::{Limited, escape, name};

    #[test]
    fn characters_are_escaped() {
        let mut output = Limited::new(100);
        assert!(escape("a<b> & \"c\" \u{0}\u{1f600}", &mut output).is_ok());
        assert_eq!(output.into_bytes(), "a&lt;b&gt; &amp; &quot;c&quot; \u{fffd}\u{1f600}".as_bytes());
    }

    #[test]
    fn names_are_names() {
        assert_eq!(name("codeBlock"), "codeBlock");
        assert_eq!(name("link--a+b/c="), "link--a_b_c_");
        assert_eq!(name("1st"), "_1st");
        assert_eq!(name("img onerror"), "img_onerror");
        assert_eq!(name(""), "_");
    }
}
