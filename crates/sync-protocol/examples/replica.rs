//! A document as the bytes its clients wrote: what was new in an update, and what somebody lacks. Run with
//! `cargo run --example replica`.

#![allow(clippy::print_stdout, reason = "an example says what it does")]

use bytes::Bytes;
use quire_sync_protocol::{Replica, StateVector, Update, UpdateError};

fn main() -> Result<(), UpdateError> {
    // Client 7 types "a" into the text "t", as a Yjs editor encodes it.
    let bytes = Bytes::from_static(&[1, 1, 7, 0, 4, 1, 1, b't', 1, b'a', 0]);
    let their_state_vector = StateVector::default();

    let mut replica = Replica::new();
    let update = Update::parse(bytes)?;
    let news = replica.insert(&update).delta;
    let answer = replica.diff(&their_state_vector);

    assert_eq!(news.as_ref(), Some(&update));
    assert_eq!(answer, update);
    assert!(replica.insert(&update).delta.is_none());
    println!("{} bytes were new, and somebody who has nothing lacks as many", answer.bytes().len());
    Ok(())
}
