//! The secrets of a stage: one secret in Secrets Manager, read once per execution environment.

mod derived;

pub use derived::DerivedKeys;

use aws_sdk_secretsmanager::error::{DisplayErrorContext, SdkError};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;

/// The secrets of a stage, which Secrets Manager has as one JSON object. Each key is the base64 of 32 random bytes.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Secrets {
    /// The key from which all keys are derived that hash, seal or sign what is stored.
    pub root_key: Key32,
    /// The Ed25519 keys of the session tokens: the first one signs, all of them verify, so that keys can be rotated.
    pub token_keys: Vec<TokenKey>,
    /// The token of the Upstash database.
    pub upstash_token: String,
    /// The API key for the provider of the model; absent where no model is configured.
    #[serde(default)]
    pub ai_key: Option<String>,
    /// The API key for the provider of the fallback model; where it is absent, `ai_key` is used.
    #[serde(default)]
    pub ai_fallback_key: Option<String>,
    /// The token that `GET /api/metrics` asks for; where it is absent, nobody can scrape.
    #[serde(default)]
    pub scrape_token: Option<String>,
}

/// A key that signs session tokens, with its name.
#[derive(Deserialize)]
pub struct TokenKey {
    /// The name of the key, which tokens carry in their header as `kid`.
    pub kid: String,
    /// The Ed25519 seed, from which the key pair is made.
    pub seed: Key32,
}

/// A secret key of 32 bytes. It has no `Debug`, so that no log can show it.
#[derive(Clone)]
pub struct Key32([u8; 32]);

impl Key32 {
    pub const fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The secret bytes themselves.
    pub const fn expose(&self) -> &[u8; 32] {
        &self.0
    }
}

impl<'de> Deserialize<'de> for Key32 {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        // The text is a secret: the error must not repeat it.
        let expected = || serde::de::Error::custom("expected base64 of 32 bytes");
        let bytes = STANDARD.decode(text).map_err(|_| expected())?;
        bytes.try_into().map(Self).map_err(|_| expected())
    }
}

/// Why the secrets cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SecretsError {
    /// Secrets Manager does not have the secret, or does not let this function read it.
    #[error(
        "secret {id} cannot be read: {cause}; create it with scripts/secret.sh or allow secretsmanager:GetSecretValue"
    )]
    Unreadable {
        id: String,
        /// What Secrets Manager answered.
        cause: String,
    },
    /// The secret is not the JSON object that is expected.
    #[error("secret {id} is malformed: {cause}")]
    Malformed {
        id: String,
        /// What is wrong with which member, never its value.
        cause: String,
    },
}

/// Reads the secrets of the stage from the secret with this name.
///
/// # Errors
/// [`SecretsError`]
pub async fn fetch(aws: &aws_config::SdkConfig, id: &str) -> Result<Secrets, SecretsError> {
    let client = aws_sdk_secretsmanager::Client::new(aws);
    let output = client.get_secret_value().secret_id(id).send().await.map_err(|error| {
        let cause = match &error {
            SdkError::ServiceError(service) => service.err().to_string(),
            other => DisplayErrorContext(other).to_string(),
        };
        SecretsError::Unreadable { id: id.to_owned(), cause }
    })?;
    parse(id, output.secret_string().unwrap_or_default())
}

fn parse(id: &str, json: &str) -> Result<Secrets, SecretsError> {
    let malformed = |cause: String| SecretsError::Malformed { id: id.to_owned(), cause };
    let secrets: Secrets = serde_json::from_str(json).map_err(|error| malformed(error.to_string()))?;
    if secrets.token_keys.is_empty() {
        return Err(malformed("tokenKeys is empty".to_owned()));
    }
    Ok(secrets)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_malformed_secret_is_told_without_its_value() {
        let json = r#"{"rootKey":"c2hvcnQ=","tokenKeys":[],"upstashToken":"t"}"#;
        let error = parse("huntaze/local", json).err().unwrap().to_string();
        assert!(error.contains("expected base64 of 32 bytes"), "{error}");
        assert!(!error.contains("c2hvcnQ="), "{error}");
    }
}
