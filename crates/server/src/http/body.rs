//! Bodies of requests.

use std::pin::pin;

use bytes::{Buf, Bytes, BytesMut};
use futures_util::stream::BoxStream;
use futures_util::{Stream, StreamExt as _};

use super::ApiError;

/// The body of a request, which has not been read.
pub(super) struct Incoming(BoxStream<'static, Result<Bytes, warp::Error>>);

impl Incoming {
    pub(super) fn new<B: Buf>(stream: impl Stream<Item = Result<B, warp::Error>> + Send + 'static) -> Self {
        Self(stream.map(|part| part.map(|mut part| part.copy_to_bytes(part.remaining()))).boxed())
    }

    /// Reads all of it. What is larger than `limit` is refused before more of it is read.
    pub(super) async fn collect(self, limit: usize) -> Result<Bytes, ApiError> {
        let mut parts = pin!(self.0);
        let mut body = BytesMut::new();
        while let Some(part) = parts.next().await {
            let part = part.map_err(|error| ApiError::BadBody(error.to_string()))?;
            if body.len() + part.len() > limit {
                return Err(ApiError::TooLarge(format!("the body is larger than the {limit} bytes allowed")));
            }
            body.extend_from_slice(&part);
        }
        Ok(body.freeze())
    }
}

#[cfg(test)]
mod tests {
    use futures_util::stream;

    use super::*;

    #[tokio::test]
    async fn a_body_is_read_up_to_its_limit() {
        let body = || Incoming::new(stream::iter(["ab", "c"].map(|part| Ok(Bytes::from(part)))));
        assert_eq!(body().collect(3).await.unwrap(), "abc");
        assert!(matches!(body().collect(2).await, Err(ApiError::TooLarge(_))));
    }
}
