//! Limits on connections.

use super::client::{Editor, get, within};
use super::server::Running;

#[tokio::test]
async fn editors_beyond_the_limit_are_told_and_others_are_served() {
    let server = Running::with([("max_connections", "2")]).await;
    let first = Editor::connect(server.address, "/a").await;
    let _second = Editor::connect(server.address, "/b").await;
    let refusal = Editor::try_connect(server.address, "/c").await.unwrap_err();
    assert_eq!((refusal.status, refusal.code().as_str()), (503, "too_many_connections"));
    assert!(refusal.header("retry-after").is_some());
    assert_eq!(get(server.address, "/healthz").await.status, 200);
    drop(first);
    within("room for one more", async {
        while Editor::try_connect(server.address, "/c").await.is_err() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    server.stop().await;
}
