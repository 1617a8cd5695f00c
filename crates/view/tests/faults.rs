//! Whatever a document does to a worker costs one answer, and the next question is answered.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking, in its helpers too"
)]

mod common;

use std::time::{Duration, Instant};

use bytes::Bytes;
use common::{everyone_sets_the_same_key, map_with, pool, varint};
use quire_view::{ContentRequest, Pool, ViewError};
use yrs::{Any, Doc, ReadTxn as _, StateVector, Text as _, Transact as _, types::Attrs};

async fn assert_still_answers(pool: &Pool) {
    let update = Bytes::from(map_with(&[0x7d, 9]));
    let content = pool.content(update, ContentRequest::All).await.unwrap();
    assert_eq!(content.as_str(), r#"{"m":{"k":9}}"#);
}

/// A text of `runs` characters under `formats` formats; yrs copies the formats for every run.
fn heavily_formatted(runs: u32, formats: u32) -> Bytes {
    let doc = Doc::with_client_id(1);
    let text = doc.get_or_insert_text("t");
    let mut txn = doc.transact_mut();
    text.push(&mut txn, &"x".repeat(runs as usize));
    let all = (0..formats).map(|n| (format!("format-{n}").into(), Any::from(true))).collect::<Attrs>();
    text.format(&mut txn, 0, runs, all);
    for at in (0..runs).step_by(2) {
        text.format(&mut txn, at, 1, Attrs::from([("odd".into(), true.into())]));
    }
    Bytes::from(txn.encode_state_as_update_v1(&StateVector::default()))
}

#[tokio::test]
async fn a_worker_that_does_not_end_is_killed() {
    let pool = pool(|config| config.timeout = Duration::from_secs(1));
    let update = everyone_sets_the_same_key(200_000);
    let started = Instant::now();
    let answer = pool.content(update, ContentRequest::All).await;
    assert!(
        matches!(answer, Err(ViewError::Late { .. })),
        "{:?}",
        answer.map(|content| content.as_str().len())
    );
    assert!(started.elapsed() < Duration::from_secs(10), "{:?}", started.elapsed());
    assert_eq!(pool.counts().late, 1);
    assert_still_answers(&pool).await;
    assert_eq!(pool.counts().started, 2);
}

#[tokio::test]
async fn a_stack_overflow_costs_one_answer() {
    let pool = pool(|_| ());
    // 4 million lists, each in the one before.
    let mut value = [0x75, 1].repeat(4_000_000);
    value.push(0x7e);
    let answer = pool.content(Bytes::from(map_with(&value)), ContentRequest::All).await;
    assert!(matches!(answer, Err(ViewError::Died { .. })), "{answer:?}");
    assert_eq!(pool.counts().died, 1);
    assert_still_answers(&pool).await;
}

#[tokio::test]
async fn values_of_the_allowed_depth_are_shown() {
    let pool = pool(|_| ());
    let mut value = [0x75, 1].repeat(1_000);
    value.push(0x7e);
    let content = pool.content(Bytes::from(map_with(&value)), ContentRequest::All).await.unwrap();
    assert_eq!(
        content.as_str(),
        format!(r#"{{"m":{{"k":{}null{}}}}}"#, "[".repeat(1_000), "]".repeat(1_000))
    );
}

#[tokio::test]
async fn a_worker_out_of_memory_costs_one_answer() {
    let pool = pool(|config| config.memory_bytes = 16 << 20);
    let update = heavily_formatted(4_000, 2_000);
    assert!(update.len() < 1 << 20, "{} bytes", update.len());
    let answer = pool.content(update, ContentRequest::All).await;
    assert!(matches!(answer, Err(ViewError::Died { .. })), "{answer:?}");
    assert_still_answers(&pool).await;
}

/// yrs reserves what a count claims. Within the limit that is an error it can answer with.
#[tokio::test]
async fn a_claimed_size_is_refused() {
    let pool = pool(|_| ());
    let value = [0x75, 0xff, 0xff, 0xff, 0xff, 0x0f];
    let answer = pool.content(Bytes::from(map_with(&value)), ContentRequest::All).await;
    assert!(matches!(answer, Err(ViewError::Unreadable { .. })), "{answer:?}");
    assert_still_answers(&pool).await;
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_worker_that_was_killed_while_idle_costs_nothing() {
    let pool = pool(|config| config.workers = 1);
    assert_still_answers(&pool).await;
    let workers = children();
    let [worker] = workers.as_slice() else { panic!("one worker, not {workers:?}") };
    kill(worker);
    wait_until("the worker is gone", || children().is_empty()).await;
    assert_still_answers(&pool).await;
    let counts = pool.counts();
    assert_eq!((counts.started, counts.died), (2, 0));
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn idle_workers_end() {
    let pool = pool(|config| config.idle = Duration::from_millis(100));
    assert_still_answers(&pool).await;
    wait_until("the idle worker is gone", || children().is_empty()).await;
    assert_still_answers(&pool).await;
    assert_eq!(pool.counts().started, 2);
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_dropped_question_takes_its_worker_along() {
    let pool = pool(|config| config.workers = 1);
    let asking = tokio::spawn({
        let pool = pool.clone();
        async move { pool.content(everyone_sets_the_same_key(200_000), ContentRequest::All).await }
    });
    wait_until("the worker runs", || !children().is_empty()).await;
    asking.abort();
    wait_until("the worker is gone", || children().is_empty()).await;
    assert_still_answers(&pool).await;
}

/// The pool's process was killed in the middle of a question: nobody is left to kill the worker.
#[test]
fn an_orphan_gives_up_by_itself() {
    use std::{io::Write as _, process::Stdio};

    let mut setup = Vec::new();
    // Bytes of memory, milliseconds of one request, bytes of a document, bytes of an answer.
    for field in [1 << 30, 300, 64 << 20, 1 << 20] {
        varint(field, &mut setup);
    }
    let update = everyone_sets_the_same_key(200_000);
    let all = [0];
    let mut worker = std::process::Command::new(env!("CARGO_BIN_EXE_quire-view-worker"))
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let mut input = worker.stdin.take().unwrap();
    for (header, body) in [(setup.as_slice(), [].as_slice()), (all.as_slice(), &update)] {
        for length in [header.len(), body.len()] {
            input.write_all(&u32::try_from(length).unwrap().to_le_bytes()).unwrap();
        }
        input.write_all(header).unwrap();
        input.write_all(body).unwrap();
    }
    drop(input);
    let deadline = Instant::now() + Duration::from_secs(30);
    let status = loop {
        if let Some(status) = worker.try_wait().unwrap() {
            break status;
        }
        if Instant::now() > deadline {
            worker.kill().unwrap();
            worker.wait().unwrap();
            panic!("the worker ran on");
        }
        std::thread::sleep(Duration::from_millis(5));
    };
    assert!(!status.success(), "the question takes longer than that, so it cannot have been answered");
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn workers_end_with_their_pool() {
    let pool = pool(|_| ());
    assert_still_answers(&pool).await;
    assert_eq!(children().len(), 1);
    drop(pool);
    wait_until("the worker is gone", || children().is_empty()).await;
}

/// The processes that this test's own thread has started (the runtime of a test has no other thread) and that can
/// not yet be waited for: those with a thread left that runs.
#[cfg(target_os = "linux")]
fn children() -> Vec<String> {
    let children = std::fs::read_to_string("/proc/thread-self/children").unwrap();
    let is_running = |pid: &&str| {
        let Ok(threads) = std::fs::read_dir(format!("/proc/{pid}/task")) else { return false };
        threads.flatten().any(|thread| {
            let stat = std::fs::read_to_string(thread.path().join("stat")).unwrap_or_default();
            stat.rsplit(") ").next().is_some_and(|state| !state.is_empty() && !state.starts_with(['Z', 'X']))
        })
    };
    children.split_whitespace().filter(is_running).map(str::to_owned).collect()
}

#[cfg(target_os = "linux")]
fn kill(pid: &str) {
    assert!(std::process::Command::new("kill").args(["-KILL", pid]).status().unwrap().success());
}

#[cfg(target_os = "linux")]
async fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !condition() {
        assert!(Instant::now() < deadline, "waited 30 s until {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
