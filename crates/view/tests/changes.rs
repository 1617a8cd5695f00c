//! What a worker says of a change: the new content, and the patch that leads to it.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking, in its helpers too"
)]

mod common;

use std::time::Duration;

use bytes::Bytes;
use common::{everyone_sets_the_same_key, pool};
use quire_view::{Change, ViewError};
use yrs::{Doc, Map as _, ReadTxn as _, StateVector, Text as _, Transact as _};

fn update(doc: &Doc) -> Bytes {
    doc.transact().encode_state_as_update_v1(&StateVector::default()).into()
}

#[tokio::test]
async fn a_change_is_the_content_and_what_leads_to_it() {
    let (pool, doc) = (pool(|_| ()), Doc::with_client_id(1));
    let (map, text) = (doc.get_or_insert_map("map"), doc.get_or_insert_text("text"));
    text.push(&mut doc.transact_mut(), &"long ".repeat(50));
    let first = pool.change(update(&doc), Bytes::new()).await.unwrap();
    let Change::Whole { content: before } = first else { panic!("{first:?}") };
    assert_eq!(pool.change(update(&doc), before.clone()).await.unwrap(), Change::None);
    map.insert(&mut doc.transact_mut(), "key", 5);
    let second = pool.change(update(&doc), before).await.unwrap();
    let Change::Patch { content, patch } = second else { panic!("{second:?}") };
    assert_eq!(&patch[..], br#"[{"op":"add","path":"/map","value":{"key":5}}]"#);
    assert!(content.starts_with(br#"{"map":{"key":5},"text":"long "#), "{content:?}");
}

#[tokio::test]
async fn a_worker_that_is_late_costs_one_change() {
    let pool = pool(|config| config.timeout = Duration::from_secs(1));
    let late = pool.change(everyone_sets_the_same_key(200_000), Bytes::new()).await;
    assert!(matches!(late, Err(ViewError::Late { .. })), "{late:?}");
    let doc = Doc::with_client_id(1);
    assert_eq!(pool.change(update(&doc), Bytes::from_static(b"{}")).await.unwrap(), Change::None);
}

#[tokio::test]
async fn what_is_no_answer_of_a_worker_is_replaced() {
    let (pool, doc) = (pool(|_| ()), Doc::with_client_id(1));
    let change = pool.change(update(&doc), Bytes::from_static(b"\xff[")).await.unwrap();
    assert_eq!(change, Change::Whole { content: Bytes::from_static(b"{}") });
    let large = Bytes::from(vec![b' '; (16 << 20) + 1]);
    assert!(matches!(pool.change(update(&doc), large).await, Err(ViewError::AnswerTooLarge { .. })));
}
