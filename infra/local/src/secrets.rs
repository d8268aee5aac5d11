//! Secrets Manager's `GetSecretValue`, behind the permissions of `template.yaml`, and the secret of a local stage.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use axum::routing::post;
use axum::{Json, Router};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::rand::{SecureRandom as _, SystemRandom};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::LocalError;
use crate::permissions::{AwsCaller, Need, Permissions};

/// The text of each secret, by the secret's name.
type StoredSecrets = Arc<Mutex<BTreeMap<String, String>>>;

/// A Secrets Manager on loopback; it stops when this is dropped.
pub struct LocalSecrets {
    address: SocketAddr,
    serving: JoinHandle<()>,
    stored: StoredSecrets,
}

impl LocalSecrets {
    /// Starts a Secrets Manager that has no secret yet.
    ///
    /// # Errors
    /// When no port can be had.
    pub async fn start(permissions: Arc<Permissions>) -> Result<Self, LocalError> {
        let listener = TcpListener::bind(("127.0.0.1", 0))
            .await
            .map_err(LocalError::io("opening Secrets Manager's port"))?;
        let address = listener.local_addr().map_err(LocalError::io("opening Secrets Manager's port"))?;
        let stored = StoredSecrets::default();
        let router = Router::new().route("/", post(answer)).with_state((Arc::clone(&stored), permissions));
        let serving = tokio::spawn(async move {
            let _ = axum::serve(listener, router).await;
        });
        Ok(Self { address, serving, stored })
    }

    /// The address that Secrets Manager listens on.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Stores a secret, in place of one of the same name.
    pub fn put(&self, name: &str, value: &Value) {
        self.lock().insert(name.to_owned(), value.to_string());
    }

    /// Removes a secret, as if nobody had filled it yet.
    pub fn remove(&self, name: &str) {
        self.lock().remove(name);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, String>> {
        self.stored.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for LocalSecrets {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

/// Answers one call, which must be `GetSecretValue`: the functions make no other.
async fn answer(
    State((stored, permissions)): State<(StoredSecrets, Arc<Permissions>)>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let failure = |code: &str, message: &str| {
        (StatusCode::BAD_REQUEST, Json(json!({"__type": code, "Message": message}))).into_response()
    };
    if headers.get("x-amz-target").is_none_or(|target| target != "secretsmanager.GetSecretValue") {
        return failure("UnknownOperationException", "only GetSecretValue is here");
    }
    let request: Value = serde_json::from_slice(&body).unwrap_or_default();
    let id = request["SecretId"].as_str().unwrap_or_default();
    let need = Need::of("secretsmanager:GetSecretValue", id);
    if let Err(denied) = permissions.check(AwsCaller::of(&headers), &[need]) {
        return failure("AccessDeniedException", &denied);
    }
    match stored.lock().unwrap_or_else(PoisonError::into_inner).get(id) {
        Some(value) => {
            Json(json!({"ARN": id, "Name": id, "VersionId": "local", "SecretString": value})).into_response()
        }
        None => failure("ResourceNotFoundException", "Secrets Manager can't find the specified secret."),
    }
}

/// Makes a new secret for a stage, in the form that `shared::secrets` reads.
///
/// # Errors
/// When the system gives no random bytes.
pub fn generate() -> Result<Value, LocalError> {
    let random = || -> Result<String, LocalError> {
        let mut bytes = [0; 32];
        let filled = SystemRandom::new().fill(&mut bytes);
        filled.map_err(|_| LocalError::Part {
            part: "the secret",
            why: "the system gives no random bytes".to_owned(),
        })?;
        Ok(STANDARD.encode(bytes))
    };
    Ok(json!({
        "rootKey": random()?,
        "tokenKeys": [{"kid": "local-1", "seed": random()?}],
        "upstashToken": random()?.replace(['/', '+', '='], "x"),
        "scrapeToken": random()?.replace(['/', '+', '='], "x"),
        "aiKey": "local",
    }))
}

/// Reads the stage's secret from `file`, or makes one and writes it there, readable to its owner alone.
///
/// # Errors
/// [`LocalError`] when it cannot be read or written.
pub fn load_or_generate(file: &Path) -> Result<Value, LocalError> {
    let mut secret = generate()?;
    if let Ok(text) = std::fs::read_to_string(file) {
        let members: serde_json::Map<String, Value> =
            serde_json::from_str(&text).map_err(|error| LocalError::Part {
                part: "the secret",
                why: format!("{} is damaged ({error}); remove it with --fresh", file.display()),
            })?;
        // A file of an older version keeps its values; what the newer version needs besides was just generated.
        for (name, value) in members {
            secret[name] = value;
        }
    }
    write_secret(file, &secret.to_string())?;
    Ok(secret)
}

/// Writes a file that its owner alone may read.
///
/// # Errors
/// [`LocalError`] when the file cannot be written.
pub fn write_secret(file: &Path, text: &str) -> Result<(), LocalError> {
    use std::io::Write as _;
    use std::os::unix::fs::OpenOptionsExt as _;
    let written = std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(file);
    let written = written.and_then(|mut file| file.write_all(text.as_bytes()));
    written.map_err(LocalError::io(format!("writing {}", file.display())))
}
