//! HTTP clients for services outside AWS: all of them have the same TLS configuration, on ring.

use std::sync::Arc;
use std::time::Duration;

use rustls::{ClientConfig, RootCertStore};

/// Why an HTTP client cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum OutboundError {
    /// The system's certificate bundle is missing or empty.
    #[error("the system has no root certificates")]
    NoRoots,
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

/// The TLS configuration, which trusts the system's root certificates if `with_roots`. To read them takes
/// milliseconds, so a client of plain HTTP, which checks no certificate, goes without.
fn tls(with_roots: bool) -> Result<ClientConfig, OutboundError> {
    let mut roots = RootCertStore::empty();
    if with_roots {
        let (added, _) = roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        if added == 0 {
            return Err(OutboundError::NoRoots);
        }
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    Ok(config.with_root_certificates(roots).with_no_client_auth())
}
