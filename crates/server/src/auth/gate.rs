//! The one way to a right.

use std::sync::Arc;

use quire_sync_protocol::{Dialect, DocId, SessionSetup};
use tracing::warn;

use super::authorizer::{Authorizer, Identity, Refusal};
use super::caller::Caller;
use super::claims::Expected;
use super::grants::{Right, Rights};
use super::jwt::Signed;
use super::keys::Key;
use super::open::{Open, OrAnonymous};
use crate::config::Access;
use crate::http::ApiError;

/// Decides what callers may do. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Gate {
    authorizer: Arc<dyn Authorizer>,
}

/// Somebody who may do something with one document. Only the [`Gate`] makes them.
#[derive(Clone, Debug)]
pub(crate) struct Permit {
    identity: Arc<Identity>,
    rights: Rights,
}

impl Permit {
    /// Who it is.
    pub(crate) fn identity(&self) -> &Arc<Identity> {
        &self.identity
    }

    #[allow(dead_code, reason = "for the routes and dialects to come")]
    /// The highest right on the document.
    pub(crate) fn right(&self) -> Right {
        self.rights.right
    }

    /// How a session of this one joins the document.
    pub(crate) fn setup(&self, dialect: Dialect) -> SessionSetup {
        SessionSetup { access: self.rights.right.access(), identity: self.identity.subject.clone(), dialect }
    }
}

impl Gate {
    pub(crate) fn new(authorizer: impl Authorizer + 'static) -> Self {
        Self { authorizer: Arc::new(authorizer) }
    }

    /// The gate that the configuration asks for. `on_loopback`: only this machine can reach the server.
    pub(crate) fn of(access: &Access, on_loopback: bool) -> Self {
        let Some(secret) = &access.secret else { return Self::new(Open::new(on_loopback)) };
        if secret.is_weak() {
            warn!("the secret for tokens is so short that it can be found by trying; use 32 random bytes");
        }
        let expected = Expected { audience: access.audience.clone(), issuer: access.issuer.clone() };
        let signed = Signed::new([Key::secret(secret.bytes())], expected);
        if access.allow_anonymous { Self::new(OrAnonymous::new(signed)) } else { Self::new(signed) }
    }

    /// Whether the caller has at least this right on the document: 401 if nobody is known by what it shows, 403 if somebody
    /// is who has not. Says nothing of whether the document exists. Cancel safe.
    pub(crate) async fn check(
        &self,
        caller: &Caller,
        doc: &DocId,
        needed: Right,
    ) -> Result<Permit, ApiError> {
        let identity = self.identify(caller, Some(doc)).await?;
        match identity.grants.on(doc) {
            Some(rights) if rights.right >= needed => Ok(Permit { identity, rights }),
            rights => {
                let found = rights.map_or("none", |rights| rights.right.as_str());
                let who = identity.subject.as_deref().unwrap_or("anonymous");
                Err(ApiError::Forbidden(format!("{who:?} has {found} and needs {}", needed.as_str())))
            }
        }
    }

    #[allow(dead_code, reason = "for the routes and dialects to come")]
    /// Whether the caller may administer the server as a whole: `admin` on every name (the prefix ""). Cancel safe.
    pub(crate) async fn check_server(&self, caller: &Caller) -> Result<Arc<Identity>, ApiError> {
        let identity = self.identify(caller, None).await?;
        if identity.grants.is_admin_of_all() {
            return Ok(identity);
        }
        let who = identity.subject.as_deref().unwrap_or("anonymous");
        Err(ApiError::Forbidden(format!("{who:?} does not administer the server")))
    }

    async fn identify(&self, caller: &Caller, doc: Option<&DocId>) -> Result<Arc<Identity>, ApiError> {
        match self.authorizer.authorize(caller, doc).await {
            Ok(identity) => Ok(Arc::new(identity)),
            Err(refusal @ Refusal::Unavailable(_)) => Err(ApiError::CannotAuthorize(refusal.to_string())),
            Err(refusal) => Err(ApiError::Unauthorized(refusal.to_string())),
        }
    }
}
