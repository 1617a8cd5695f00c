//! Tickets, and taking rights back: `/v1/tickets`, `/v1/admin/revoke`, `/v1/admin/revocations`.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use ::http::Method;
use bytes::Buf;
use futures_util::Stream;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tracing::{error, info};
use warp::Filter as _;
use warp::filters::BoxedFilter;
use warp::path::FullPath;

use super::{ApiError, Context, Response, StatusCode, body, caller, error as answers};
use crate::auth::{Caller, ChangeError, Ledger, Live, Revocation, Right, Seconds, TICKET_LIFE};

/// Largest body of these requests.
const BODY_BYTES: usize = 16 << 10;

/// How long a revocation holds if nothing is said: longer than tokens usually live.
const REVOKED_FOR: Duration = Duration::from_hours(24 * 30);

/// The longest time that can be asked for.
const REVOKED_AT_MOST: Duration = Duration::from_hours(24 * 3650);

const TICKETS: &str = "/v1/tickets";
const REVOKE: &str = "/v1/admin/revoke";
const REVOCATIONS: &str = "/v1/admin/revocations";

/// The methods that this path answers, if it is one of these.
pub(super) fn methods(path: &str) -> Option<&'static str> {
    match path {
        TICKETS | REVOKE => Some("POST"),
        REVOCATIONS => Some("GET"),
        _ => number(path).map(|_| "DELETE"),
    }
}

/// The number of the revocation at this path.
fn number(path: &str) -> Option<u64> {
    path.strip_prefix(REVOCATIONS)?.strip_prefix('/')?.parse().ok()
}

pub(super) fn route(context: &Context) -> BoxedFilter<(Response,)> {
    let context = context.clone();
    warp::path::full()
        .and(warp::method())
        .and_then(async |path: FullPath, method: Method| {
            let asked = match (path.as_str(), method) {
                (TICKETS, Method::POST) => Asked::Ticket,
                (REVOKE, Method::POST) => Asked::Revoke,
                (REVOCATIONS, Method::GET) => Asked::List,
                (path, Method::DELETE) => match number(path) {
                    Some(number) => Asked::Restore(number),
                    None => return Err(warp::reject::not_found()),
                },
                _ => return Err(warp::reject::not_found()),
            };
            Ok(asked)
        })
        .and(caller())
        .and(warp::body::stream())
        .then(move |asked, caller, body| {
            let context = context.clone();
            async move {
                let answer = answer(&context, asked, &caller, body).await;
                answer.unwrap_or_else(ApiError::into_response)
            }
        })
        .boxed()
}

/// What is asked for.
#[derive(Clone, Copy, Debug)]
enum Asked {
    Ticket,
    Revoke,
    List,
    Restore(u64),
}

/// Whom to take rights from, and what is left of them.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Revoke {
    user: Option<Arc<str>>,
    document: Option<Arc<str>>,
    key: Option<Arc<str>>,
    access: Option<Right>,
    for_seconds: Option<u64>,
}

async fn answer<B: Buf>(
    context: &Context,
    asked: Asked,
    caller: &Caller,
    body: impl Stream<Item = Result<B, warp::Error>>,
) -> Result<Response, ApiError> {
    let live = context.gate.live();
    match asked {
        Asked::Ticket => ticket(context, caller).await,
        Asked::Revoke => {
            let admin = context.gate.check_server(caller).await?;
            let revocation = revocation(read(body).await?)?;
            let (user, document, key) = (&revocation.user, &revocation.document, &revocation.key);
            let left = revocation.access.map_or("none", Right::as_str);
            let by = admin.subject.as_deref().unwrap_or("anonymous");
            info!(?user, ?document, ?key, left, by, "rights are taken back");
            let revoke = move |ledger: &Ledger, live: &Live| ledger.revoke(live, revocation);
            let connections = change(context, revoke).await?;
            Ok(answers::json(StatusCode::OK, &serde_json::json!({"connections": connections})))
        }
        Asked::List => {
            context.gate.check_server(caller).await?;
            let revocations = live.revocations();
            let all: Vec<_> = revocations.in_force(SystemTime::now()).collect();
            Ok(answers::json(StatusCode::OK, &serde_json::json!({"revocations": all})))
        }
        Asked::Restore(number) => {
            let admin = context.gate.check_server(caller).await?;
            if !change(context, move |ledger, live| ledger.restore(live, number)).await? {
                return Err(ApiError::UnknownRevocation);
            }
            let by = admin.subject.as_deref().unwrap_or("anonymous");
            info!(number, by, "a revocation is taken back");
            Ok(answers::json(StatusCode::OK, &serde_json::json!({})))
        }
    }
}

async fn ticket(context: &Context, caller: &Caller) -> Result<Response, ApiError> {
    #[derive(Serialize)]
    struct Body<'a> {
        ticket: &'a str,
        expires_in: u64,
    }
    let identity = context.gate.identify(caller, None).await?;
    let ticket = context.gate.tickets().issue(identity).map_err(|reason| {
        info!("there is no ticket: {reason}");
        ApiError::Busy
    })?;
    Ok(answers::json(StatusCode::OK, &Body { ticket: ticket.expose(), expires_in: TICKET_LIFE.as_secs() }))
}

fn revocation(asked: Revoke) -> Result<Revocation, ApiError> {
    let Revoke { user, document, key, access, for_seconds } = asked;
    let now = Seconds::of(SystemTime::now());
    let lasts = for_seconds.unwrap_or(REVOKED_FOR.as_secs());
    if access == Some(Right::Admin) {
        return Err(ApiError::BadBody("access is what is left: read, write, or nothing at all".to_owned()));
    }
    if !(1..=REVOKED_AT_MOST.as_secs()).contains(&lasts) {
        return Err(ApiError::BadBody("for_seconds is from 1 to ten years".to_owned()));
    }
    let until = Seconds(now.0.saturating_add(lasts));
    let revocation = Revocation { number: 0, user, document, key, access, made_before: now, until };
    if revocation.concerns_somebody() {
        Ok(revocation)
    } else {
        Err(ApiError::BadBody("name a user, a document or a key, or several of these".to_owned()))
    }
}

/// Changes what is in force and what is kept of it. What is taken back holds already when it cannot be kept; then it may not hold after a
/// restart.
async fn change<T: Send + 'static>(
    context: &Context,
    change: impl FnOnce(&Ledger, &Live) -> Result<T, ChangeError> + Send + 'static,
) -> Result<T, ApiError> {
    let (ledger, live) = (context.ledger.clone(), context.gate.live().clone());
    match tokio::task::spawn_blocking(move || change(&ledger, &live)).await {
        Ok(Ok(done)) => Ok(done),
        Ok(Err(ChangeError::TooMany)) => Err(ApiError::TooManyRevocations),
        Ok(Err(error @ ChangeError::NotKept(_))) => {
            error!(%error, "what was revoked holds now, but could not be stored");
            Err(ApiError::NotKept)
        }
        Err(_) => Err(ApiError::Internal),
    }
}

async fn read<T: DeserializeOwned, B: Buf>(
    body: impl Stream<Item = Result<B, warp::Error>>,
) -> Result<T, ApiError> {
    let bytes = body::read(body, BODY_BYTES).await?;
    serde_json::from_slice(&bytes).map_err(|error| ApiError::BadBody(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made_of(json: &str) -> Result<Revocation, ApiError> {
        revocation(serde_json::from_str(json).unwrap())
    }

    #[test]
    fn somebody_must_be_named_and_something_taken() {
        let one = made_of(r#"{"user":"ada","for_seconds":10}"#).unwrap();
        assert_eq!(one.until.0 - one.made_before.0, 10);
        assert_eq!(made_of(r#"{"document":"a","access":"read"}"#).unwrap().access, Some(Right::Read));
        for json in [
            "{}",
            r#"{"access":"read"}"#,
            r#"{"user":"ada","access":"admin"}"#,
            r#"{"user":"ada","for_seconds":0}"#,
            r#"{"user":"ada","for_seconds":99999999999}"#,
        ] {
            assert!(matches!(made_of(json), Err(ApiError::BadBody(_))), "{json}");
        }
        assert!(serde_json::from_str::<Revoke>(r#"{"usr":"ada"}"#).is_err());
    }

    #[test]
    fn paths() {
        assert_eq!(methods("/v1/tickets"), Some("POST"));
        assert_eq!(methods("/v1/admin/revocations"), Some("GET"));
        assert_eq!(methods("/v1/admin/revocations/7"), Some("DELETE"));
        assert_eq!(methods("/v1/admin/revocations/x"), None);
    }
}
