//! The commands of operators, against a running server and against the folder it has left.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;

use quire_persistence::engine::{Batch, Engine as _, KeyRange};
use quire_persistence::engines::RedbEngine;
use tokio::task::spawn_blocking;

use super::client::{Editor, exchange, get, insertion, update_of};
use super::process::{Process, quire};

/// Runs a command and gives its exit code, what it wrote, and what it complained about.
async fn run(arguments: &[&str]) -> (i32, Vec<u8>, String) {
    let mut command = quire();
    command.args(arguments);
    let output = spawn_blocking(move || command.output().unwrap()).await.unwrap();
    (output.status.code().unwrap(), output.stdout, String::from_utf8(output.stderr).unwrap())
}

/// Runs a command that ends with this code, and gives what it wrote.
async fn told(code: i32, arguments: &[&str]) -> String {
    let (found, out, complaint) = run(arguments).await;
    let out = String::from_utf8_lossy(&out).into_owned();
    assert_eq!(found, code, "{arguments:?}: {out} {complaint}");
    out + &complaint
}

async fn post(address: SocketAddr, name: &str, update: &[u8]) {
    let head = format!(
        "POST /v1/docs/{name}/update HTTP/1.1\r\nHost: test\r\nContent-Length: {}\r\n\r\n",
        update.len()
    );
    assert_eq!(exchange(address, [head.as_bytes(), update].concat()).await.status, 200);
}

#[tokio::test]
async fn a_running_server_is_backed_up_and_restored_elsewhere() {
    let folder = tempfile::tempdir().unwrap();
    let [archive, second, data, lines] =
        ["archive", "second", "data", "lines"].map(|name| folder.path().join(name).display().to_string());
    let server = Process::start(&folder, &[]).await;
    let url = format!("http://{}", server.address);
    // Somebody is editing meanwhile.
    let mut editor = Editor::connect(server.address, "/a%2Fb").await;
    editor.send(insertion(1, "hello")).await;
    editor.receive_text("hello").await;
    post(server.address, "c", &update_of(&insertion(2, "other"))).await;

    assert_eq!(
        told(0, &["backup", &archive, "--url", &url]).await,
        "backed up: 2 documents, 0 deleted ones\n"
    );
    assert!(told(1, &["backup", &archive, "--url", &url]).await.contains("is there already"));
    assert_eq!(
        told(0, &["verify", "--backup", &archive]).await,
        "the archive is whole: 2 documents, 0 deleted ones\n"
    );
    assert!(told(1, &["verify", "--data", &data]).await.contains("ask that by --url"));
    let (code, update, _) = run(&["export", "a/b", "--url", &url]).await;
    assert_eq!((code, &update[..]), (0, &update_of(&insertion(1, "hello"))[..]));
    assert!(told(1, &["export", "nothing", "--url", &url]).await.contains("the document does not exist"));
    assert_eq!(
        told(0, &["compact", "--url", &url]).await.lines().next(),
        Some("2 documents compacted, 0 had nothing to compact, 0 failed")
    );
    server.end(0).await;

    assert!(told(0, &["verify", "--data", &data]).await.starts_with("2 documents are sound, "));
    told(0, &["backup", &second, "--data", &data]).await;
    assert_eq!(told(0, &["export", "--data", &data, "--out", &lines]).await, "");
    for (archive, store) in [(&archive, "redb"), (&second, "sled")] {
        let elsewhere = tempfile::tempdir().unwrap();
        let target = elsewhere.path().join("data").display().to_string();
        let at = ["--data", &target, "--store", store];
        let restore = [&["restore", archive][..], &at].concat();
        assert_eq!(told(0, &restore).await, "restored: 2 documents, 0 deleted ones\n");
        assert!(told(1, &restore).await.contains("there is a store already"));
        told(0, &[&["verify"][..], &at].concat()).await;
        let exported = run(&[&["export", "a/b"][..], &at].concat()).await.1;
        assert_eq!(exported, update_of(&insertion(1, "hello")));
        // What is known changes nothing, what is new is there.
        told(0, &[&["import", "--from", &lines][..], &at].concat()).await;
        let update = folder.path().join("update");
        fs::write(&update, update_of(&insertion(3, "news"))).unwrap();
        told(0, &[&["import", "new", "--from", update.to_str().unwrap()][..], &at].concat()).await;
        let all = told(0, &[&["export"][..], &at].concat()).await;
        assert_eq!(all.lines().count(), 3, "{all}");
        assert!(told(0, &[&["compact"][..], &at].concat()).await.contains("0 failed"));
        let server = Process::start(&elsewhere, &["--store", store]).await;
        let url = format!("http://{}", server.address);
        assert_eq!(get(server.address, "/v1/docs/new/content").await.body, "{\"content\":\"news\"}");
        told(0, &["import", "--from", &lines, "--url", &url]).await;
        server.end(0).await;
    }
}

/// Destroys the first record of a keyspace.
fn damage(data: &Path, space: u8) {
    let engine = RedbEngine::open(data).unwrap();
    let key = engine.keys(&KeyRange { from: vec![1, space], to: vec![1, space + 1] }, 1).unwrap().remove(0);
    let mut batch = Batch::new();
    batch.put(key, "nonsense!!".into());
    engine.commit(batch).unwrap();
}

#[tokio::test]
async fn damage_is_named_and_the_rest_is_saved() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let at = data.display().to_string();
    let server = Process::start(&folder, &[]).await;
    for (name, text) in [("a", "damaged"), ("a", "sound"), ("b", "other")] {
        let client = u8::try_from(text.len()).unwrap();
        post(server.address, name, &update_of(&insertion(client, text))).await;
    }
    server.end(0).await;
    damage(&data, 3);

    let named = "document \"a\" is damaged: an update at key 0103";
    let findings = told(3, &["verify", "--data", &at]).await;
    assert!(findings.contains(named) && findings.contains("1 documents are sound"), "{findings}");
    let archive = folder.path().join("archive").display().to_string();
    let kept = told(3, &["backup", &archive, "--data", &at]).await;
    assert!(kept.contains("document \"a\" is damaged and not in the archive"), "{kept}");
    assert!(told(1, &["export", "a", "--data", &at]).await.contains(named));
    let (_, saved, _) = run(&["export", "a", "--salvage", "--data", &at]).await;
    assert_eq!(saved, update_of(&insertion(5, "sound")));
    let rest = told(3, &["export", "--data", &at]).await;
    assert!(rest.contains("{\"doc\":\"b\",") && rest.contains("\"a\" is left out"), "{rest}");
    assert!(told(3, &["compact", "--data", &at]).await.contains(named));

    // As OPERATIONS.md says: what is sound becomes the document again, and an editor that has the rest brings it back.
    let server = Process::start(&folder, &[]).await;
    assert_eq!(Editor::try_connect(server.address, "/a").await.unwrap_err().status, 503);
    server.end(0).await;
    assert!(told(0, &["repair", "a", "--data", &at]).await.starts_with("repaired: 1 part of it is kept"));
    assert!(told(0, &["verify", "--data", &at]).await.starts_with("2 documents are sound"));
    assert_eq!(run(&["export", "a", "--data", &at]).await.1, saved);
    let server = Process::start(&folder, &[]).await;
    let mut editor = Editor::connect(server.address, "/a").await;
    editor.send(insertion(7, "damaged")).await;
    editor.receive_text("damaged").await;
    let content = get(server.address, "/v1/docs/a/content").await.body;
    assert!(content.contains("damaged") && content.contains("sound"), "{content}");
    server.end(0).await;
}

#[tokio::test]
async fn a_command_without_a_store_makes_none() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("none");
    for command in [&["verify"][..], &["export"], &["compact"], &["backup", "x"]] {
        let said = told(1, &[command, &["--data", data.to_str().unwrap()]].concat()).await;
        assert!(said.contains("there is no store at"), "{said}");
    }
    assert!(!data.exists());
    let said = told(1, &["verify", "--store", "memory"]).await;
    assert!(said.contains("a store in memory"), "{said}");
    let said = told(1, &["export", "--url", "http://127.0.0.1:1"]).await;
    assert!(said.contains("cannot reach 127.0.0.1:1"), "{said}");
}
