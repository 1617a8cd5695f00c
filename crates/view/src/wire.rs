//! Frames between pool and worker, both made from the same source and run on the same machine.
//!
//! ```text
//! frame   = header length (u32, little-endian), body length (u32, little-endian), header (postcard), body
//! pool:     Setup, then any number of questions; the body of one is a v1 update, behind the JSON that it is held against
//! worker:   one Answer for each question; its body is UTF-8: the content, and a patch behind it
//! ```
//!
//! The pool trusts a worker with nothing: lengths are held to limits before a buffer is made, and an answer that
//! does not parse counts as the worker's death.

use std::io::{self, ErrorKind, Read, Write};

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

use crate::RootKind;

/// Room for the longest root name that is asked for, and for the longest reason.
const MAX_HEADER_BYTES: usize = 64 << 10;

/// The longest name of a root that can be asked for, in bytes.
pub(crate) const MAX_ROOT_BYTES: usize = 32 << 10;

/// Which part of a document, and as what.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum ContentRequest {
    /// All roots as one JSON object, by name.
    All,
    /// The root of this name as JSON, whatever it holds.
    Json(String),
    /// The root of this name, a text, as its characters.
    Text(String),
    /// The root of this name, an XML fragment, as XML.
    Xml(String),
}

impl ContentRequest {
    /// The root that is asked for, if it is one.
    pub fn root(&self) -> Option<&str> {
        match self {
            Self::All => None,
            Self::Json(root) | Self::Text(root) | Self::Xml(root) => Some(root),
        }
    }
}

/// What a worker is asked.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) enum Question {
    /// What does this document say?
    Content(ContentRequest),
    /// What does this document say, as JSON, and what leads there from the JSON of this many bytes?
    Change { before: u32 },
}

impl From<ContentRequest> for Question {
    fn from(request: ContentRequest) -> Self {
        Self::Content(request)
    }
}

/// The first frame to a worker.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Setup {
    /// Address space the worker may use for documents, in bytes.
    pub memory_bytes: u64,
    /// When the worker gives itself up, in milliseconds of one request. A little later than the pool would kill
    /// it: this is for the case that the pool's process is gone.
    pub give_up_millis: u64,
    /// Bytes of the largest update, with the JSON that it may be held against.
    pub max_question_bytes: u32,
    /// Bytes of the largest answer.
    pub max_answer_bytes: u32,
}

/// How a worker answers.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) enum Answer {
    /// The body is what was asked for.
    Content,
    /// The document says what it said.
    Unchanged,
    /// The body is the content, of this many bytes, and a patch.
    Patched {
        content: u32,
    },
    /// The body is the content; no patch is smaller.
    Replaced,
    Refused(Refusal),
}

/// Why a worker has no content to give.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) enum Refusal {
    UnknownRoot,
    WrongType { found: RootKind, asked: RootKind },
    Unreadable(String),
    AnswerTooLarge,
}

fn lengths(prefix: [u8; 8], max_body: usize) -> io::Result<(usize, usize)> {
    let prefix = u64::from_le_bytes(prefix);
    let (header, body) = (usize_of(prefix & u64::from(u32::MAX)), usize_of(prefix >> 32));
    if header > MAX_HEADER_BYTES || body > max_body {
        return Err(io::Error::new(ErrorKind::InvalidData, "a frame is larger than agreed"));
    }
    Ok((header, body))
}

fn usize_of(length: u64) -> usize {
    usize::try_from(length).unwrap_or(usize::MAX)
}

fn prefix_and_header(header: &impl Serialize, body: usize) -> io::Result<Vec<u8>> {
    let too_large = |_| io::Error::new(ErrorKind::InvalidInput, "a frame is too large to send");
    let header = postcard::to_stdvec(header).map_err(io::Error::other)?;
    let mut bytes = Vec::with_capacity(8 + header.len());
    bytes.extend(u32::try_from(header.len()).map_err(too_large)?.to_le_bytes());
    bytes.extend(u32::try_from(body).map_err(too_large)?.to_le_bytes());
    bytes.extend(header);
    Ok(bytes)
}

fn parse<H: DeserializeOwned>(header: &[u8]) -> io::Result<H> {
    match postcard::take_from_bytes(header) {
        Ok((header, [])) => Ok(header),
        Ok(_) | Err(_) => Err(io::Error::new(ErrorKind::InvalidData, "a frame's header does not parse")),
    }
}

/// Reads a frame, blocking. `None` when the other side has closed between two frames.
pub(crate) fn read<H: DeserializeOwned>(
    input: &mut impl Read,
    max_body: usize,
) -> io::Result<Option<(H, Vec<u8>)>> {
    let mut prefix = [0; 8];
    match input.read_exact(&mut prefix) {
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Ok(None),
        other => other?,
    }
    let (header, body) = lengths(prefix, max_body)?;
    let mut header = vec![0; header];
    input.read_exact(&mut header)?;
    let mut body = vec![0; body];
    input.read_exact(&mut body)?;
    Ok(Some((parse(&header)?, body)))
}

/// Writes a frame whose body is in pieces, blocking.
pub(crate) fn write(output: &mut impl Write, header: &impl Serialize, body: &[&[u8]]) -> io::Result<()> {
    output.write_all(&prefix_and_header(header, length(body))?)?;
    for piece in body {
        output.write_all(piece)?;
    }
    output.flush()
}

fn length(body: &[&[u8]]) -> usize {
    body.iter().map(|piece| piece.len()).sum()
}

/// Reads a frame. An end of the stream is an error. Not cancel safe: a frame may be half read.
pub(crate) async fn read_async<H: DeserializeOwned>(
    input: &mut (impl AsyncRead + Unpin),
    max_body: usize,
) -> io::Result<(H, Vec<u8>)> {
    let mut prefix = [0; 8];
    input.read_exact(&mut prefix).await?;
    let (header, body) = lengths(prefix, max_body)?;
    let mut header = vec![0; header];
    input.read_exact(&mut header).await?;
    let mut body = vec![0; body];
    input.read_exact(&mut body).await?;
    Ok((parse(&header)?, body))
}

/// Writes a frame whose body is in pieces. Not cancel safe: a frame may be half written.
pub(crate) async fn write_async(
    output: &mut (impl AsyncWrite + Unpin),
    header: &impl Serialize,
    body: &[&[u8]],
) -> io::Result<()> {
    output.write_all(&prefix_and_header(header, length(body))?).await?;
    for piece in body {
        output.write_all(piece).await?;
    }
    output.flush().await
}

#[cfg(test)]
mod tests {
    use super::{Answer, ContentRequest, MAX_HEADER_BYTES, Refusal, read, write};
    use crate::RootKind;

    #[test]
    fn frames_come_back() {
        let mut bytes = Vec::new();
        let request = ContentRequest::Text("a root".to_owned());
        let refused = Answer::Refused(Refusal::WrongType { found: RootKind::Map, asked: RootKind::Text });
        write(&mut bytes, &request, &[&[0], &[0]]).unwrap();
        write(&mut bytes, &refused, &[]).unwrap();
        let mut input = bytes.as_slice();
        assert_eq!(read(&mut input, 2).unwrap(), Some((request, vec![0, 0])));
        assert_eq!(read(&mut input, 2).unwrap(), Some((refused, vec![])));
        assert_eq!(read::<Answer>(&mut input, 2).unwrap(), None);
    }

    #[test]
    fn a_claimed_length_is_refused_before_it_is_backed() {
        let header = u32::try_from(MAX_HEADER_BYTES + 1).unwrap().to_le_bytes();
        for prefix in [[[0; 4], 3_u32.to_le_bytes()].concat(), [header, [0; 4]].concat()] {
            assert!(read::<Answer>(&mut prefix.as_slice(), 2).is_err());
        }
    }

    #[test]
    fn a_cut_frame_is_an_error() {
        let mut bytes = Vec::new();
        write(&mut bytes, &Answer::Content, &[b"text"]).unwrap();
        for end in 8..bytes.len() {
            assert!(read::<Answer>(&mut &bytes[..end], 4).is_err(), "cut at {end}");
        }
    }
}
