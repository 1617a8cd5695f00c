//! Which document a path names.
//!
//! There is one rule: what remains of the path is percent-decoded once. Slashes, dots and empty parts are literal, so
//! every name has exactly one decoded form and no two forms are taken for the same.

use percent_encoding::percent_decode_str;
use quire_sync_protocol::{Dialect, DocId};

use crate::http::ApiError;

/// What a WebSocket is for.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Target {
    /// One document, in this dialect.
    Document(DocId, Dialect),
    /// Documents that are named in the frames, in the Hocuspocus dialect.
    Hocuspocus,
}

/// What a WebSocket at this path is for.
///
/// At `/{doc}` every name goes that is not another endpoint for WebSockets: `doc`, `metrics` and `v1/x` are documents as good as
/// any.
pub(super) fn websocket_target(path: &str) -> Result<Target, ApiError> {
    let name = path.strip_prefix('/').unwrap_or(path);
    let parts: Vec<_> = name.splitn(4, '/').collect();
    Ok(match parts.as_slice() {
        // Providers take slashes off the end of an address.
        ["" | "hocuspocus"] | ["hocuspocus", ""] => Target::Hocuspocus,
        ["doc", "ws", ..] => {
            Target::Document(document(name.strip_prefix("doc/ws/").unwrap_or(""))?, Dialect::YSweet)
        }
        ["d", encoded, "ws", rest @ ..] => {
            let doc = document(encoded)?;
            match rest {
                // The client writes the name behind the address it was given, and escapes less.
                [again] if *again == doc.as_str() || document(again).as_ref() == Ok(&doc) => {}
                _ => return Err(ApiError::TwoNames),
            }
            Target::Document(doc, Dialect::YSweet)
        }
        ["ws", ..] => {
            Target::Document(document(name.strip_prefix("ws/").unwrap_or(""))?, Dialect::YWebsocket)
        }
        _ => Target::Document(document(name)?, Dialect::YWebsocket),
    })
}

/// The document of this name, which is percent-encoded.
pub(crate) fn document(encoded: &str) -> Result<DocId, ApiError> {
    if !escapes_are_whole(encoded) {
        return Err(ApiError::BadEscape);
    }
    let name = percent_decode_str(encoded).decode_utf8().map_err(|_| ApiError::NotUtf8)?;
    DocId::new(&name).map_err(ApiError::BadName)
}

/// Whether two hexadecimal digits follow every `%`.
fn escapes_are_whole(encoded: &str) -> bool {
    let mut parts = encoded.split('%');
    let _before_the_first = parts.next();
    parts.all(|part| {
        part.as_bytes().first_chunk::<2>().is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(path: &str) -> Result<String, ApiError> {
        match websocket_target(path)? {
            Target::Document(doc, Dialect::YWebsocket) => Ok(doc.as_str().to_owned()),
            other => panic!("{path}: {other:?}"),
        }
    }

    #[test]
    fn names_are_decoded_once_and_otherwise_literal() {
        for (rest, expected) in [
            ("a/b", "a/b"),
            ("a%2Fb", "a/b"),
            ("a%252Fb", "a%2Fb"),
            ("%2541", "%41"),
            ("a%20b", "a b"),
            ("a+b", "a+b"),
            ("r%C3%A4um-%E2%98%82", "r\u{e4}um-\u{2602}"),
            ("r\u{e4}um", "r\u{e4}um"),
            ("a%3Fx", "a?x"),
            (".", "."),
            ("..", ".."),
            ("%2e%2E", ".."),
            ("a//b", "a//b"),
            ("a/", "a/"),
            ("a/../b", "a/../b"),
            ("A", "A"),
        ] {
            assert_eq!(name(&format!("/{rest}")).as_deref(), Ok(expected), "{rest}");
            assert_eq!(name(&format!("/ws/{rest}")).as_deref(), Ok(expected), "{rest}");
        }
        assert_eq!(name("//a").as_deref(), Ok("/a"));
        assert_eq!(name("/ws//a").as_deref(), Ok("/a"));
    }

    #[test]
    fn faulty_names_are_refused_with_the_reason() {
        for rest in ["%zz", "%", "a%2", "%%41", "%+1", "a%\u{e4}"] {
            assert_eq!(name(&format!("/ws/{rest}")), Err(ApiError::BadEscape), "{rest}");
        }
        assert_eq!(name("/ws/%ff"), Err(ApiError::NotUtf8));
        for path in ["/ws", "/ws/", "/ws/%00", "/%0a", &format!("/{}", "x".repeat(256))] {
            assert!(matches!(name(path), Err(ApiError::BadName(_))), "{path}");
        }
    }

    #[test]
    fn other_dialects_have_paths_of_their_own() {
        for path in ["/", "", "/hocuspocus", "/hocuspocus/"] {
            assert_eq!(websocket_target(path), Ok(Target::Hocuspocus), "{path}");
        }
        for (path, name) in [
            ("/doc/ws/x", "x"),
            ("/doc/ws/a/b%20c", "a/b c"),
            ("/d/x/ws/x", "x"),
            ("/d/a%2Fb%20c/ws/a/b%20c", "a/b c"),
            ("/d/%2541/ws/%41", "%41"),
            ("/d/r%C3%A4um/ws/r%C3%A4um", "r\u{e4}um"),
        ] {
            let target = Target::Document(DocId::new(name).unwrap(), Dialect::YSweet);
            assert_eq!(websocket_target(path), Ok(target), "{path}");
        }
        for path in ["/d/x/ws", "/d/x/ws/y", "/d/x/ws/"] {
            assert_eq!(websocket_target(path), Err(ApiError::TwoNames), "{path}");
        }
        for path in ["/doc/ws", "/doc/ws/", "/d//ws/x"] {
            assert!(matches!(websocket_target(path), Err(ApiError::BadName(_))), "{path}");
        }
        for path in ["/hocuspocus", "/doc/ws/x", "/d/x/ws/x", "/d/x/ws"] {
            assert_eq!(name(&format!("/ws{path}")).as_deref(), Ok(&path[1..]));
        }
        for other in
            ["wsx", "doc", "doc/x", "d", "d/x", "v1/docs/a", "healthz", "metrics", "hocuspocus/x", "assets/x"]
        {
            assert_eq!(name(&format!("/{other}")).as_deref(), Ok(other));
        }
    }
}
