//! Certificates made for one test: an authority, and what it signs.

use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose, SanType, date_time_ymd,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};

/// An authority that nobody trusts who is not told to.
#[derive(Debug)]
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
}

/// A certificate and its key.
#[derive(Debug)]
pub struct Certified {
    /// The certificate in PEM form.
    pub certificate: String,
    /// Its private key in PEM form.
    pub key: String,
    der: CertificateDer<'static>,
    key_der: Vec<u8>,
}

impl Authority {
    /// Makes one.
    ///
    /// # Panics
    ///
    /// Never in practice: its parameters are constants.
    #[must_use]
    pub fn new() -> Self {
        // Two authorities of one name would be told apart by their signatures only.
        static MADE: AtomicU32 = AtomicU32::new(0);
        let number = MADE.fetch_add(1, Ordering::Relaxed);
        let mut parameters = CertificateParams::default();
        parameters
            .distinguished_name
            .push(DnType::CommonName, format!("Test Authority {number}"));
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        parameters.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate().expect("a key");
        Self {
            issuer: CertifiedIssuer::self_signed(parameters, key).expect("an authority"),
        }
    }

    /// Its own certificate in PEM form, for those who shall trust it.
    #[must_use]
    pub fn pem(&self) -> String {
        self.issuer.pem()
    }

    /// Its own certificate in a file of `directory`.
    ///
    /// # Panics
    ///
    /// Where the file cannot be written.
    #[must_use]
    pub fn file(&self, directory: &tempfile::TempDir) -> PathBuf {
        write(directory, "ca.pem", &self.pem())
    }

    /// A certificate for these names and addresses, valid today.
    #[must_use]
    pub fn certify(&self, names: &[&str]) -> Certified {
        self.sign(names, 2099)
    }

    /// A certificate that has expired.
    #[must_use]
    pub fn certify_expired(&self, names: &[&str]) -> Certified {
        self.sign(names, 2001)
    }

    fn sign(&self, names: &[&str], until: i32) -> Certified {
        let mut parameters = CertificateParams::default();
        parameters.not_before = date_time_ymd(2000, 1, 1);
        parameters.not_after = date_time_ymd(until, 1, 1);
        parameters.extended_key_usages = vec![
            ExtendedKeyUsagePurpose::ServerAuth,
            ExtendedKeyUsagePurpose::ClientAuth,
        ];
        parameters.subject_alt_names = names
            .iter()
            .map(|name| match name.parse::<IpAddr>() {
                Ok(address) => SanType::IpAddress(address),
                Err(_) => SanType::DnsName((*name).try_into().expect("a name in ASCII")),
            })
            .collect();
        let key = KeyPair::generate().expect("a key");
        let certificate = parameters.signed_by(&key, &self.issuer).expect("a certificate");
        Certified {
            certificate: certificate.pem(),
            key: key.serialize_pem(),
            der: certificate.der().clone(),
            key_der: key.serialize_der(),
        }
    }
}

impl Default for Authority {
    fn default() -> Self {
        Self::new()
    }
}

impl Certified {
    /// What a server that shows this certificate answers a handshake with. With `clients`, it demands a
    /// certificate that this authority has signed.
    ///
    /// # Panics
    ///
    /// Never in practice: certificate and key were made for each other.
    #[must_use]
    pub fn server(&self, clients: Option<&Authority>) -> Arc<ServerConfig> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .expect("ring knows the default versions");
        let builder = match clients {
            None => builder.with_no_client_auth(),
            Some(authority) => {
                let mut roots = RootCertStore::empty();
                roots.add(authority.issuer.der().clone()).expect("an authority");
                let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
                builder.with_client_cert_verifier(verifier.build().expect("a verifier"))
            }
        };
        let key = PrivateKeyDer::try_from(self.key_der.clone()).expect("a key as it was made");
        Arc::new(
            builder
                .with_single_cert(vec![self.der.clone()], key)
                .expect("a key that fits"),
        )
    }

    /// Certificate and key in files of `directory`.
    ///
    /// # Panics
    ///
    /// Where a file cannot be written.
    #[must_use]
    pub fn files(&self, directory: &tempfile::TempDir) -> (PathBuf, PathBuf) {
        (
            write(directory, "cert.pem", &self.certificate),
            write(directory, "key.pem", &self.key),
        )
    }
}

fn write(directory: &tempfile::TempDir, name: &str, text: &str) -> PathBuf {
    let path = directory.path().join(name);
    std::fs::write(&path, text).expect("a file in a directory of one's own");
    path
}
