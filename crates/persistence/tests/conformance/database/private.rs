//! Connections over TLS, to a server with a certificate of its own.

use std::fs;
use std::path::Path;

use quire_persistence::{DocumentStore, PostgresStore, PostgresUrl, StoreError, Use};
use quire_testkit::postgres::{Database, Server};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};

use crate::updates::{append, append_each};

/// An authority in a file, and a certificate of it for this machine with its key.
fn certificate(file: &Path) -> (String, String) {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    fs::write(file, authority.pem()).unwrap();
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
    (params.signed_by(&key, &authority).unwrap().pem(), key.serialize_pem())
}

fn open(database: &Database, parameters: &str) -> Result<PostgresStore, quire_persistence::OpenError> {
    let url = PostgresUrl::parse(&format!("{}?{parameters}", database.url())).unwrap();
    PostgresStore::open(&url, Use::Shared)
}

#[test]
fn a_certificate_is_looked_at_where_that_was_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name);
    let (certificate_of_server, key) = certificate(&file("ca.pem"));
    certificate(&file("other.pem"));
    let server = Server::start_private(&certificate_of_server, &key);
    let database = server.database();
    let private = "SELECT bool_and(ssl) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE application_name = 'quire'";
    for parameters in
        [format!("sslmode=verify-full&sslrootcert={}", file("ca.pem").display()), "sslmode=prefer".to_owned()]
    {
        let store = open(&database, &parameters).unwrap();
        append_each(&store, "a", &["x".into()]);
        assert_eq!(database.sql(private), "t", "{parameters}");
    }
    let store = open(&database, "sslmode=disable").unwrap();
    append_each(&store, "a", &["x".into()]);
    assert_eq!(database.sql(private), "f");
    for parameters in [format!("sslrootcert={}", file("other.pem").display()), "sslmode=require".to_owned()] {
        let error = open(&database, &parameters).unwrap_err().to_string();
        assert!(error.contains("TLS") && error.contains("ertificate"), "{error}");
    }
    let error =
        open(&database, &format!("sslrootcert={}", file("none.pem").display())).unwrap_err().to_string();
    assert!(error.contains("none.pem"), "{error}");
    server.stop();
    assert!(matches!(store.append(&[append("a", "x")]), Err(StoreError::Engine(_))));
}
