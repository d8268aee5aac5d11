//! Secrets Manager: one secret, read once per execution environment.

mod derived;

pub use derived::DerivedKeys;

use aws_sdk_secretsmanager::error::{DisplayErrorContext, SdkError};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;

/// The secret of a stage. JSON; keys are base64 of 32 random bytes.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Secrets {
    /// What every key that hashes, seals or signs at rest is derived from.
    pub root_key: Key32,
    /// The Ed25519 seeds of the session tokens: the first signs, all verify.
    pub token_keys: Vec<TokenKey>,
    /// The token of the Upstash database.
    pub upstash_token: String,
    /// The key of the model's provider; absent where no model is configured.
    #[serde(default)]
    pub ai_key: Option<String>,
    /// The key of the model that is asked where the first cannot answer; the first key where there is none.
    #[serde(default)]
    pub ai_fallback_key: Option<String>,
    /// What `GET /api/metrics` asks for. Without it nobody can scrape.
    #[serde(default)]
    pub scrape_token: Option<String>,
}

/// A signing key with the name that tokens carry in `kid`.
#[derive(Deserialize)]
pub struct TokenKey {
    /// The name.
    pub kid: String,
    /// The Ed25519 seed.
    pub seed: Key32,
}

/// 32 secret bytes.
#[derive(Clone)]
pub struct Key32([u8; 32]);

impl Key32 {
    /// From the bytes themselves.
    pub const fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The bytes.
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

/// Why there are no secrets.
#[derive(Debug, thiserror::Error)]
pub enum SecretsError {
    /// Secrets Manager does not have it or does not give it.
    #[error(
        "secret {id} cannot be read: {cause}; create it with scripts/secret.sh or allow secretsmanager:GetSecretValue"
    )]
    Unreadable {
        /// Which one.
        id: String,
        /// The service's words.
        cause: String,
    },
    /// It is not what is expected.
    #[error("secret {id} is malformed: {cause}")]
    Malformed {
        /// Which one.
        id: String,
        /// Which member, never its value.
        cause: String,
    },
}

/// Reads the secret.
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
