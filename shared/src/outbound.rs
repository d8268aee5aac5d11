//! HTTP clients for services outside AWS, all with the same TLS configuration, on ring; and the root certificates that
//! every client trusts, those of AWS too.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use rustls::{ClientConfig, RootCertStore};

/// Why an HTTP client cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum OutboundError {
    /// The system's certificate bundle is missing or has no certificate that can be read.
    #[error("the system has no root certificates (SSL_CERT_FILE names the bundle): {cause}")]
    NoRoots {
        /// Which file cannot be read, and why.
        cause: String,
    },
    /// The TLS library refused the configuration.
    #[error("TLS cannot be configured")]
    Tls(#[from] rustls::Error),
    /// The HTTP library refused the configuration.
    #[error("the HTTP client cannot be configured")]
    Http(#[from] reqwest::Error),
}

/// An HTTP client for `base_url`. It follows no redirects and uses no proxy.
///
/// # Errors
/// [`OutboundError`]
pub fn client(base_url: &str, connect_timeout: Duration) -> Result<reqwest::Client, OutboundError> {
    let client = reqwest::Client::builder()
        .connect_timeout(connect_timeout)
        .redirect(reqwest::redirect::Policy::none())
        .user_agent(concat!("huntaze/", env!("CARGO_PKG_VERSION")))
        .no_proxy()
        .tls_backend_preconfigured(tls(!base_url.starts_with("http://"))?);
    Ok(client.build()?)
}

/// The system's root certificates, which are read once; a failure is tried again, so that a bundle that was missing
/// heals without another environment.
///
/// # Errors
/// [`OutboundError::NoRoots`]
pub fn roots() -> Result<Arc<RootCertStore>, OutboundError> {
    static ROOTS: OnceLock<Arc<RootCertStore>> = OnceLock::new();
    if let Some(roots) = ROOTS.get() {
        return Ok(Arc::clone(roots));
    }
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    let (added, _) = roots.add_parsable_certificates(found.certs);
    if added == 0 {
        let errors: Vec<_> = found.errors.iter().map(ToString::to_string).collect();
        let cause = if errors.is_empty() { "there is none in it".to_owned() } else { errors.join(", ") };
        return Err(OutboundError::NoRoots { cause });
    }
    Ok(Arc::clone(ROOTS.get_or_init(|| Arc::new(roots))))
}

/// The TLS configuration, which trusts the system's root certificates if `with_roots`. To read them takes
/// milliseconds, so a client of plain HTTP, which checks no certificate, goes without.
fn tls(with_roots: bool) -> Result<ClientConfig, OutboundError> {
    let roots = if with_roots { roots()? } else { Arc::new(RootCertStore::empty()) };
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    Ok(config.with_root_certificates(roots).with_no_client_auth())
}
