//! Whom to trust, and who we are: the TLS configuration.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};

/// Names the bundle of trusted authorities, as OpenSSL and its users know it.
const BUNDLE_VARIABLE: &str = "SSL_CERT_FILE";
/// Where distributions keep that bundle. One file: the directory beside it holds the same certificates,
/// one a file, and costs several times as much to read.
const BUNDLES: [&str; 5] = [
    "/etc/ssl/certs/ca-certificates.crt", // Debian, Ubuntu, Arch
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem", // Fedora, RHEL
    "/etc/pki/tls/certs/ca-bundle.crt",   // Amazon Linux, older RHEL
    "/etc/ssl/ca-bundle.pem",             // SUSE
    "/etc/ssl/cert.pem",                  // Alpine
];

/// The files that TLS needs.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tls {
    pub ca_file: Option<PathBuf>,
    pub client_cert: Option<PathBuf>,
    pub client_key: Option<PathBuf>,
}

impl Tls {
    /// For connections without TLS: it trusts nobody, and reads no file.
    pub(crate) fn none() -> Result<ClientConfig, String> {
        Ok(builder()?
            .with_root_certificates(RootCertStore::empty())
            .with_no_client_auth())
    }

    /// Reads the files. The system's bundle is read only without a `ca_file`.
    ///
    /// # Errors
    ///
    /// A sentence that names the file and what is wrong with it.
    pub(crate) fn config(&self) -> Result<ClientConfig, String> {
        let roots = match &self.ca_file {
            Some(path) => own_roots(path)?,
            None => system_roots()?,
        };
        let builder = builder()?.with_root_certificates(roots);
        let mut config = match &self.client_cert {
            None => builder.with_no_client_auth(),
            Some(path) => {
                let chain = certificates(path)?;
                let key = self.client_key.as_ref().unwrap_or(path);
                let private = PrivateKeyDer::from_pem_file(key)
                    .map_err(|error| format!("{} holds no private key: {error}", key.display()))?;
                builder
                    .with_client_auth_cert(chain, private)
                    .map_err(|error| format!("{} and its key cannot be used: {error}", path.display()))?
            }
        };
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(config)
    }
}

fn builder() -> Result<rustls::ConfigBuilder<ClientConfig, rustls::WantsVerifier>, String> {
    // ring by name: without a provider of its own, rustls asks for one that the process installed.
    ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())
}

fn own_roots(path: &Path) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(path)? {
        roots.add(certificate).map_err(|error| {
            format!(
                "{} holds a certificate that cannot be used: {error}",
                path.display()
            )
        })?;
    }
    Ok(roots)
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let all: Result<Vec<_>, _> = CertificateDer::pem_file_iter(path).and_then(Iterator::collect);
    match all {
        Ok(all) if all.is_empty() => Err(format!("{} holds no certificate in PEM form", path.display())),
        Ok(all) => Ok(all),
        Err(error) => Err(format!("{} cannot be read: {error}", path.display())),
    }
}

fn system_roots() -> Result<RootCertStore, String> {
    let path = match std::env::var_os(BUNDLE_VARIABLE) {
        Some(path) => PathBuf::from(path),
        None => BUNDLES
            .iter()
            .map(PathBuf::from)
            .find(|path| path.exists())
            .ok_or_else(|| {
                format!(
                    "this host has no bundle of trusted authorities (looked for {})",
                    BUNDLES.join(", ")
                )
            })?,
    };
    let mut roots = RootCertStore::empty();
    // Bundles hold certificates that webpki does not take: those are left out, as every client does.
    let (added, _) = roots.add_parsable_certificates(certificates(&path)?);
    if added == 0 {
        return Err(format!("{} holds no usable certificate", path.display()));
    }
    Ok(roots)
}
