//! The certificates that AWS's endpoints are verified against.

use std::path::{Path, PathBuf};
use std::{env, fs};

use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

/// Variables that name a bundle, in the order in which they count: the SDKs' own, then OpenSSL's.
const VARIABLES: [&str; 2] = ["AWS_CA_BUNDLE", "SSL_CERT_FILE"];

/// Where distributions keep the one file with all roots: Debian, Fedora and Amazon Linux, SUSE, Alpine.
/// The folder of single files beside it holds the same certificates and costs five times as long to read.
const BUNDLES: [&str; 4] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// The roots in PEM, or a sentence that says why there are none.
pub(crate) fn pem() -> Result<Vec<u8>, String> {
    let named = VARIABLES
        .iter()
        .find_map(|name| Some((*name, env::var_os(name).filter(|value| !value.is_empty())?)));
    let (path, source) = match named {
        Some((name, value)) => (PathBuf::from(value), format!("{name} names")),
        None => {
            let Some(found) = BUNDLES.iter().map(Path::new).find(|path| path.exists()) else {
                return Err(format!(
                    "no CA bundle in any of {}; install ca-certificates or set SSL_CERT_FILE",
                    BUNDLES.join(", ")
                ));
            };
            (found.to_owned(), "this host's CA bundle is".to_owned())
        }
    };
    let bytes = fs::read(&path)
        .map_err(|error| format!("{source} {}, which cannot be read: {error}", path.display()))?;
    let usable = usable(&String::from_utf8_lossy(&bytes));
    if usable.is_empty() {
        return Err(format!(
            "{source} {}, which holds no usable certificate",
            path.display()
        ));
    }
    Ok(usable.into_bytes())
}

/// The certificates of a bundle that can serve as a root. The SDK panics at one that cannot, and a system's
/// bundle may hold some (version 1 certificates of the nineties).
fn usable(pem: &str) -> String {
    const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
    const END: &str = "-----END CERTIFICATE-----";
    let mut kept = String::new();
    let mut rest = pem;
    while let Some((_, after)) = rest.split_once(BEGIN) {
        let Some((body, after)) = after.split_once(END) else {
            break;
        };
        let block = format!("{BEGIN}{body}{END}\n");
        let fits = CertificateDer::from_pem_slice(block.as_bytes())
            .is_ok_and(|certificate| RootCertStore::empty().add(certificate).is_ok());
        if fits {
            kept.push_str(&block);
        }
        rest = after;
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_damaged_certificate_is_left_out_and_its_neighbours_stay() {
        let Ok(bundle) = fs::read_to_string(BUNDLES[0]) else {
            println!("skipped: this host has no {}", BUNDLES[0]);
            return;
        };
        let whole = usable(&bundle);
        assert!(whole.matches("BEGIN CERTIFICATE").count() > 10);
        let damaged = format!("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n{bundle}");
        assert_eq!(usable(&damaged), whole);
        assert_eq!(usable("no certificate at all"), "");
    }
}
