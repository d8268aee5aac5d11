//! Connections to the world outside AWS: one TLS configuration on ring for all of them.

use std::sync::Arc;
use std::time::Duration;

use rustls::{ClientConfig, RootCertStore};

/// Why no client could be made.
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

/// An HTTP client for `base_url`.
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

/// Reading the system's certificates takes milliseconds, so only where one will be checked.
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
