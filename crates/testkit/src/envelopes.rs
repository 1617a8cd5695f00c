//! What comes from a channel that anybody may write to who has the password.

use bytes::Bytes;
use quire_relay::envelope::{self, MAX_BYTES, Opened};

/// An envelope is refused, or left to later releases, or it holds a message which takes memory in proportion to the bytes; that
/// message comes back when it is sealed again, also with more behind it, and no part of it passes for a message of another kind.
pub fn envelope(data: &[u8]) {
    let Ok(Opened::Message(from, message)) = envelope::open(&Bytes::copy_from_slice(data)) else { return };
    assert!(message.weight() <= 64 * data.len() + 256, "{} bytes weigh {}", data.len(), message.weight());
    let sealed = envelope::seal(from, &message).expect("it was in an envelope before");
    let [sealed] = &*sealed else { panic!("it was in one envelope before") };
    // Lengths may have been padded, and more may have followed.
    assert!(sealed.len() <= data.len() && sealed.len() <= MAX_BYTES);
    assert_eq!(envelope::open(sealed), Ok(Opened::Message(from, message.clone())));
    let longer: Bytes = [sealed, &data[..data.len().min(9)]].concat().into();
    assert_eq!(envelope::open(&longer), Ok(Opened::Message(from, message.clone())));
    for length in 0..sealed.len().min(64) {
        match envelope::open(&sealed.slice(..length)) {
            Err(_) => {}
            Ok(opened) => panic!("{message:?}, cut at {length}, passes for {opened:?}"),
        }
    }
}
