//! The only file that names the HTTP client: one request, its deadline, its retry, its status.

use std::error::Error as _;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use reqwest::StatusCode;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue};
use serde_json::Value;

use crate::Error;

const SYNC_TOKEN: &str = "upstash-sync-token";
const ENCODING: &str = "upstash-encoding";

/// A pooled connection to one database.
pub(crate) struct Connection {
    http: reqwest::Client,
    base: String,
    /// Set by the first answer: from then on a failure may be that of a pooled connection that died.
    connected_before: AtomicBool,
    /// The position in the database's history that later reads must not fall behind.
    sync_token: Mutex<Option<HeaderValue>>,
}

impl Connection {
    pub(crate) fn new(url: &str, token: &str, connect_timeout: Duration) -> Result<Self, Error> {
        let base = url.trim_end_matches('/').to_owned();
        let host = base.strip_prefix("https://").or_else(|| base.strip_prefix("http://"));
        if host.is_none_or(str::is_empty) {
            return Err(Error::Configuration(format!("{url:?} is not an http or https URL")));
        }
        let mut bearer = HeaderValue::from_str(&format!("Bearer {token}"))
            .map_err(|_| Error::Configuration("the token holds characters that no header may".to_owned()))?;
        bearer.set_sensitive(true);
        let headers = HeaderMap::from_iter([
            (AUTHORIZATION, bearer),
            (CONTENT_TYPE, HeaderValue::from_static("application/json")),
            (reqwest::header::HeaderName::from_static(ENCODING), HeaderValue::from_static("base64")),
        ]);
        let http = reqwest::Client::builder()
            .default_headers(headers)
            .connect_timeout(connect_timeout)
            .pool_max_idle_per_host(8)
            .http1_only()
            .no_proxy()
            .tls_backend_preconfigured(tls(base.starts_with("https://"))?);
        let http = http.build().map_err(|error| Error::Configuration(error.to_string()))?;
        Ok(Self { http, base, connected_before: AtomicBool::new(false), sync_token: Mutex::new(None) })
    }

    /// Sends `body` to `path` and returns the JSON of a 200, or the error that the status stands for.
    pub(crate) async fn post(
        &self,
        path: &str,
        body: &Value,
        deadline: Duration,
        retry: bool,
    ) -> Result<Value, Error> {
        let body = body.to_string();
        let attempts = async {
            match self.attempt(path, body.clone()).await {
                Err(Attempt::Dead(_)) if retry && self.connected_before.load(Ordering::Relaxed) => {
                    self.attempt(path, body).await.map_err(Attempt::into_error)
                }
                other => other.map_err(Attempt::into_error),
            }
        };
        tokio::time::timeout(deadline, attempts).await.unwrap_or(Err(Error::Timeout { after: deadline }))
    }

    async fn attempt(&self, path: &str, body: String) -> Result<Value, Attempt> {
        let mut request = self.http.post(format!("{}{path}", self.base)).body(body);
        if let Some(token) = self.sync_token() {
            request = request.header(SYNC_TOKEN, token);
        }
        let response = request.send().await.map_err(Attempt::of)?;
        self.connected_before.store(true, Ordering::Relaxed);
        if let Some(token) = response.headers().get(SYNC_TOKEN) {
            self.remember(token.clone());
        }
        let status = response.status();
        // From here an answer has begun, so the command ran: a break is reported and not repeated.
        let bytes =
            response.bytes().await.map_err(|error| Attempt::Failed(Error::Transport(Box::new(error))))?;
        interpret(status, &bytes).map_err(Attempt::Failed)
    }

    fn sync_token(&self) -> Option<HeaderValue> {
        self.sync_token.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone()
    }

    fn remember(&self, token: HeaderValue) {
        *self.sync_token.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = Some(token);
    }
}

/// How one attempt failed: on a connection that gave no answer, or for good.
enum Attempt {
    Dead(Error),
    Failed(Error),
}

impl Attempt {
    fn of(error: reqwest::Error) -> Self {
        let refused = error.is_connect() || error.is_builder();
        // The URL may hold nothing secret, but an error message is no place for it either.
        let error = error.without_url();
        let wrapped = Error::Transport(error.source().map_or_else(|| error.to_string(), deepest).into());
        if refused { Self::Failed(wrapped) } else { Self::Dead(wrapped) }
    }

    fn into_error(self) -> Error {
        match self {
            Self::Dead(error) | Self::Failed(error) => error,
        }
    }
}

/// The text of the last link of an error chain, which names the cause.
fn deepest(mut error: &(dyn std::error::Error + 'static)) -> String {
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string()
}

fn interpret(status: StatusCode, bytes: &[u8]) -> Result<Value, Error> {
    let json = serde_json::from_slice::<Value>(bytes);
    let said = |json: &Value| json.get("error").and_then(Value::as_str).unwrap_or_default().to_owned();
    match (status, json) {
        (StatusCode::OK, Ok(json)) => Ok(json),
        (StatusCode::OK, Err(error)) => Err(Error::Decode(format!("the answer is not JSON: {error}"))),
        (StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN, json) => {
            Err(Error::Unauthorized { message: json.map(|json| said(&json)).unwrap_or_default() })
        }
        (StatusCode::BAD_REQUEST, Ok(json)) if json.get("error").is_some() => {
            Err(crate::ServerError::parse(&said(&json)).into())
        }
        (status, _) => Err(Error::Status { status: status.as_u16() }),
    }
}

/// TLS on ring with the system's root certificates, which are read only where one will be checked.
fn tls(with_roots: bool) -> Result<rustls::ClientConfig, Error> {
    let mut roots = rustls::RootCertStore::empty();
    if with_roots {
        let (added, _) = roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        if added == 0 {
            return Err(Error::Configuration("the system has no root certificates".to_owned()));
        }
    }
    let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| Error::Configuration(error.to_string()))?;
    Ok(config.with_root_certificates(roots).with_no_client_auth())
}
