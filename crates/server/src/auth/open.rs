//! No keys: everybody is anonymous.

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use quire_sync_protocol::DocId;

use super::authorizer::{Authorizer, Identity, Refusal};
use super::caller::Caller;
use super::grants::{Grants, Right};

/// Lets everybody in. Whoever is on this machine may do everything if only this machine can reach the server; others
/// read and write. Who comes through a proxy is not on this machine.
#[derive(Clone, Debug)]
pub(crate) struct Open {
    on_loopback: bool,
    here: Grants,
    elsewhere: Grants,
}

impl Open {
    /// `on_loopback`: only this machine can reach the address that is listened on.
    pub(crate) fn new(on_loopback: bool) -> Self {
        Self {
            on_loopback,
            here: Grants::everywhere(Right::Admin),
            elsewhere: Grants::everywhere(Right::Write),
        }
    }
}

impl Authorizer for Open {
    fn authorize<'a>(
        &'a self,
        caller: &'a Caller,
        _doc: Option<&'a DocId>,
    ) -> BoxFuture<'a, Result<Identity, Refusal>> {
        let is_here = self.on_loopback && caller.is_on_this_machine();
        let grants = if is_here { &self.here } else { &self.elsewhere };
        std::future::ready(Ok(Identity::anonymous(grants.clone()))).boxed()
    }
}

/// Asks somebody else about those who show a token; the others read and write.
#[derive(Clone, Debug)]
pub(crate) struct OrAnonymous<A> {
    known: A,
    unknown: Grants,
}

impl<A> OrAnonymous<A> {
    pub(crate) fn new(known: A) -> Self {
        Self { known, unknown: Grants::everywhere(Right::Write) }
    }
}

impl<A: Authorizer> Authorizer for OrAnonymous<A> {
    fn authorize<'a>(
        &'a self,
        caller: &'a Caller,
        doc: Option<&'a DocId>,
    ) -> BoxFuture<'a, Result<Identity, Refusal>> {
        async move {
            match self.known.authorize(caller, doc).await {
                Err(Refusal::NoCredentials) => Ok(Identity::anonymous(self.unknown.clone())),
                known => known,
            }
        }
        .boxed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_who_is_on_this_machine_has_every_right() {
        for (on_loopback, address, forwarded, admin) in [
            (true, [127, 0, 0, 1], false, true),
            (true, [127, 0, 0, 1], true, false),
            (false, [127, 0, 0, 1], false, false),
            (false, [10, 0, 0, 1], false, false),
        ] {
            let mut headers = http::HeaderMap::new();
            if forwarded {
                headers.insert("x-forwarded-for", "10.0.0.1".parse().unwrap());
            }
            let caller = Caller::new((address, 1).into(), &headers, "");
            let identity = Open::new(on_loopback).authorize(&caller, None).await.unwrap();
            assert_eq!(identity.grants.is_admin_of_all(), admin, "{on_loopback} {address:?} {forwarded}");
            let doc = DocId::new("a").unwrap();
            assert!(identity.grants.on(&doc).unwrap().right >= Right::Write);
        }
    }
}
