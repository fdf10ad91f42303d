//! TLS for the listener: certificates from files or self-signed, TLS 1.2 and 1.3, reloadable.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use sha2::{Digest as _, Sha256};

/// A server configuration from a PEM chain and its key; TLS 1.2 and newer, HTTP/2 and HTTP/1.1.
///
/// # Errors
/// Unreadable or empty files, or a key that does not belong to the certificate.
pub fn from_files(cert: &Path, key: &Path) -> anyhow::Result<Arc<ServerConfig>> {
    let chain = CertificateDer::pem_file_iter(cert)
        .with_context(|| format!("reading the certificate {}", cert.display()))?
        .collect::<Result<Vec<_>, _>>()
        .with_context(|| format!("the certificate {} is not PEM", cert.display()))?;
    anyhow::ensure!(!chain.is_empty(), "no certificate in {}", cert.display());
    let key_der = PrivateKeyDer::from_pem_file(key).with_context(|| format!("reading the key {}", key.display()))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .context("choosing TLS versions")?
        .with_no_client_auth()
        .with_single_cert(chain, key_der)
        .with_context(|| format!("the key {} does not fit the certificate {}", key.display(), cert.display()))?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

/// A self-signed certificate for `localhost`, the loopback addresses and `names`, made once and kept in `folder`.
///
/// Returns the configuration and the certificate's SHA-256 fingerprint. A certificate already there is used again as it is,
/// so that clients which pinned it go on working.
pub fn self_signed(folder: &Path, names: &[String]) -> anyhow::Result<(Arc<ServerConfig>, String)> {
    let cert = folder.join("cert.pem");
    let key = folder.join("key.pem");
    if !cert.exists() || !key.exists() {
        fs::create_dir_all(folder).with_context(|| format!("making {}", folder.display()))?;
        let mut hosts = vec!["localhost".to_owned(), "127.0.0.1".to_owned(), "::1".to_owned()];
        hosts.extend(names.iter().cloned());
        let made = rcgen::generate_simple_self_signed(hosts).context("making a self-signed certificate")?;
        let mut file = fs::OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&key)
            .with_context(|| format!("writing {}", key.display()))?;
        file.write_all(made.signing_key.serialize_pem().as_bytes())?;
        file.sync_all()?;
        fs::write(&cert, made.cert.pem()).with_context(|| format!("writing {}", cert.display()))?;
    }
    let config = from_files(&cert, &key)?;
    let der = CertificateDer::from_pem_file(&cert).context("reading the certificate back")?;
    let fingerprint = hex::encode(Sha256::digest(der.as_ref()));
    Ok((config, fingerprint))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_self_signed_certificate_is_made_once_and_its_key_is_private() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().expect("a temporary folder");
        let (_, first) = self_signed(folder.path(), &["audit.example.org".to_owned()]).expect("made");
        let (_, second) = self_signed(folder.path(), &[]).expect("used again");
        assert_eq!(first, second);
        let mode = fs::metadata(folder.path().join("key.pem")).expect("the key").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn a_key_of_another_certificate_is_refused() {
        let (a, b) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
        self_signed(a.path(), &[]).expect("made");
        self_signed(b.path(), &[]).expect("made");
        let error = from_files(&a.path().join("cert.pem"), &b.path().join("key.pem")).expect_err("refused");
        assert!(format!("{error:#}").contains("does not fit"), "{error:#}");
    }
}
