//! Which document a path names.
//!
//! There is one rule: what remains of the path is percent-decoded once. Slashes, dots and empty parts are literal, so
//! every name has exactly one decoded form and no two forms are taken for the same.

use percent_encoding::percent_decode_str;
use quire_sync_protocol::DocId;

use crate::http::ApiError;

/// The document that a WebSocket at this path is for.
///
/// At `/{doc}` every name goes that is not, or will not be, another endpoint for WebSockets: `doc`, `metrics` and `v1/x`
/// are documents as good as any.
pub(super) fn websocket_document(path: &str) -> Result<DocId, ApiError> {
    let name = path.strip_prefix('/').unwrap_or(path);
    let parts: Vec<_> = name.splitn(4, '/').collect();
    match parts.as_slice() {
        [""] => Err(ApiError::NotADocument(
            "the path names no document; editors connect at /ws/NAME or /NAME, and the Hocuspocus protocol is not served",
        )),
        ["hocuspocus"] => Err(ApiError::NotADocument(
            "the Hocuspocus protocol is not served; a document of this name is at /ws/hocuspocus",
        )),
        ["doc", "ws", ..] | ["d", _, "ws", ..] => Err(ApiError::NotADocument(
            "the y-sweet protocol is not served; a document of this name is reached at /ws/NAME",
        )),
        ["ws", ..] => document(name.strip_prefix("ws/").unwrap_or("")),
        _ => document(name),
    }
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
        websocket_document(path).map(|doc| doc.as_str().to_owned())
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
    fn paths_of_the_server_are_no_documents() {
        for path in ["/", "", "/hocuspocus", "/doc/ws/x", "/d/x/ws/x", "/d/x/ws"] {
            assert!(matches!(name(path), Err(ApiError::NotADocument(_))), "{path}");
            if path.len() > 1 {
                assert_eq!(name(&format!("/ws{path}")).as_deref(), Ok(&path[1..]));
            }
        }
        for other in
            ["wsx", "doc", "doc/x", "d", "d/x", "v1/docs/a", "healthz", "metrics", "hocuspocus/x", "assets/x"]
        {
            assert_eq!(name(&format!("/{other}")).as_deref(), Ok(other));
        }
    }
}
