//! Bodies of requests.

use bytes::{Buf, Bytes, BytesMut};
use futures_util::{Stream, StreamExt as _};

use super::ApiError;

/// Reads a body to its end, if it is not larger than this.
pub(super) async fn read<B: Buf>(
    body: impl Stream<Item = Result<B, warp::Error>>,
    limit: usize,
) -> Result<Bytes, ApiError> {
    let mut whole = BytesMut::new();
    let mut body = std::pin::pin!(body);
    while let Some(part) = body.next().await {
        let mut part = part.map_err(|_| ApiError::BadBody("the body ends early".to_owned()))?;
        if part.remaining() > limit - whole.len() {
            return Err(ApiError::TooLarge(format!("the body has more than the {limit} bytes allowed")));
        }
        whole.extend_from_slice(&part.copy_to_bytes(part.remaining()));
    }
    Ok(whole.freeze())
}

#[cfg(test)]
mod tests {
    use futures_util::stream;

    use super::*;

    #[tokio::test]
    async fn a_body_is_read_up_to_the_limit() {
        let parts = || stream::iter(["ab", "c", ""].map(|part| Ok(Bytes::from(part))));
        assert_eq!(read(parts(), 3).await.unwrap(), "abc");
        assert!(matches!(read(parts(), 2).await, Err(ApiError::TooLarge(_))));
        assert_eq!(read(stream::empty::<Result<Bytes, _>>(), 0).await.unwrap(), "");
    }
}
