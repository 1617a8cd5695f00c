//! `/healthz` and `/readyz`.

use serde::Serialize;
use warp::Filter as _;
use warp::filters::BoxedFilter;
use warp::path::FullPath;

use super::{Context, Response, StatusCode, error, reading};
use crate::cluster::Cluster;
use crate::doc::Directory;
use crate::store::StoreStatus;

const ALIVE: &str = "/healthz";
const READY: &str = "/readyz";

pub(super) fn exists(path: &str) -> bool {
    path == ALIVE || path == READY
}

pub(super) fn route(context: &Context) -> BoxedFilter<(Response,)> {
    let directory = context.directory.clone();
    reading()
        .and(warp::path::full())
        .and_then(move |path: FullPath| {
            let answer = match path.as_str() {
                ALIVE => Ok(error::answer(StatusCode::OK, "text/plain; charset=utf-8", "ok\n".to_owned())),
                READY => Ok(readiness(&directory)),
                _ => Err(warp::reject::not_found()),
            };
            async { answer }
        })
        .boxed()
}

#[derive(Serialize)]
struct Readiness {
    ready: bool,
    reasons: Vec<Reason>,
    /// What is not as it should be, and no reason to send nobody here.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    degraded: Vec<Reason>,
}

#[derive(Serialize)]
struct Reason {
    code: &'static str,
    message: &'static str,
    /// How long it has been so.
    for_seconds: u64,
    /// How many documents are concerned.
    documents: usize,
}

/// 200 while edits are stored, 503 with the reasons while they are not. What the store said is for the log only.
fn readiness(directory: &Directory) -> Response {
    let reasons = match directory.status() {
        StoreStatus::Healthy => Vec::new(),
        StoreStatus::Failing { since, reason: _, documents } => vec![Reason {
            code: "store_failing",
            message: "edits cannot be stored and none is confirmed; the server keeps them and tries again",
            for_seconds: since.elapsed().unwrap_or_default().as_secs(),
            documents,
        }],
    };
    let status = if reasons.is_empty() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let apart = directory.cluster().and_then(Cluster::apart_since);
    let degraded = apart.map(|since| Reason {
        code: "relay_apart",
        message: "the connection to Redis is lost; edits reach other servers through the database, presence does not reach them",
        for_seconds: since.elapsed().as_secs(),
        documents: 0,
    });
    let degraded = degraded.into_iter().collect();
    error::json(status, &Readiness { ready: reasons.is_empty(), reasons, degraded })
}
