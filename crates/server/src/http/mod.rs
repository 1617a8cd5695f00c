//! The HTTP routes, as warp filters.
//!
//! Filters only take requests apart; what a route does stands in a function of its own that knows nothing of warp.

mod access;
mod admin;
mod body;
mod broadcast;
mod content;
mod documents;
mod error;
mod health;
mod metrics;
mod notifications;
mod pages;
mod presence;
mod watch;
mod ysweet;

use std::sync::Arc;

use ::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use ::http::{Method, StatusCode};
use quire_sync_protocol::DocId;
use quire_view::Pool;
use warp::Filter as _;
use warp::filters::BoxedFilter;
use warp::path::FullPath;

pub(crate) use body::read as read_body;
pub(crate) use error::{ApiError, Refusal, Refused, answer};

use crate::accept::{Peer, Routes};
use crate::auth::{Caller, Gate, Ledger, Right};
use crate::config::Access;
use crate::doc::Directory;
use crate::notify::Notifications;
use crate::stream::{After, Listener};
use crate::transport::{Audience, Comes, Upgrades};
use crate::watch::Watches;

/// An answer of the server.
pub(crate) type Response = warp::reply::Response;

/// What the routes work with. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Context {
    pub(crate) directory: Directory,
    pub(crate) pool: Pool,
    pub(crate) watches: Watches,
    pub(crate) gate: Gate,
    /// Where those who listen are counted.
    pub(crate) doors: Upgrades,
    pub(crate) ledger: Ledger,
    pub(crate) notifications: Notifications,
    /// What tokens for others are signed with.
    pub(crate) access: Arc<Access>,
    /// The most bytes of a request's body.
    pub(crate) max_body: usize,
    /// The server itself speaks TLS.
    pub(crate) is_secure: bool,
}

impl Context {
    /// Lets somebody listen to what concerns a document, who may read it. 401, 403 and 429 as for editors.
    pub(crate) async fn listener(
        &self,
        caller: &Caller,
        doc: &DocId,
        after: After,
    ) -> Result<Listener, ApiError> {
        let permit = self.gate.check(caller, doc, Right::Read).await?;
        let pass = self.gate.enter(&permit, doc);
        let user = permit.identity().subject.as_ref();
        let comes = if after.goes_on() { Comes::Again } else { Comes::Anew };
        self.doors.listen(pass, Right::Read, &Audience { peer: caller.peer, user, doc: Some(doc), comes })
    }
}

/// All routes, with an answer for whatever matches none.
pub(crate) fn routes(context: &Context) -> Routes {
    let operations = health::route(context).or(metrics::route(context)).unify();
    let answers = pages::route().or(operations).unify().or(content::route(context)).unify();
    let answers = answers.or(documents::route(context)).unify().or(admin::route(context)).unify();
    let answers = answers.or(access::route(context)).unify().or(ysweet::route(context)).unify();
    let answers = answers.or(presence::route(context)).unify().or(notifications::route(context)).unify();
    let answers = answers.or(broadcast::route(context)).unify().or(watch::route(context)).unify();
    Routes::new(warp::service(answers.or(nothing()).unify()))
}

/// What is for monitoring alone, to be asked without a token at an address that only the monitoring reaches.
pub(crate) fn operations(context: &Context) -> Routes {
    let answers = health::route(context).or(metrics::open_route(context)).unify();
    Routes::new(warp::service(answers.or(warp::any().map(|| ApiError::NoSuchPage.into_response())).unify()))
}

/// Passes requests that only read.
fn reading() -> BoxedFilter<()> {
    warp::method()
        .and_then(async |method: Method| {
            if method == Method::GET || method == Method::HEAD {
                Ok(())
            } else {
                Err(warp::reject::not_found())
            }
        })
        .untuple_one()
        .boxed()
}

/// Requests that a part of the API answers, by what it says of their paths.
fn asked(methods: fn(&str) -> Option<&'static str>) -> BoxedFilter<(FullPath, Method)> {
    warp::path::full()
        .and(warp::method())
        .and_then(move |path: FullPath, method: Method| async move {
            let is_answered = methods(path.as_str()).is_some_and(|allow| allows(allow, &method));
            if is_answered { Ok((path, method)) } else { Err(warp::reject::not_found()) }
        })
        .untuple_one()
        .boxed()
}

/// Whether a method is among those of a header `Allow`.
fn allows(allow: &str, method: &Method) -> bool {
    allow.split(", ").any(|allowed| allowed == method.as_str())
}

/// The query string, empty if there is none.
fn query() -> BoxedFilter<(String,)> {
    warp::query::raw().or(warp::any().map(String::new)).unify().boxed()
}

/// Who sends the request, for [`Gate::check`].
fn caller() -> BoxedFilter<(Caller,)> {
    warp::header::headers_cloned()
        .and(query())
        .and(warp::ext::get::<Peer>())
        .map(|headers: HeaderMap, query: String, Peer(peer)| Caller::new(peer, &headers, &query))
        .boxed()
}

/// The last route: says why none before it matched.
fn nothing() -> BoxedFilter<(Response,)> {
    warp::path::full()
        .and(warp::method())
        .map(|path: FullPath, method: Method| {
            let path = path.as_str();
            let is_read = pages::exists(path)
                || health::exists(path)
                || metrics::exists(path)
                || content::name(path).is_some();
            let allow = if is_read {
                Some("GET, HEAD").filter(|_| method != Method::GET && method != Method::HEAD)
            } else {
                documents::methods(path)
                    .or_else(|| admin::methods(path))
                    .or_else(|| access::methods(path))
                    .or_else(|| ysweet::methods(path))
                    .or_else(|| presence::methods(path))
                    .or_else(|| notifications::methods(path))
                    .or_else(|| broadcast::methods(path))
                    .or_else(|| watch::methods(path))
                    .filter(|allow| !allows(allow, &method))
            };
            allow.map_or(ApiError::NoSuchPage, |allow| ApiError::MethodNotAllowed { allow }).into_response()
        })
        .boxed()
}

/// Headers that every answer carries unless its route has set others.
pub(crate) fn secure(headers: &mut HeaderMap) {
    const DEFAULTS: [(HeaderName, &str); 3] = [
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        // An answer that is no page of ours runs nothing and is shown in no frame, whatever a document holds.
        (header::CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'; sandbox"),
    ];
    for (name, value) in DEFAULTS {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
}
