//! What a JSON text is made of, one level at a time.
//!
//! Texts are taken apart where they stand and nothing is decoded: numbers keep every digit, strings their escapes, and depth
//! costs no stack. Only for texts that were written by [`crate::json`]: without spaces, each key once.

/// A value, by its first byte.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Value<'a> {
    /// Its elements.
    Array(Vec<&'a str>),
    /// Its entries. Keys are as they are written, without the quotes.
    Object(Vec<(&'a str, &'a str)>),
    /// A string, a number, `true`, `false` or `null`.
    Plain,
}

/// The text is none of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Malformed;

impl<'a> Value<'a> {
    /// Takes one value apart.
    pub(super) fn of(text: &'a str) -> Result<Self, Malformed> {
        match text.as_bytes().first() {
            Some(b'[') => Ok(Self::Array(parts(text, b']', value_end)?)),
            Some(b'{') => {
                let members = parts(text, b'}', member_end)?;
                Ok(Self::Object(members.into_iter().map(entry).collect::<Result<_, _>>()?))
            }
            Some(_) => Ok(Self::Plain),
            None => Err(Malformed),
        }
    }
}

type End = fn(&[u8], usize) -> Result<usize, Malformed>;

/// What stands between the brackets, at the commas.
fn parts(text: &str, close: u8, end: End) -> Result<Vec<&str>, Malformed> {
    let bytes = text.as_bytes();
    let mut parts = Vec::new();
    let mut at = 1;
    if bytes.get(at) == Some(&close) {
        return if bytes.len() == 2 { Ok(parts) } else { Err(Malformed) };
    }
    loop {
        let next = end(bytes, at)?;
        parts.push(text.get(at..next).ok_or(Malformed)?);
        match bytes.get(next) {
            Some(b',') => at = next + 1,
            Some(byte) if *byte == close && next + 1 == bytes.len() => return Ok(parts),
            Some(_) | None => return Err(Malformed),
        }
    }
}

fn entry(member: &str) -> Result<(&str, &str), Malformed> {
    let key = string_end(member.as_bytes(), 0)?;
    Ok((member.get(1..key - 1).ok_or(Malformed)?, member.get(key + 1..).ok_or(Malformed)?))
}

fn member_end(bytes: &[u8], at: usize) -> Result<usize, Malformed> {
    let key = string_end(bytes, at)?;
    if bytes.get(key) == Some(&b':') { value_end(bytes, key + 1) } else { Err(Malformed) }
}

/// Where the value ends that begins here.
fn value_end(bytes: &[u8], mut at: usize) -> Result<usize, Malformed> {
    let start = at;
    let mut depth = 0_usize;
    loop {
        match bytes.get(at).ok_or(Malformed)? {
            b'"' => {
                at = string_end(bytes, at)?;
                if depth == 0 {
                    return Ok(at);
                }
            }
            b'[' | b'{' => {
                depth += 1;
                at += 1;
            }
            b']' | b'}' if depth > 0 => {
                depth -= 1;
                at += 1;
                if depth == 0 {
                    return Ok(at);
                }
            }
            // A number or a word ends where its list does.
            b']' | b'}' | b',' if depth == 0 => return if at > start { Ok(at) } else { Err(Malformed) },
            _ => {
                at += 1;
                if depth == 0 && at == bytes.len() {
                    return Ok(at);
                }
            }
        }
    }
}

/// Where the string ends that begins here, its quotes included.
fn string_end(bytes: &[u8], at: usize) -> Result<usize, Malformed> {
    if bytes.get(at) != Some(&b'"') {
        return Err(Malformed);
    }
    let mut at = at + 1;
    loop {
        match bytes.get(at).ok_or(Malformed)? {
            b'"' => return Ok(at + 1),
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Malformed, Value};

    #[test]
    fn one_level_is_taken_apart() {
        assert_eq!(Value::of("[]"), Ok(Value::Array(vec![])));
        assert_eq!(Value::of("{}"), Ok(Value::Object(vec![])));
        assert_eq!(
            Value::of(r#"[1,"a,]\"\\",[2,[]],{"b":"}"},-1.5e+300,null]"#),
            Ok(Value::Array(vec!["1", r#""a,]\"\\""#, "[2,[]]", r#"{"b":"}"}"#, "-1.5e+300", "null"]))
        );
        assert_eq!(
            Value::of(r#"{"":0,"a\"b":[1],"c":"d"}"#),
            Ok(Value::Object(vec![("", "0"), (r#"a\"b"#, "[1]"), ("c", r#""d""#)]))
        );
        assert_eq!(Value::of("\"[\""), Ok(Value::Plain));
    }

    #[test]
    fn what_is_cut_is_found_out() {
        let whole = r#"{"a":[1,{"b":"c"}],"d":2}"#;
        for end in 0..whole.len() {
            assert_eq!(Value::of(&whole[..end]), Err(Malformed), "cut at {end}");
        }
        for wrong in ["[1]2]", "[]]", "[,]", "{\"a\"}", "{1:2}", "[1}"] {
            assert_eq!(Value::of(wrong), Err(Malformed), "{wrong}");
        }
    }
}
