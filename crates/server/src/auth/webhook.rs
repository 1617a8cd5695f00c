//! Asking the application who somebody is.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use http::{StatusCode, Uri};
use quire_sync_protocol::DocId;
use serde::Serialize;
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout};

use super::authorizer::{Authorizer, Identity, Refusal};
use super::caller::{Caller, Token};
use super::claims::{Claims, Expected};
use crate::fetch::{Bounds, FetchError, Fetcher};

/// Questions at the same time.
const AT_A_TIME: usize = 64;

/// Answers that are kept.
const ANSWERS: usize = 10_000;

/// Bytes of an answer.
const ANSWER_BYTES: usize = 64 << 10;

/// How long a refusal is kept, so that a client that keeps coming back costs the application little.
const REFUSED_FOR: Duration = Duration::from_secs(2);

/// How the application is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct WebhookConfig {
    pub(crate) uri: Uri,
    /// For one answer, waiting for a place included.
    pub(crate) timeout: Duration,
    /// How long an answer is kept.
    pub(crate) cache: Duration,
}

/// Knows people by asking the application. Whoever it does not answer for is nobody.
#[derive(Debug)]
pub(crate) struct Webhook {
    config: WebhookConfig,
    fetcher: Fetcher,
    places: Semaphore,
    answers: Mutex<HashMap<Question, Answer>>,
}

/// What was asked: what was shown, and about which document.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Question {
    token: Option<Token>,
    cookies: Option<Token>,
    doc: Option<DocId>,
}

#[derive(Clone, Debug)]
struct Answer {
    known: Result<Identity, Refusal>,
    until: Instant,
}

/// The question as it is sent.
#[derive(Debug, Serialize)]
struct Body<'a> {
    token: Option<&'a str>,
    cookie: Option<&'a str>,
    document: Option<&'a str>,
    address: String,
}

impl Webhook {
    pub(crate) fn new(config: WebhookConfig) -> Result<Self, FetchError> {
        let fetcher = Fetcher::new()?;
        Ok(Self { config, fetcher, places: Semaphore::new(AT_A_TIME), answers: Mutex::default() })
    }

    async fn who(&self, caller: &Caller, doc: Option<&DocId>) -> Result<Identity, Refusal> {
        let question =
            Question { token: caller.token.clone(), cookies: caller.cookies.clone(), doc: doc.cloned() };
        if question.token.is_none() && question.cookies.is_none() {
            return Err(Refusal::NoCredentials);
        }
        if let Some(known) = self.kept(&question) {
            return known;
        }
        let body = Body {
            token: question.token.as_ref().map(Token::expose),
            cookie: question.cookies.as_ref().map(Token::expose),
            document: doc.map(DocId::as_str),
            address: caller.peer.ip().to_string(),
        };
        let Ok(body) = serde_json::to_vec(&body) else {
            return Err(Refusal::Bad("it cannot be asked about"));
        };
        let bounds = Bounds { time: self.config.timeout, bytes: ANSWER_BYTES };
        let asking = async {
            let place = self.places.acquire().await;
            let answer = self.fetcher.post(&self.config.uri, body, bounds).await;
            drop(place);
            answer
        };
        let answer = timeout(self.config.timeout, asking).await;
        let answer = answer.unwrap_or(Err(FetchError::Late(self.config.timeout)));
        let answer = answer.map_err(|error| Refusal::Unavailable(error.to_string()))?;
        let known = understood(answer.status, &answer.body);
        self.keep(question, &known);
        known
    }

    fn kept(&self, question: &Question) -> Option<Result<Identity, Refusal>> {
        let answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        let answer = answers.get(question).filter(|answer| Instant::now() < answer.until)?;
        Some(answer.known.clone())
    }

    fn keep(&self, question: Question, known: &Result<Identity, Refusal>) {
        let now = Instant::now();
        let time = match known {
            Ok(identity) => {
                let left =
                    identity.expires.map(|at| at.duration_since(SystemTime::now()).unwrap_or_default());
                left.map_or(self.config.cache, |left| left.min(self.config.cache))
            }
            // What could not be understood is asked again.
            Err(Refusal::Unavailable(_)) => return,
            Err(_) => REFUSED_FOR.min(self.config.cache),
        };
        let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        if answers.len() >= ANSWERS {
            answers.retain(|_, answer| now < answer.until);
        }
        if answers.len() < ANSWERS {
            answers.insert(question, Answer { known: known.clone(), until: now + time });
        }
    }
}

impl Authorizer for Webhook {
    fn authorize<'a>(
        &'a self,
        caller: &'a Caller,
        doc: Option<&'a DocId>,
    ) -> BoxFuture<'a, Result<Identity, Refusal>> {
        self.who(caller, doc).boxed()
    }
}

/// What an answer means. Only a plain yes lets somebody in.
fn understood(status: StatusCode, body: &[u8]) -> Result<Identity, Refusal> {
    match status {
        StatusCode::OK => {}
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN | StatusCode::NOT_FOUND => {
            return Err(Refusal::Bad("the application does not know who this is"));
        }
        other => return Err(Refusal::Unavailable(format!("the application answers {}", other.as_u16()))),
    }
    let claims = Claims::from_json(body).map_err(|reason| {
        Refusal::Unavailable(format!("the application's answer cannot be read: {reason}"))
    })?;
    let now = SystemTime::now();
    let lasts = claims.exp.is_some();
    // The application may leave the time open: then it is asked again for the next connection.
    let claims = Claims { exp: claims.exp.or(Some(super::claims::Seconds::of(now))), ..claims };
    let identity = claims.identity(&Expected::default(), None, now)?;
    Ok(Identity {
        expires: identity.expires.filter(|_| lasts),
        // What was asked just now is as new as can be.
        issued: identity.issued.or(Some(now)),
        ..identity
    })
}

#[cfg(test)]
mod tests {
    use super::super::grants::Right;
    use super::*;

    #[test]
    fn only_a_plain_yes_lets_somebody_in() {
        let yes = br#"{"sub":"ada","docs":[{"name":"a","access":"write"}]}"#;
        let ada = understood(StatusCode::OK, yes).unwrap();
        assert_eq!((ada.subject.as_deref(), ada.expires), (Some("ada"), None));
        assert_eq!(ada.grants.on(&DocId::new("a").unwrap()).unwrap().right, Right::Write);
        for status in [401, 403, 404] {
            let refusal = understood(StatusCode::from_u16(status).unwrap(), yes);
            assert!(matches!(refusal, Err(Refusal::Bad(_))), "{status}");
        }
        for status in [201, 204, 302, 400, 429, 500, 503] {
            let refusal = understood(StatusCode::from_u16(status).unwrap(), yes);
            assert!(matches!(refusal, Err(Refusal::Unavailable(_))), "{status}");
        }
        for body in [&b""[..], b"yes", b"[]", br#"{"docs":"all"}"#] {
            assert!(matches!(understood(StatusCode::OK, body), Err(Refusal::Unavailable(_))), "{body:?}");
        }
        let ended = br#"{"sub":"ada","exp":1,"docs":[]}"#;
        assert!(matches!(understood(StatusCode::OK, ended), Err(Refusal::Expired(_))));
    }
}
