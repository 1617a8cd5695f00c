//! Every bound of the pool, reached.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking, in its helpers too"
)]

mod common;

use std::time::Duration;

use bytes::Bytes;
use common::{everyone_sets_the_same_key, map_with, pool};
use quire_view::{Content, ContentRequest, Pool, PoolConfig, ViewError};
use tokio::task::JoinSet;

fn number(n: u8) -> Bytes {
    assert!(n < 0x40, "one byte in this encoding");
    Bytes::from(map_with(&[0x7d, n]))
}

fn string_of(length: u8) -> Bytes {
    assert!(length < 0x80, "one byte in this encoding");
    let mut value = vec![0x77, length];
    value.extend(std::iter::repeat_n(b'x', usize::from(length)));
    Bytes::from(map_with(&value))
}

#[tokio::test]
async fn sixteen_at_once_get_their_own_answers() {
    let pool = pool(|_| ());
    let mut questions = JoinSet::new();
    for n in 0..16 {
        let pool = pool.clone();
        questions.spawn(async move { (n, pool.content(number(n), ContentRequest::All).await) });
    }
    while let Some(answered) = questions.join_next().await {
        let (n, answer) = answered.unwrap();
        assert_eq!(answer.unwrap(), Content::Json(format!(r#"{{"m":{{"k":{n}}}}}"#)));
    }
    let counts = pool.counts();
    assert_eq!((counts.answered, counts.busy), (16, 0));
    assert!((1..=2).contains(&counts.started), "{counts:?}");
}

#[tokio::test]
async fn a_full_queue_refuses_at_once() {
    let pool = pool(|config| {
        config.workers = 1;
        config.queue = 1;
    });
    let (first, second, third) = tokio::join!(
        pool.content(number(1), ContentRequest::All),
        pool.content(number(2), ContentRequest::All),
        pool.content(number(3), ContentRequest::All),
    );
    assert!(first.is_ok(), "{first:?}");
    assert!(second.is_ok(), "{second:?}");
    assert!(matches!(third, Err(ViewError::Busy)), "{third:?}");
    assert_eq!(pool.counts().busy, 1);
}

#[tokio::test]
async fn a_turn_that_does_not_come_in_time_is_refused() {
    let pool = pool(|config| {
        config.workers = 1;
        config.queue_wait = Duration::from_millis(50);
    });
    // The first has the only worker, for longer than anybody waits.
    tokio::select! {
        biased;
        first = pool.content(everyone_sets_the_same_key(200_000), ContentRequest::All) => panic!("{first:?}"),
        second = pool.content(number(2), ContentRequest::All) => {
            assert!(matches!(second, Err(ViewError::Busy)), "{second:?}");
        }
    }
}

#[tokio::test]
async fn a_document_may_have_so_many_bytes() {
    let size = number(1).len();
    let fits = pool(|config| config.max_document_bytes = size);
    assert!(fits.content(number(1), ContentRequest::All).await.is_ok());
    let small = pool(|config| config.max_document_bytes = size - 1);
    let answer = small.content(number(1), ContentRequest::All).await;
    assert!(
        matches!(answer, Err(ViewError::DocumentTooLarge { bytes, limit }) if (bytes, limit) == (size, size - 1))
    );
    assert_eq!(small.counts().started, 0);
}

#[tokio::test]
async fn an_answer_may_have_so_many_bytes() {
    let size = r#"{"m":{"k":""}}"#.len() + 100;
    let fits = pool(|config| config.max_answer_bytes = size);
    assert!(fits.content(string_of(100), ContentRequest::All).await.is_ok());
    let answer = fits.content(string_of(101), ContentRequest::All).await;
    assert!(matches!(answer, Err(ViewError::AnswerTooLarge { limit }) if limit == size), "{answer:?}");
    assert!(fits.content(string_of(100), ContentRequest::All).await.is_ok());
}

#[tokio::test]
async fn a_name_longer_than_any_frame_is_unknown() {
    let pool = pool(|_| ());
    let root = "r".repeat(32 << 10);
    let answer = pool.content(number(1), ContentRequest::Json(root.clone())).await;
    assert!(matches!(answer, Err(ViewError::UnknownRoot { .. })), "{answer:?}");
    let answer = pool.content(number(1), ContentRequest::Json(root + "r")).await;
    assert!(matches!(answer, Err(ViewError::UnknownRoot { .. })), "{answer:?}");
}

#[tokio::test]
async fn a_program_that_cannot_start_is_said_so() {
    let pool = Pool::new(PoolConfig::new("/nonexistent/quire", ["view-worker"]));
    let answer = pool.content(number(1), ContentRequest::All).await;
    assert!(matches!(answer, Err(ViewError::Start(_))), "{answer:?}");
}

#[tokio::test]
async fn a_program_that_is_no_worker_counts_as_dead() {
    let pool = Pool::new(PoolConfig::new("/bin/true", [""; 0]));
    let answer = pool.content(number(1), ContentRequest::All).await;
    assert!(matches!(answer, Err(ViewError::Died { .. } | ViewError::Start(_))), "{answer:?}");
}
