//! What yjs shows is what is shown, for documents that yjs wrote.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking, in its helpers too"
)]

mod common;

use bytes::Bytes;
use common::{hex, pool};
use quire_view::{Content, ContentRequest, Pool, RootKind, ViewError};
use serde_json::{Value, json};

/// The value that Quire shows for one that yjs holds.
fn shown(value: &Value) -> Option<Value> {
    let Value::Object(object) = value else {
        return Some(match value {
            Value::Array(values) => values.iter().map(|value| shown(value).unwrap_or_default()).collect(),
            other => other.clone(),
        });
    };
    let tag = |name: &str| object.get(name).and_then(Value::as_str);
    if let Some(digits) = tag("$bigint") {
        return Some(json!(digits.parse::<i64>().unwrap()));
    }
    if let Some(digits) = tag("$bytes") {
        use base64::Engine as _;
        return Some(json!(base64::engine::general_purpose::STANDARD.encode(hex(digits))));
    }
    if let Some(guid) = tag("$doc") {
        return Some(json!({ "guid": guid }));
    }
    if object.contains_key("$undefined") {
        return None;
    }
    Some(object.iter().filter_map(|(key, value)| Some((key.clone(), shown(value)?))).collect())
}

/// Nothing is left of the value: yjs knows the type because the application defined it, an update does not.
fn is_nothing(value: &Value) -> bool {
    *value == json!("") || *value == json!({}) || *value == json!([])
}

async fn json_of(pool: &Pool, update: &Bytes, request: ContentRequest) -> Result<Value, ViewError> {
    let Content::Json(text) = pool.content(update.clone(), request).await? else {
        panic!("JSON was asked for")
    };
    Ok(serde_json::from_str(&text).unwrap())
}

#[tokio::test]
async fn documents_of_yjs_read_as_in_yjs() {
    let pool = pool(|_| ());
    let data: Value = serde_json::from_str(include_str!("data/yjs-content.json")).unwrap();
    for case in data["cases"].as_array().unwrap() {
        let name = &case["name"];
        for encoding in ["merged", "state"] {
            let update = Bytes::from(hex(case[encoding].as_str().unwrap()));
            let all = json_of(&pool, &update, ContentRequest::All).await.unwrap();
            for (root, expected) in case["roots"].as_object().unwrap() {
                let what = format!("{name}, {encoding}, root {root:?}");
                let value = shown(&expected["value"]).unwrap();
                if is_nothing(&value) {
                    assert!(all.get(root).is_none_or(Value::is_null), "{what}: {all}");
                    continue;
                }
                assert_eq!(all[root], value, "{what}");
                let json = json_of(&pool, &update, ContentRequest::Json(root.clone())).await.unwrap();
                assert_eq!(json, value, "{what}");
                let text = pool.content(update.clone(), ContentRequest::Text(root.clone())).await;
                let xml = pool.content(update.clone(), ContentRequest::Xml(root.clone())).await;
                match expected["type"].as_str().unwrap() {
                    "text" => {
                        assert_eq!(
                            text.unwrap(),
                            Content::Text(value.as_str().unwrap().to_owned()),
                            "{what}"
                        );
                        assert!(
                            matches!(xml, Err(ViewError::WrongType { found: RootKind::Text, .. })),
                            "{what}"
                        );
                    }
                    "xml" => {
                        assert_eq!(xml.unwrap(), Content::Xml(value.as_str().unwrap().to_owned()), "{what}");
                        assert!(
                            matches!(text, Err(ViewError::WrongType { found: RootKind::Xml, .. })),
                            "{what}"
                        );
                    }
                    kind => {
                        let found = if kind == "map" { RootKind::Map } else { RootKind::Array };
                        assert!(
                            matches!(text, Err(ViewError::WrongType { found: at, .. }) if at == found),
                            "{what}"
                        );
                        assert!(
                            matches!(xml, Err(ViewError::WrongType { found: at, .. }) if at == found),
                            "{what}"
                        );
                    }
                }
            }
        }
    }
}

#[tokio::test]
async fn a_root_that_nothing_mentions_is_unknown() {
    let pool = pool(|_| ());
    let empty = Bytes::from_static(&[0, 0]);
    assert_eq!(json_of(&pool, &empty, ContentRequest::All).await.unwrap(), json!({}));
    for request in [
        ContentRequest::Json("t".to_owned()),
        ContentRequest::Text("t".to_owned()),
        ContentRequest::Xml("t".to_owned()),
    ] {
        let answer = pool.content(empty.clone(), request).await;
        assert!(matches!(answer, Err(ViewError::UnknownRoot { root }) if root == "t"));
    }
}

#[tokio::test]
async fn xml_is_well_formed_and_always_the_same() {
    use yrs::{
        Any, Doc, ReadTxn as _, Transact as _, WriteTxn as _, Xml as _, XmlElementPrelim, XmlFragment as _,
    };
    use yrs::{Text as _, XmlTextPrelim, types::Attrs};

    let doc = Doc::with_client_id(1);
    let mut txn = doc.transact_mut();
    let root = txn.get_or_insert_xml_fragment("prosemirror");
    let block = root.push_back(&mut txn, XmlElementPrelim::empty("codeBlock"));
    for (key, value) in [("z", "\"quoted\""), ("a", "1 < 2"), ("m n", "&")] {
        block.insert_attribute(&mut txn, key, value);
    }
    let text = block.push_back(&mut txn, XmlTextPrelim::new("if a < b && c \u{1f600} {}"));
    let marks = Attrs::from([
        ("link".into(), Any::from_json(r#"{"href":"?a&b"}"#).unwrap()),
        ("em".into(), true.into()),
    ]);
    text.format(&mut txn, 0, 2, marks);
    let update = Bytes::from(txn.encode_state_as_update_v1(&yrs::StateVector::default()));
    drop(txn);

    let pool = pool(|_| ());
    for _ in 0..3 {
        let xml = pool.content(update.clone(), ContentRequest::Xml("prosemirror".to_owned())).await.unwrap();
        assert_eq!(
            xml.as_str(),
            "<codeBlock a=\"1 &lt; 2\" m_n=\"&amp;\" z=\"&quot;quoted&quot;\">\
             <em><link href=\"?a&amp;b\">if</link></em> a &lt; b &amp;&amp; c \u{1f600} {}</codeBlock>"
        );
    }
}

#[tokio::test]
async fn a_root_is_what_is_in_it() {
    use yrs::{
        Any, Array as _, Doc, Map as _, MapPrelim, ReadTxn as _, Text as _, TextPrelim, Transact as _,
    };
    use yrs::{WriteTxn as _, XmlElementPrelim, XmlFragment as _, XmlTextPrelim};

    let doc = Doc::with_client_id(1);
    let mut txn = doc.transact_mut();
    // A text of one picture, and one that is empty again.
    txn.get_or_insert_text("embed").insert_embed(&mut txn, 0, Any::from("picture"));
    let emptied = txn.get_or_insert_text("emptied");
    emptied.push(&mut txn, "gone");
    emptied.remove_range(&mut txn, 0, 4);
    // Shared types in a list: XML, and not only XML.
    let blocks = txn.get_or_insert_xml_fragment("blocks");
    blocks.push_back(&mut txn, XmlElementPrelim::empty("p"));
    blocks.push_back(&mut txn, XmlTextPrelim::new("x"));
    let list = txn.get_or_insert_array("list");
    list.push_back(&mut txn, TextPrelim::new("\u{1f600}"));
    list.push_back(&mut txn, MapPrelim::from([("k", 1)]));
    list.push_back(&mut txn, XmlElementPrelim::empty("p"));
    // One name for two things: a list to one application, a map to another.
    txn.get_or_insert_map("both").insert(&mut txn, "k", 1);
    txn.get_or_insert_array("both").push_back(&mut txn, 2);
    let update = Bytes::from(txn.encode_state_as_update_v1(&yrs::StateVector::default()));
    drop(txn);

    let pool = pool(|_| ());
    assert_eq!(
        json_of(&pool, &update, ContentRequest::All).await.unwrap(),
        json!({
            "embed": "", "emptied": null, "blocks": "<p></p>x",
            "list": ["\u{1f600}", { "k": 1 }, "<p></p>"], "both": [2],
        })
    );
    let text = pool.content(update.clone(), ContentRequest::Text("emptied".to_owned())).await;
    assert_eq!(text.unwrap(), Content::Text(String::new()));
    let xml = pool.content(update.clone(), ContentRequest::Xml("emptied".to_owned())).await;
    assert_eq!(xml.unwrap(), Content::Xml(String::new()));
}

/// yrs loops for ever when it reads this as a list, and every list may turn out to be a text.
#[tokio::test]
async fn a_character_beyond_the_bmp_does_not_hang_the_reading() {
    // Root `t`, client 1, the one string U+1F600.
    let update = Bytes::from(
        hex("0101010004010174").into_iter().chain(*b"\x04\xf0\x9f\x98\x80\x00").collect::<Vec<u8>>(),
    );
    let pool = pool(|_| ());
    assert_eq!(json_of(&pool, &update, ContentRequest::All).await.unwrap(), json!({ "t": "\u{1f600}" }));
    assert_eq!(pool.counts().late, 0);
}

#[tokio::test]
async fn what_yrs_cannot_decode_is_unreadable() {
    let pool = pool(|_| ());
    // An XmlHook, whose name yrs does not read.
    let hook = Bytes::from(hex("01010100070101780504686f6f6b00"));
    assert!(matches!(pool.content(hook, ContentRequest::All).await, Err(ViewError::Unreadable { .. })));
    let noise = Bytes::from_static(b"\xff\xff\xff\x7f");
    assert!(matches!(pool.content(noise, ContentRequest::All).await, Err(ViewError::Unreadable { .. })));
    assert_eq!(pool.counts().started, 1);
}
