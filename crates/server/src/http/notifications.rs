//! Notifications: `/v1/users/{user}/notifications`, `/v1/me/notifications`, and `/v1/me/events` as a stream and as polls.

use std::sync::Arc;

use ::http::{HeaderMap, Method};
use bytes::{Buf, Bytes};
use futures_util::Stream;
use quire_persistence::inbox::{BODY_BYTES, KEY_BYTES};
use quire_persistence::{Marks, Notification, Posting, UserId};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tracing::warn;
use warp::Filter as _;
use warp::filters::BoxedFilter;
use warp::path::FullPath;

use super::presence::name_of_user;
use super::{ApiError, Context, Response, StatusCode, asked, body, caller, error, query};
use crate::auth::{Caller, Right};
use crate::notify::{NotifyError, Shown};
use crate::presence::Moment;
use crate::stream::{After, Cursor, poll, sse};
use crate::transport::{Audience, Comes};

/// Largest body of these requests.
const REQUEST_BYTES: usize = 64 << 10;

/// How long a notification is kept if nothing is said, in seconds.
const EXPIRES_IN: u64 = 30 * 24 * 3600;

/// The longest that can be asked for, in seconds.
const EXPIRES_AT_MOST: u64 = 366 * 24 * 3600;

/// Notifications in one answer, if the request does not say how many, and at most.
const PAGE: usize = 100;
const LARGEST_PAGE: usize = 1000;

/// What a path is about, and whose inbox: `None` is the asker's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Target<'a> {
    user: Option<&'a str>,
    what: What,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum What {
    Notifications,
    Read,
    Events,
    Poll,
}

fn target(path: &str) -> Option<Target<'_>> {
    let (user, rest) = if let Some(rest) = path.strip_prefix("/v1/me/") {
        (None, rest)
    } else {
        let (user, rest) = path.strip_prefix("/v1/users/")?.split_once('/')?;
        (Some(user), rest)
    };
    let what = match rest {
        "notifications" => What::Notifications,
        "notifications/read" => What::Read,
        "events" => What::Events,
        "events/poll" => What::Poll,
        _ => return None,
    };
    Some(Target { user, what })
}

/// The methods that a path answers; `None` if it is not one of these.
pub(super) fn methods(path: &str) -> Option<&'static str> {
    let Target { user, what } = target(path)?;
    Some(match what {
        What::Notifications if user.is_some() => "GET, POST",
        What::Notifications | What::Events | What::Poll => "GET",
        What::Read => "POST",
    })
}

pub(super) fn route(context: &Context) -> BoxedFilter<(Response,)> {
    let context = context.clone();
    asked(methods)
        .and(warp::header::headers_cloned())
        .and(query())
        .and(caller())
        .and(warp::body::stream())
        .then(move |path: FullPath, method: Method, headers: HeaderMap, query: String, caller, body| {
            let context = context.clone();
            async move {
                let asked = Asked { path: path.as_str(), method: &method, headers: &headers, query: &query };
                answer(&context, asked, &caller, body).await.unwrap_or_else(ApiError::into_response)
            }
        })
        .boxed()
}

/// A request without its body.
#[derive(Clone, Copy, Debug)]
struct Asked<'a> {
    path: &'a str,
    method: &'a Method,
    headers: &'a HeaderMap,
    query: &'a str,
}

async fn answer<B: Buf>(
    context: &Context,
    asked: Asked<'_>,
    caller: &Caller,
    body: impl Stream<Item = Result<B, warp::Error>>,
) -> Result<Response, ApiError> {
    let Target { user, what } = target(asked.path).ok_or(ApiError::NoSuchPage)?;
    if what == What::Notifications && asked.method == Method::POST {
        let user = name_of_user(user.unwrap_or_default())?;
        context.gate.check_notify(caller).await?;
        return post(context, user, read(body).await?).await;
    }
    let identity = Arc::new(match user {
        None => context.gate.identify(caller, None).await?,
        Some(_) => context.gate.check_server(caller).await?,
    });
    let user = match user {
        Some(user) => name_of_user(user)?,
        None => identity.subject.as_deref().and_then(UserId::new).ok_or(ApiError::NoUser)?,
    };
    match what {
        What::Notifications => list(context, user, asked.query).await,
        What::Read => mark(context, user, read(body).await?).await,
        What::Events | What::Poll => {
            let after = After::of(asked.headers, asked.query);
            let pass = context.gate.live().enter_user(Arc::clone(&identity));
            let comes = if after.goes_on() { Comes::Again } else { Comes::Anew };
            let audience = Audience { peer: caller.peer, user: identity.subject.as_ref(), doc: None, comes };
            let listener = context.doors.listen(pass, Right::Read, &audience)?;
            let delivery = context.notifications.listen(&user, after);
            if what == What::Events { Ok(sse(delivery, listener)) } else { poll(delivery, listener).await }
        }
    }
}

/// What is to be posted.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Post {
    body: Value,
    key: Option<Arc<str>>,
    expires_in: Option<u64>,
}

async fn post(context: &Context, user: UserId, post: Post) -> Result<Response, ApiError> {
    let posted = context
        .notifications
        .post(user, posting(post, Moment::now().wall)?)
        .await
        .map_err(|error| failed(&error))?;
    let status = if posted.is_new { StatusCode::CREATED } else { StatusCode::OK };
    let id = Cursor { tag: posted.tag, number: posted.number }.to_string();
    Ok(error::json(status, &json!({ "id": id, "new": posted.is_new })))
}

fn posting(post: Post, now: u64) -> Result<Posting, ApiError> {
    let Post { body, key, expires_in } = post;
    // A stream has one line for it.
    let body = Bytes::from(body.to_string());
    if body.len() > BODY_BYTES {
        return Err(ApiError::TooLarge(format!("the body of a notification has at most {BODY_BYTES} bytes")));
    }
    let is_key = |key: &Arc<str>| (1..=KEY_BYTES).contains(&key.len()) && !key.chars().any(char::is_control);
    if !key.as_ref().is_none_or(is_key) {
        let wrong = format!("key is 1 to {KEY_BYTES} bytes without control characters");
        return Err(ApiError::BadBody(wrong));
    }
    let expires_in = expires_in.unwrap_or(EXPIRES_IN);
    if !(1..=EXPIRES_AT_MOST).contains(&expires_in) {
        return Err(ApiError::BadBody(
            "expires_in is a number of seconds from 1 to those of 366 days".to_owned(),
        ));
    }
    Ok(Posting { key, posted: now, expires: now.saturating_add(expires_in.saturating_mul(1000)), body })
}

/// What is asked of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Page {
    after: u64,
    limit: usize,
    unread: bool,
}

fn page(query: &str) -> Result<Page, ApiError> {
    let mut page = Page { after: 0, limit: PAGE, unread: false };
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        match name.as_ref() {
            "after" => {
                let cursor: Option<Cursor> = value.parse().ok();
                let wrong = || ApiError::BadQuery("after is the next of the last answer".to_owned());
                page.after = cursor.ok_or_else(wrong)?.number;
            }
            "limit" => {
                let given = value.parse().ok().filter(|limit| (1..=LARGEST_PAGE).contains(limit));
                let wrong = || ApiError::BadQuery(format!("limit is a number from 1 to {LARGEST_PAGE}"));
                page.limit = given.ok_or_else(wrong)?;
            }
            "unread" => {
                page.unread = match value.as_ref() {
                    "true" => true,
                    "false" => false,
                    _ => return Err(ApiError::BadQuery("unread is true or false".to_owned())),
                }
            }
            "token" => {}
            other => {
                return Err(ApiError::BadQuery(format!(
                    "there is no parameter {other:?}, only after, limit and unread"
                )));
            }
        }
    }
    Ok(page)
}

async fn list(context: &Context, user: UserId, query: &str) -> Result<Response, ApiError> {
    let Page { mut after, limit, unread } = page(query)?;
    let (mut tag, mut all) = (0, Vec::<Notification>::new());
    loop {
        let wanted = limit - all.len();
        let found = context.notifications.read(user.clone(), after, wanted).await;
        let Some((inbox, found)) = found.map_err(|error| failed(&error))? else { break };
        tag = inbox.tag;
        let is_last = found.len() < wanted;
        after = found.last().map_or(after, |last| last.number);
        all.extend(found.into_iter().filter(|notification| !unread || !notification.is_read));
        if is_last || all.len() == limit {
            break;
        }
    }
    let next = (all.len() == limit).then(|| Cursor { tag, number: after }.to_string());
    let shown: Vec<_> = all.iter().map(|notification| Shown::of(tag, notification)).collect();
    Ok(error::json(StatusCode::OK, &json!({ "notifications": shown, "next": next })))
}

/// What is read.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Read {
    ids: Option<Vec<String>>,
    up_to: Option<String>,
}

async fn mark(context: &Context, user: UserId, read: Read) -> Result<Response, ApiError> {
    let (marks, tags, says) = marks(read)?;
    // What was given out by another inbox of the user means nothing in this one.
    let found = context.notifications.read(user.clone(), 0, 0).await.map_err(|error| failed(&error))?;
    if found.is_some_and(|(inbox, _)| tags.iter().all(|tag| *tag == inbox.tag)) {
        context.notifications.mark_read(user, marks, says).await.map_err(|error| failed(&error))?;
    }
    Ok(error::json(StatusCode::OK, &json!({})))
}

/// What is read, the tags that are named, and the same as JSON.
fn marks(read: Read) -> Result<(Marks, Vec<u32>, String), ApiError> {
    let cursor = |id: &String| {
        let wrong = || ApiError::BadBody(format!("{id:?} is not the id of a notification"));
        id.parse::<Cursor>().map_err(|_| wrong())
    };
    match read {
        Read { ids: Some(ids), up_to: None } if ids.len() <= LARGEST_PAGE => {
            let cursors: Vec<_> = ids.iter().map(cursor).collect::<Result<_, _>>()?;
            let numbers = cursors.iter().map(|cursor| cursor.number).collect();
            let tags = cursors.iter().map(|cursor| cursor.tag).collect();
            Ok((Marks::These(numbers), tags, json!({ "ids": ids }).to_string()))
        }
        Read { ids: None, up_to: Some(id) } => {
            let Cursor { tag, number } = cursor(&id)?;
            Ok((Marks::UpTo(number), vec![tag], json!({ "up_to": id }).to_string()))
        }
        _ => Err(ApiError::BadBody(format!("give ids, at most {LARGEST_PAGE} of them, or up_to"))),
    }
}

fn failed(error: &NotifyError) -> ApiError {
    match error {
        NotifyError::Busy => ApiError::Busy,
        NotifyError::Store(_) => {
            warn!(%error, "an inbox cannot be used");
            ApiError::NoInbox
        }
        NotifyError::Internal => ApiError::Internal,
    }
}

async fn read<T: DeserializeOwned, B: Buf>(
    body: impl Stream<Item = Result<B, warp::Error>>,
) -> Result<T, ApiError> {
    let bytes = body::read(body, REQUEST_BYTES).await?;
    serde_json::from_slice(&bytes).map_err(|error| ApiError::BadBody(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths() {
        let of = |user, what| Some(Target { user, what });
        assert_eq!(target("/v1/me/events"), of(None, What::Events));
        assert_eq!(target("/v1/me/events/poll"), of(None, What::Poll));
        assert_eq!(target("/v1/users/ada/notifications"), of(Some("ada"), What::Notifications));
        assert_eq!(target("/v1/users/ada/notifications/read"), of(Some("ada"), What::Read));
        for other in ["/v1/me", "/v1/users/ada", "/v1/users/ada/presence", "/v1/me/events/"] {
            assert_eq!(target(other), None, "{other}");
        }
        assert_eq!(methods("/v1/me/notifications"), Some("GET"));
        assert_eq!(methods("/v1/users/a/notifications"), Some("GET, POST"));
    }

    #[test]
    fn what_can_be_posted() {
        let of = |json: &str| {
            let post = serde_json::from_str(json).map_err(|error| ApiError::BadBody(error.to_string()))?;
            posting(post, 1000)
        };
        let plain = of("{\"body\": {\n \"a\": 1}, \"key\": \"k\", \"expires_in\": 2}").unwrap();
        assert_eq!(plain.body, r#"{"a":1}"#);
        assert_eq!((plain.posted, plain.expires, plain.key.as_deref()), (1000, 3000, Some("k")));
        for wrong in [
            "{}",
            r#"{"body":1,"kez":"a"}"#,
            r#"{"body":1,"key":""}"#,
            r#"{"body":1,"expires_in":0}"#,
            r#"{"body":1,"expires_in":99999999999}"#,
        ] {
            assert!(matches!(of(wrong), Err(ApiError::BadBody(_))), "{wrong}");
        }
        let large = format!(r#"{{"body":"{}"}}"#, "x".repeat(BODY_BYTES));
        assert!(matches!(of(&large), Err(ApiError::TooLarge(_))));
    }

    #[test]
    fn what_can_be_read() {
        let of = |json: &str| marks(serde_json::from_str(json).unwrap());
        assert_eq!(of(r#"{"up_to":"00000001.7"}"#).unwrap().0, Marks::UpTo(7));
        assert_eq!(of(r#"{"ids":["00000001.7"]}"#).unwrap().0, Marks::These(vec![7]));
        for wrong in ["{}", r#"{"ids":[],"up_to":"00000001.7"}"#, r#"{"up_to":"7"}"#] {
            assert!(matches!(of(wrong), Err(ApiError::BadBody(_))), "{wrong}");
        }
        assert_eq!(page("unread=true&limit=2"), Ok(Page { after: 0, limit: 2, unread: true }));
    }
}
