//! Certificates made for one test.

use std::sync::Arc;

use rcgen::{CertifiedKey, generate_simple_self_signed};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;

/// A certificate for `127.0.0.1` and `localhost` that nobody trusts who is not told to.
pub(crate) struct SelfSigned {
    /// The certificate, for those who shall trust it.
    pub(crate) pem: String,
    /// What a server answers the handshake with.
    pub(crate) acceptor: TlsAcceptor,
}

impl SelfSigned {
    /// Makes one.
    pub(crate) fn new() -> Self {
        let names = ["127.0.0.1".to_owned(), "localhost".to_owned()];
        let CertifiedKey { cert, signing_key } =
            generate_simple_self_signed(names).expect("a certificate for the loopback");
        let key = PrivateKeyDer::try_from(signing_key.serialize_der()).expect("a key as it was made");
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("ring knows the default versions")
            .with_no_client_auth()
            .with_single_cert(vec![cert.der().clone()], key)
            .expect("the key belongs to the certificate");
        Self {
            pem: cert.pem(),
            acceptor: TlsAcceptor::from(Arc::new(config)),
        }
    }
}
