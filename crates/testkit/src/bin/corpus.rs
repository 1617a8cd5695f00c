//! Keeps the inputs of the fuzz targets.
//!
//! `corpus seeds FOLDER` writes a first input for each target from the recordings, in a folder of its name; `corpus updates
//! [FOLDER]` prints what becomes of every update that is taken out of the inputs in a folder (those kept here, if none is
//! named), in hexadecimal, for other readers: as it is handed on to others, and as the replica encodes it.

#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a tool for developers, which prints and may fail"
)]

use std::fs;
use std::path::Path;
use std::process::ExitCode;

use quire_relay::{Message, envelope};
use quire_sync_protocol::wire::items;
use quire_sync_protocol::wire::varint::write_var_bytes;
use quire_sync_protocol::{ClientId, NodeId, PresenceEntry, Replica, Update};
use quire_testkit::{corpus, vectors};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        ["seeds", folder] => seeds(Path::new(folder)),
        ["updates"] => updates(&corpus::folder("updates")),
        ["updates", folder] => updates(Path::new(folder)),
        _ => {
            println!("corpus seeds FOLDER | corpus updates [FOLDER]");
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

fn seeds(folder: &Path) {
    let mut histories = Vec::new();
    for history in vectors::histories() {
        for updates in history.updates.chunks(8) {
            let mut input = Vec::new();
            for update in updates {
                write_var_bytes(&mut input, update.bytes());
            }
            histories.push(input);
        }
    }
    write(&folder.join("frames"), &vectors::frames());
    write(&folder.join("hocuspocus"), &vectors::hocuspocus());
    write(&folder.join("ysweet"), &vectors::ysweet());
    write(&folder.join("items"), &bodies());
    write(&folder.join("awareness"), &vectors::awareness());
    write(&folder.join("updates"), &histories);
    // Plans are made of bytes of any kind, at best of such that hold updates.
    write(&folder.join("room"), &histories);
    write(&folder.join("records"), &histories);
    write(&folder.join("envelope"), &envelopes());
}

/// One message of each kind, as nodes would send it.
fn envelopes() -> Vec<Vec<u8>> {
    let update = vectors::histories().remove(0).updates.remove(0);
    let there = PresenceEntry {
        client: ClientId::MAX,
        clock: 5,
        state: Some(r#"{"user":{"name":"Ann"}}"#.into()),
        identity: Some("ann".into()),
    };
    let gone = PresenceEntry { client: ClientId::MIN, clock: 200, state: None, identity: None };
    let messages = [
        Message::Edits { epoch: 1, first: 7, last: 8, updates: vec![update.bytes().clone(); 2] },
        Message::Edits { epoch: 1, first: 7, last: 8, updates: Vec::new() },
        Message::Presence(vec![there, gone]),
        Message::Announce(vec![(ClientId::MAX, 3), (ClientId::MIN, 0)]),
        Message::Broadcast { from: Some("ann".into()), text: "hello".into() },
        Message::Hello { question: 4 },
        Message::Settled { to: NodeId(5), question: 6 },
        Message::Ended { epoch: 7 },
        Message::Rung { event: "new".into(), says: "{}".into() },
        Message::Revoked,
        Message::Alive { address: "http://10.0.0.7:1234".into() },
        Message::Question { question: 8, says: "{}".into() },
        Message::Answer { to: NodeId(9), question: 8, says: "{}".into() },
    ];
    messages.iter().flat_map(|message| envelope::seal(NodeId(1), message).unwrap()).map(Vec::from).collect()
}

/// Bodies of sessions, as clients of the y-websocket dialect would have sent what is recorded of them.
fn bodies() -> Vec<Vec<u8>> {
    let frames = vectors::frames();
    frames
        .chunks(4)
        .map(|frames| {
            let mut body = Vec::new();
            for frame in frames {
                items::split(frame.clone().into()).for_each(|item| items::encode(&mut body, &item));
            }
            body
        })
        .collect()
}

fn write(folder: &Path, inputs: &[Vec<u8>]) {
    fs::create_dir_all(folder).unwrap();
    for (number, input) in inputs.iter().filter(|input| input.len() <= 4096).enumerate() {
        fs::write(folder.join(format!("seed-{number:04}")), input).unwrap();
    }
    println!("{}: {} inputs", folder.display(), inputs.len());
}

fn updates(folder: &Path) {
    for (name, input) in corpus::read(folder) {
        for update in quire_testkit::accepted(&input) {
            let mut replica = Replica::new();
            let handed_on = replica.insert(&update).delta.unwrap_or(Update::empty());
            println!("{name} {} {}", hex(&handed_on), hex(&replica.encode()));
        }
    }
}

fn hex(update: &Update) -> String {
    update.bytes().iter().fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"))
}
