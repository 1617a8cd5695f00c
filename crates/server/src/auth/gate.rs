//! The one way to a right.

use std::sync::Arc;

use quire_sync_protocol::{Dialect, DocId, SessionSetup};
use tracing::warn;

use super::authorizer::{Authorizer, Identity, Refusal};
use super::caller::Caller;
use super::claims::Expected;
use super::grants::{Right, Rights};
use super::jwt::Signed;
use super::live::{Live, Pass};
use super::open::{Open, OrAnonymous};
use super::ring::Ring;
use super::stamp::Stamp;
use super::ticket::{self, Tickets};
use super::webhook::Webhook;
use crate::config::{Access, Secret};
use crate::http::ApiError;

/// Decides what callers may do. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Gate {
    authorizer: Arc<dyn Authorizer>,
    /// The keys, where there are any.
    ring: Option<Ring>,
    live: Live,
    tickets: Tickets,
    stamps: bool,
}

/// Somebody who may do something with one document. Only the [`Gate`] makes them.
#[derive(Clone, Debug)]
pub(crate) struct Permit {
    identity: Arc<Identity>,
    /// What the grants give.
    granted: Rights,
    /// What is left of it after all that was taken back.
    rights: Rights,
}

impl Permit {
    /// Who it is.
    pub(crate) fn identity(&self) -> &Arc<Identity> {
        &self.identity
    }

    /// What may be done with the document.
    pub(crate) fn rights(&self) -> Rights {
        self.rights
    }

    pub(super) fn granted(&self) -> Rights {
        self.granted
    }

    /// How a session of this one joins the document.
    pub(crate) fn setup(&self, dialect: Dialect) -> SessionSetup {
        SessionSetup {
            access: self.rights.right.access(),
            presence: self.rights.presence,
            identity: self.identity.subject.clone(),
            dialect,
        }
    }

    #[cfg(test)]
    pub(super) fn for_tests(identity: Identity, rights: Rights) -> Self {
        Self { identity: Arc::new(identity), granted: rights, rights }
    }
}

impl Gate {
    /// The gate that the configuration asks for, or why there can be none. `on_loopback`: only this machine can reach the
    /// server. Blocking.
    pub(crate) fn of(access: &Access, on_loopback: bool, live: Live) -> Result<Self, String> {
        if access.secret.as_ref().is_some_and(Secret::is_weak) {
            warn!("the secret for tokens is so short that it can be found by trying; use 32 random bytes");
        }
        let mut ring = None;
        let authorizer: Arc<dyn Authorizer> = if let Some(webhook) = &access.webhook {
            let asked = Webhook::new(webhook.clone()).map_err(|error| error.to_string())?;
            if access.allow_anonymous { Arc::new(OrAnonymous::new(asked)) } else { Arc::new(asked) }
        } else if access.has_keys() {
            let keys = access.ring()?;
            ring = Some(keys.clone());
            let expected = Expected { audience: access.audience.clone(), issuer: access.issuer.clone() };
            let signed = Signed::new(keys, expected);
            if access.allow_anonymous { Arc::new(OrAnonymous::new(signed)) } else { Arc::new(signed) }
        } else {
            Arc::new(Open::new(on_loopback))
        };
        let stamps = access.has_keys() && access.stamp_presence;
        Ok(Self { authorizer, ring, live, tickets: Tickets::default(), stamps })
    }

    /// Keeps what the gate knows up to date, for as long as it is polled.
    pub(crate) async fn keep_fresh(self) {
        if let Some(ring) = self.ring {
            ring.keep_fresh().await;
        }
    }

    /// Whether the caller has at least this right on the document: 401 if nobody is known by what it shows, 403 if somebody
    /// is who has not. Says nothing of whether the document exists. Uses a ticket up, so it is to be asked once for a
    /// request. Cancel safe.
    pub(crate) async fn check(
        &self,
        caller: &Caller,
        doc: &DocId,
        needed: Right,
    ) -> Result<Permit, ApiError> {
        let identity = Arc::new(self.identify(caller, Some(doc)).await?);
        let granted = identity.grants.on(doc);
        let rights = granted.and_then(|granted| self.live.left(&identity, doc, granted));
        match (granted, rights) {
            (Some(granted), Some(rights)) if rights.right >= needed => {
                Ok(Permit { identity, granted, rights })
            }
            (Some(_), None) => Err(ApiError::Unauthorized(Refusal::Revoked.to_string())),
            (_, rights) => {
                let found = rights.map_or("none", |rights| rights.right.as_str());
                let who = identity.subject.as_deref().unwrap_or("anonymous");
                Err(ApiError::Forbidden(format!("{who:?} has {found} and needs {}", needed.as_str())))
            }
        }
    }

    /// Whether the caller may administer the server as a whole: `admin` on every name (the prefix ""). Cancel safe.
    pub(crate) async fn check_server(&self, caller: &Caller) -> Result<Identity, ApiError> {
        let identity = self.identify(caller, None).await?;
        if identity.grants.is_admin_of_all() {
            return Ok(identity);
        }
        let who = identity.subject.as_deref().unwrap_or("anonymous");
        Err(ApiError::Forbidden(format!("{who:?} does not administer the server")))
    }

    /// The same somebody once more, after a while: what was taken back meanwhile counts. Whether its credentials have ended is
    /// not asked.
    pub(crate) fn again(&self, permit: &Permit, doc: &DocId) -> Result<Permit, ApiError> {
        let left = self.live.left(&permit.identity, doc, permit.granted);
        match left.filter(|_| !self.live.is_revoked(&permit.identity)) {
            Some(rights) => Ok(Permit { rights, ..permit.clone() }),
            None => Err(ApiError::Unauthorized(Refusal::Revoked.to_string())),
        }
    }

    /// Who the caller is, whatever it may do. Cancel safe.
    pub(crate) async fn identify(&self, caller: &Caller, doc: Option<&DocId>) -> Result<Identity, ApiError> {
        let known = match &caller.token {
            Some(token) if ticket::is_ticket(token) => {
                self.tickets.redeem(token).ok_or(Refusal::Bad("the ticket has been used, or has expired"))
            }
            _ => self.authorizer.authorize(caller, doc).await,
        };
        match known {
            Ok(identity) if self.live.is_revoked(&identity) => {
                Err(ApiError::Unauthorized(Refusal::Revoked.to_string()))
            }
            Ok(identity) => Ok(identity),
            Err(refusal @ Refusal::Unavailable(_)) => Err(ApiError::CannotAuthorize(refusal.to_string())),
            Err(refusal) => Err(ApiError::Unauthorized(refusal.to_string())),
        }
    }

    /// A connection to the document begins.
    pub(crate) fn enter(&self, permit: &Permit, doc: &DocId) -> Pass {
        self.live.enter(permit, doc)
    }

    /// What is to be written into the presence of this one, if anything is.
    pub(crate) fn stamp(&self, identity: &Identity) -> Option<Stamp> {
        self.stamps.then(|| Stamp::of(identity))
    }

    /// Tickets, for the route that gives them out.
    pub(crate) fn tickets(&self) -> &Tickets {
        &self.tickets
    }

    /// Everybody who is connected, for the routes that take rights back.
    pub(crate) fn live(&self) -> &Live {
        &self.live
    }
}
