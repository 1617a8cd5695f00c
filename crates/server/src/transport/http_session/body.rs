//! Reading the body of a request, with bounds.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt as _;
use hyper::body::{Body, Incoming};
use tokio::time::timeout;

use crate::http::ApiError;

/// The time in which some of a body has to come.
const CHUNK_WAIT: Duration = Duration::from_secs(20);

/// The whole body, if it has at most this many bytes.
pub(super) async fn read(mut body: Incoming, limit: usize) -> Result<Bytes, ApiError> {
    let too_large = || ApiError::TooLarge(format!("the body is larger than {limit} bytes"));
    if body.size_hint().lower() > limit as u64 {
        return Err(too_large());
    }
    let mut all = BytesMut::new();
    let mut first: Option<Bytes> = None;
    loop {
        let frame = timeout(CHUNK_WAIT, body.frame()).await.map_err(|_| ApiError::LateBody)?;
        // An error means that the client went away: nobody hears the answer.
        let Some(frame) = frame.transpose().map_err(|_| ApiError::LateBody)? else { break };
        let Ok(data) = frame.into_data() else { continue };
        if all.len() + first.as_ref().map_or(0, Bytes::len) + data.len() > limit {
            return Err(too_large());
        }
        // Most bodies come in one piece, which needs no copy.
        match (first.take(), all.is_empty()) {
            (None, true) => first = Some(data),
            (before, _) => {
                all.extend_from_slice(&before.unwrap_or_default());
                all.extend_from_slice(&data);
            }
        }
    }
    Ok(first.unwrap_or_else(|| all.freeze()))
}
