//! Who is where: `/v1/docs/{doc}/presence`, `/v1/docs/{doc}/events` as a stream and as polls, `/v1/users/{user}/presence` and
//! `/v1/presence`.

use ::http::{HeaderMap, Method};
use percent_encoding::percent_decode_str;
use quire_persistence::UserId;
use quire_sync_protocol::DocId;
use serde::Serialize;
use warp::Filter as _;
use warp::filters::BoxedFilter;
use warp::path::FullPath;

use super::{ApiError, Context, Response, StatusCode, asked, caller, error, query};
use crate::auth::{Caller, Right};
use crate::presence::{PersonKey, Sighting};
use crate::stream::{After, poll, sse};
use crate::transport;

/// People in one answer, if the request does not say how many.
const PAGE: usize = 100;

/// People in one answer at most.
const LARGEST_PAGE: usize = 1000;

/// What a path is about. Holds names as they stand in the path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Target<'a> {
    Everybody,
    User(&'a str),
    Document(&'a str, What),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum What {
    /// Who is there now.
    People,
    /// What changes, as a stream.
    Events,
    /// What changes, in one answer.
    Poll,
}

fn target(path: &str) -> Option<Target<'_>> {
    if path == "/v1/presence" {
        return Some(Target::Everybody);
    }
    if let Some(rest) = path.strip_prefix("/v1/users/") {
        let user = rest.strip_suffix("/presence")?;
        return (!user.contains('/')).then_some(Target::User(user));
    }
    let (name, what) = path.strip_prefix("/v1/docs/")?.split_once('/')?;
    let what = match what {
        "presence" => What::People,
        "events" => What::Events,
        "events/poll" => What::Poll,
        _ => return None,
    };
    Some(Target::Document(name, what))
}

/// The methods that a path answers; `None` if it is not one of these.
pub(super) fn methods(path: &str) -> Option<&'static str> {
    target(path).map(|_| "GET")
}

pub(super) fn route(context: &Context) -> BoxedFilter<(Response,)> {
    let context = context.clone();
    asked(methods)
        .and(warp::header::headers_cloned())
        .and(query())
        .and(caller())
        .then(move |path: FullPath, _: Method, headers: HeaderMap, query: String, caller: Caller| {
            let context = context.clone();
            async move {
                let after = After::of(&headers, &query);
                let answer = answer(&context, path.as_str(), after, &query, &caller).await;
                answer.unwrap_or_else(ApiError::into_response)
            }
        })
        .boxed()
}

async fn answer(
    context: &Context,
    path: &str,
    after: After,
    query: &str,
    caller: &Caller,
) -> Result<Response, ApiError> {
    match target(path).ok_or(ApiError::NoSuchPage)? {
        Target::Everybody => everybody(context, query, caller).await,
        Target::User(user) => one(context, name_of_user(user)?.as_str(), caller).await,
        Target::Document(name, what) => {
            let doc = transport::document(name)?;
            match what {
                What::People => {
                    context.gate.check(caller, &doc, Right::Read).await?;
                    people(context, &doc).await
                }
                What::Events => {
                    let listener = context.listener(caller, &doc, after).await?;
                    Ok(sse(context.directory.attendance(&doc).await.listen(after), listener))
                }
                What::Poll => {
                    let listener = context.listener(caller, &doc, after).await?;
                    poll(context.directory.attendance(&doc).await.listen(after), listener).await
                }
            }
        }
    }
}

/// The name of a user, which stands in a path as one encoded segment.
pub(super) fn name_of_user(segment: &str) -> Result<UserId, ApiError> {
    let name = percent_decode_str(segment).decode_utf8().map_err(|_| ApiError::BadUserName)?;
    UserId::new(&name).ok_or(ApiError::BadUserName)
}

async fn people(context: &Context, doc: &DocId) -> Result<Response, ApiError> {
    let snapshot = context.directory.attendance(doc).await.feed().snapshot();
    let people = str::from_utf8(snapshot.data()).map_err(|_| ApiError::Internal)?;
    let next = snapshot.id.map(|id| id.to_string()).unwrap_or_default();
    // The snapshot is an object, and has people in it.
    let body = format!("{},\"next\":\"{next}\"}}", people.trim_end_matches('}'));
    Ok(error::answer(StatusCode::OK, "application/json", body))
}

/// Where somebody is, as far as the caller may read the documents.
async fn one(context: &Context, user: &str, caller: &Caller) -> Result<Response, ApiError> {
    #[derive(Serialize)]
    struct Body<'a> {
        user: &'a str,
        online: bool,
        docs: Vec<&'a str>,
        last_seen: Option<u64>,
    }
    let identity = context.gate.identify(caller, None).await?;
    let live = context.gate.live();
    let is_seen = |doc: &DocId| {
        let granted = identity.grants.on(doc);
        granted.is_some_and(|granted| live.left(&identity, doc, granted).is_some())
    };
    let directory = &context.directory;
    let mut sighting = directory.sighting(&PersonKey::Known(user.into())).await;
    if sighting == Sighting::default() && !context.access.has_keys() {
        sighting = directory.sighting(&PersonKey::Claimed(user.into())).await;
    }
    let is_self = identity.subject.as_deref() == Some(user);
    let docs: Vec<_> =
        sighting.docs.iter().filter(|doc| is_self || is_seen(doc)).map(DocId::as_str).collect();
    let last = sighting.last.as_ref().filter(|(_, doc)| is_self || is_seen(doc));
    let body = Body { user, online: !docs.is_empty(), docs, last_seen: last.map(|(at, _)| *at) };
    Ok(error::json(StatusCode::OK, &body))
}

/// Everybody who is online, for who administers the server.
async fn everybody(context: &Context, query: &str, caller: &Caller) -> Result<Response, ApiError> {
    #[derive(Serialize)]
    struct Person {
        person: String,
        docs: Vec<String>,
    }
    #[derive(Serialize)]
    struct Body {
        people: Vec<Person>,
        next: Option<String>,
    }
    context.gate.check_server(caller).await?;
    let (after, limit) = page(query)?;
    let found = context.directory.online(after.as_ref(), limit + 1).await;
    let next = found.get(limit).and_then(|_| found.get(limit.saturating_sub(1)));
    let next = next.map(|(person, _)| person.to_string());
    let people = found.iter().take(limit).map(|(person, docs)| Person {
        person: person.to_string(),
        docs: docs.iter().map(|doc| doc.as_str().to_owned()).collect(),
    });
    Ok(error::json(StatusCode::OK, &Body { people: people.collect(), next }))
}

/// Behind whom, and how many.
fn page(query: &str) -> Result<(Option<PersonKey>, usize), ApiError> {
    let (mut after, mut limit) = (None, PAGE);
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        match name.as_ref() {
            "after" => {
                after =
                    Some(PersonKey::parse(&value).ok_or_else(|| {
                        ApiError::BadQuery("after is the next of the last answer".to_owned())
                    })?);
            }
            "limit" => {
                let given = value.parse().ok().filter(|limit| (1..=LARGEST_PAGE).contains(limit));
                let wrong = || ApiError::BadQuery(format!("limit is a number from 1 to {LARGEST_PAGE}"));
                limit = given.ok_or_else(wrong)?;
            }
            "token" => {}
            other => {
                return Err(ApiError::BadQuery(format!(
                    "there is no parameter {other:?}, only after and limit"
                )));
            }
        }
    }
    Ok((after, limit))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths() {
        assert_eq!(target("/v1/docs/a%2Fb/presence"), Some(Target::Document("a%2Fb", What::People)));
        assert_eq!(target("/v1/docs/a/events"), Some(Target::Document("a", What::Events)));
        assert_eq!(target("/v1/docs/a/events/poll"), Some(Target::Document("a", What::Poll)));
        assert_eq!(target("/v1/users/ada/presence"), Some(Target::User("ada")));
        assert_eq!(target("/v1/presence"), Some(Target::Everybody));
        for other in ["/v1/docs/a/b/presence", "/v1/docs/a", "/v1/users/a/b/presence", "/v1/docs/a/events/x"]
        {
            assert_eq!(target(other), None, "{other}");
        }
        assert_eq!(name_of_user("a%20b").unwrap().as_str(), "a b");
        for wrong in ["", "%ff", "%0a", &"a".repeat(256)] {
            assert_eq!(name_of_user(wrong), Err(ApiError::BadUserName), "{wrong}");
        }
    }

    #[test]
    fn pages() {
        let known = PersonKey::Known("ada:x".into());
        assert_eq!(page("after=user%3Aada%3Ax&limit=7"), Ok((Some(known), 7)));
        assert_eq!(page("token=x"), Ok((None, PAGE)));
        for wrong in ["limit=0", "limit=1001", "after=x", "x=1"] {
            assert!(matches!(page(wrong), Err(ApiError::BadQuery(_))), "{wrong}");
        }
    }
}
