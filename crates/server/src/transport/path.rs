//! Which document a path names.
//!
//! There is one rule: what remains of the path is percent-decoded once. Slashes, dots and empty parts are literal, so
//! every name has exactly one decoded form and no two forms are taken for the same.

use percent_encoding::percent_decode_str;
use quire_sync_protocol::DocId;

use crate::http::ApiError;

/// First parts of a path that are no documents at `/{doc}`, since they are, or will be, paths of the server itself. Documents of
/// these names are reached at `/ws/{doc}`.
const RESERVED: [&str; 9] =
    ["assets", "check_store", "d", "doc", "healthz", "metrics", "ready", "readyz", "v1"];

/// The document that a WebSocket at this path is for.
pub(super) fn websocket_document(path: &str) -> Result<DocId, ApiError> {
    let name = path.strip_prefix('/').unwrap_or(path);
    let first = name.split('/').next().unwrap_or(name);
    match first {
        "" if name.is_empty() => Err(ApiError::NotADocument(
            "the path names no document; editors connect at /ws/NAME or /NAME, and the Hocuspocus protocol is not served",
        )),
        "hocuspocus" => Err(ApiError::NotADocument(
            "the Hocuspocus protocol is not served; documents whose names begin so are at /ws/NAME",
        )),
        "ws" => document(name.strip_prefix("ws/").unwrap_or("")),
        reserved if RESERVED.contains(&reserved) => Err(ApiError::NotADocument(
            "this path belongs to the server; a document whose name begins so is reached at /ws/NAME",
        )),
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
    parts.all(|part| part.as_bytes().first_chunk::<2>().is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit)))
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
        for path in ["/", "", "/hocuspocus", "/v1/docs/a", "/v1", "/doc/x", "/d/x/ws/y", "/healthz", "/metrics", "/ready"] {
            assert!(matches!(name(path), Err(ApiError::NotADocument(_))), "{path}");
            if path.len() > 1 {
                assert_eq!(name(&format!("/ws{path}")).as_deref(), Ok(&path[1..]));
            }
        }
        assert_eq!(name("/wsx").as_deref(), Ok("wsx"));
        assert_eq!(name("/documents").as_deref(), Ok("documents"));
        assert_eq!(name("/%64").as_deref(), Ok("d"));
    }
}
