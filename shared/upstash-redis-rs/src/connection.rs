//! The HTTP side: one request with its deadline, its second attempt and the meaning of its status. No other file names
//! the HTTP client.

use std::error::Error as _;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use reqwest::StatusCode;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue};
use serde_json::Value;

use crate::Error;

/// The header with the position in the database's history that an answer was given at, or a request asks for.
const SYNC_TOKEN: &str = "upstash-sync-token";
/// The header that asks for answers in base64.
const ENCODING: &str = "upstash-encoding";

/// A pool of connections to one database.
pub(crate) struct Connection {
    http: reqwest::Client,
    base: String,
    /// Whether there has been an answer. From then on a failure may be that of a pooled connection that died while
    /// idle.
    connected_before: AtomicBool,
    /// The sync token of the latest answer: later reads must not come from before it.
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

    /// Sends `body` to `path` and returns the JSON of the answer, or the error that its status stands for.
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
                Err(AttemptError::NoAnswer(_)) if retry && self.connected_before.load(Ordering::Relaxed) => {
                    self.attempt(path, body).await.map_err(AttemptError::into_error)
                }
                other => other.map_err(AttemptError::into_error),
            }
        };
        tokio::time::timeout(deadline, attempts).await.unwrap_or(Err(Error::Timeout { after: deadline }))
    }

    /// Sends the request once, with the sync token of the answer before.
    async fn attempt(&self, path: &str, body: String) -> Result<Value, AttemptError> {
        let mut request = self.http.post(format!("{}{path}", self.base)).body(body);
        if let Some(token) = self.sync_token() {
            request = request.header(SYNC_TOKEN, token);
        }
        let response = request.send().await.map_err(AttemptError::of)?;
        self.connected_before.store(true, Ordering::Relaxed);
        if let Some(token) = response.headers().get(SYNC_TOKEN) {
            self.set_sync_token(token.clone());
        }
        let status = response.status();
        // The answer has begun, so the command ran. If the connection breaks now, the command must not run again.
        let bytes =
            response.bytes().await.map_err(|error| AttemptError::Final(Error::Transport(Box::new(error))))?;
        interpret(status, &bytes).map_err(AttemptError::Final)
    }

    fn sync_token(&self) -> Option<HeaderValue> {
        self.sync_token.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone()
    }

    fn set_sync_token(&self, token: HeaderValue) {
        *self.sync_token.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = Some(token);
    }
}

/// Why one attempt failed, and whether another may help.
enum AttemptError {
    /// The connection ended before an answer began, as an idle one does that the server closed.
    NoAnswer(Error),
    /// Another attempt would not help, or could run the command twice.
    Final(Error),
}

impl AttemptError {
    fn of(error: reqwest::Error) -> Self {
        // No connection could be made at all, so this was not one that died while idle.
        let is_final = error.is_connect() || error.is_builder();
        // The URL is not secret, but it does not belong in an error message.
        let error = error.without_url();
        let wrapped = Error::Transport(error.source().map_or_else(|| error.to_string(), root_cause).into());
        if is_final { Self::Final(wrapped) } else { Self::NoAnswer(wrapped) }
    }

    fn into_error(self) -> Error {
        match self {
            Self::NoAnswer(error) | Self::Final(error) => error,
        }
    }
}

/// The text of the last error of a chain, which names the cause.
fn root_cause(mut error: &(dyn std::error::Error + 'static)) -> String {
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string()
}

/// The JSON of a successful answer, or the error that status and body stand for.
fn interpret(status: StatusCode, bytes: &[u8]) -> Result<Value, Error> {
    let json = serde_json::from_slice::<Value>(bytes);
    let error_text = |json: &Value| json.get("error").and_then(Value::as_str).unwrap_or_default().to_owned();
    match (status, json) {
        (StatusCode::OK, Ok(json)) => Ok(json),
        (StatusCode::OK, Err(error)) => Err(Error::Decode(format!("the answer is not JSON: {error}"))),
        (StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN, json) => {
            Err(Error::Unauthorized { message: json.map(|json| error_text(&json)).unwrap_or_default() })
        }
        (StatusCode::BAD_REQUEST, Ok(json)) if json.get("error").is_some() => {
            Err(crate::ServerError::parse(&error_text(&json)).into())
        }
        (status, _) => Err(Error::Status { status: status.as_u16() }),
    }
}

/// TLS on ring with the system's root certificates. They are read only for an https URL, because reading them takes
/// time.
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
