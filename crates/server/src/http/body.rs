//! Bodies of requests.

use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use futures_util::{Stream, StreamExt as _};
use tokio::time::timeout;

use super::ApiError;

/// How long nothing of a body may come.
const SILENCE: Duration = Duration::from_secs(10);

/// Reads a body to its end, if it is not larger than this.
pub(super) async fn read<B: Buf>(
    body: impl Stream<Item = Result<B, warp::Error>>,
    limit: usize,
) -> Result<Bytes, ApiError> {
    let mut whole = BytesMut::new();
    let mut body = std::pin::pin!(body);
    while let Some(part) = timeout(SILENCE, body.next()).await.map_err(|_| ApiError::SlowBody)? {
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

    #[tokio::test(start_paused = true)]
    async fn a_body_that_does_not_come_is_not_waited_for() {
        let parts = stream::once(async { Ok(Bytes::from("a")) }).chain(stream::pending());
        assert_eq!(read(parts, 10).await, Err(ApiError::SlowBody));
    }
}
