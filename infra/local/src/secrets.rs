//! Secrets Manager's `GetSecretValue`, behind the permissions of `template.yaml`, and the secrets of a local stage.

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
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::rand::{SecureRandom as _, SystemRandom};
use serde_json::{Value, json};
use shared::clock::Millis;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::LocalError;
use crate::permissions::{AwsCaller, Need, Permissions};
use crate::private_file::write_secret;
use crate::root_secret::{self, RootSecret};

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

    /// Stores the root secret of a stage and the secrets that are made from it, in place of those that are there.
    ///
    /// # Errors
    /// [`LocalError`] when the root secret is malformed.
    pub fn fill(&self, stage: &str, root: &Value) -> Result<(), LocalError> {
        let malformed =
            |error: serde_json::Error| LocalError::Part { part: "the secret", why: error.to_string() };
        let parts = serde_json::from_value::<RootSecret>(root.clone()).map_err(malformed)?.parts()?;
        let mut stored = self.lock();
        stored.insert(shared::secrets::id(stage, root_secret::NAME), root.to_string());
        stored.extend(
            parts.into_iter().map(|(name, part)| (shared::secrets::id(stage, name), part.to_string())),
        );
        Ok(())
    }

    /// Removes all secrets, as if nobody had filled them yet.
    pub fn clear(&self) {
        self.lock().clear();
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
    let need = Need::of("secretsmanager:GetSecretValue", &arn(id));
    if let Err(denied) = permissions.check(AwsCaller::of(&headers), &[need]) {
        return failure("AccessDeniedException", &denied);
    }
    match stored.lock().unwrap_or_else(PoisonError::into_inner).get(id) {
        Some(value) => Json(json!({"ARN": arn(id), "Name": id, "VersionId": "local", "SecretString": value}))
            .into_response(),
        None => failure("ResourceNotFoundException", "Secrets Manager can't find the specified secret."),
    }
}

/// The ARN of a secret, whose name Secrets Manager makes unlike that of any other by six characters behind it.
fn arn(id: &str) -> String {
    format!("arn:aws:secretsmanager:eu-west-1:000000000000:secret:{id}-Local0")
}

/// Makes a new root secret for a local stage.
///
/// # Errors
/// When the system gives no random bytes.
pub fn generate() -> Result<Value, LocalError> {
    let mut bytes = [0; 32];
    let filled = SystemRandom::new().fill(&mut bytes);
    filled.map_err(|_| LocalError::Part {
        part: "the secret",
        why: "the system gives no random bytes".to_owned(),
    })?;
    let token = URL_SAFE_NO_PAD.encode(bytes);
    Ok(json!(RootSecret::generate(token, Some("local".to_owned()), Millis::now())?))
}

/// Reads the stage's root secret from `file`, or makes one and writes it there, readable to its owner alone.
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
