//! The secrets of a stage. Each is a secret of its own in Secrets Manager, and a policy lets a function read those that
//! it needs: a function that handles prompts has no key that signs a token.
//!
//! Invariant: no function can read the root key, from which the operator's program derives all other keys.

use aws_sdk_secretsmanager::error::{DisplayErrorContext, SdkError};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::hmac::{HMAC_SHA256, Key};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// One secret of a stage, which Secrets Manager has as a JSON object. Each key in it is the base64 of 32 bytes.
pub trait StageSecret: DeserializeOwned + Serialize + Send + Sync + 'static {
    /// The last part of its name, which is `huntaze/<stage>/<NAME>`.
    const NAME: &'static str;
}

macro_rules! secrets {
    ($($(#[$doc:meta])* $type:ident, $name:literal { $($(#[$of_member:meta])* $member:ident: $of:ty,)* })*) => {
        $(
            $(#[$doc])*
            #[derive(Serialize, Deserialize)]
            #[serde(rename_all = "camelCase", deny_unknown_fields)]
            pub struct $type { $($(#[$of_member])* pub $member: $of,)* }

            impl StageSecret for $type {
                const NAME: &'static str = $name;
            }
        )*

        /// The names of all secrets that functions read.
        pub const NAMES: &[&str] = &[$($name),*];
    };
}

secrets! {
    /// What every function needs that asks Redis.
    FleetSecret, "fleet" {
        /// The token of the Upstash database.
        upstash_token: String,
    }
    /// What every function needs that knows its caller.
    GuardSecret, "guard" {
        /// The public keys of the session tokens, among them one that does not sign yet, and one that no longer does.
        verify_keys: Vec<VerifyKey>,
        /// Hashes an API key for look-up, so that it is not stored.
        api_key: Key32,
        /// Signs the cursors of lists.
        cursor: Key32,
        /// Makes the seed of what an idempotent request creates, which is the same at every attempt.
        seed: Key32,
        /// Seals the responses that are stored under idempotency keys, with AES-256-GCM.
        answer: Key32,
    }
    /// What makes API keys.
    MintSecret, "mint" {
        /// Makes the secret of a new API key from a seed.
        mint: Key32,
    }
    /// What issues access tokens.
    SigningSecret, "signing" {
        /// The key that signs now.
        token_key: TokenKey,
    }
    /// What opens, continues and ends sessions.
    SessionSecret, "sessions" {
        /// Signs the refresh tokens of sessions.
        refresh: Key32,
    }
    /// What finds accounts by their address and looks at passwords.
    AccountSecret, "accounts" {
        /// Hashes an e-mail address for look-up, so that it is not stored as a key of the table.
        email: Key32,
        /// The pepper, a secret that goes into the hash of every password.
        password: Key32,
        /// Makes one-time tokens from their identifiers.
        one_time: Key32,
    }
    /// What asks models.
    ModelSecret, "models" {
        /// The API key for the provider of the model; absent where no model is configured.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        ai_key: Option<String>,
        /// The API key for the provider of the fallback model; where it is absent, `ai_key` is used.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        ai_fallback_key: Option<String>,
    }
    /// What answers Prometheus.
    ScrapeSecret, "scrape" {
        /// The token that `GET /api/metrics` asks for; where it is absent, nobody can scrape.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        scrape_token: Option<String>,
    }
}

/// A key that signs session tokens, with its name.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TokenKey {
    /// The name of the key, which tokens carry in their header as `kid`.
    pub kid: String,
    /// The Ed25519 seed, from which the key pair is made.
    pub seed: Key32,
}

/// The public half of a [`TokenKey`], which verifies what the other half signed and signs nothing.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VerifyKey {
    /// The name of the key.
    pub kid: String,
    /// The Ed25519 public key.
    pub key: Key32,
}

/// A key of 32 bytes. It has no `Debug`, so that no log can show it.
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

    /// The key in the form in which it hashes and signs, with HMAC-SHA-256.
    pub fn hmac(&self) -> Key {
        Key::new(HMAC_SHA256, &self.0)
    }
}

impl<'de> Deserialize<'de> for Key32 {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        // The text is a secret: the error must not repeat it.
        let expected = || serde::de::Error::custom("expected base64 of 32 bytes");
        let bytes = STANDARD.decode(text).map_err(|_| expected())?;
        bytes.try_into().map(Self).map_err(|_| expected())
    }
}

impl Serialize for Key32 {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&STANDARD.encode(self.0))
    }
}

/// Why a secret cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SecretsError {
    /// Secrets Manager does not have the secret, or does not let this function read it.
    #[error(
        "secret {id} cannot be read: {cause}; fill it with scripts/secret.sh or allow secretsmanager:GetSecretValue"
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

/// The name of a secret in Secrets Manager.
pub fn id(stage: &str, name: &str) -> String {
    format!("huntaze/{stage}/{name}")
}

/// Reads the text of the secret with this name.
///
/// # Errors
/// [`SecretsError::Unreadable`]
pub(crate) async fn fetch(aws: &aws_config::SdkConfig, id: &str) -> Result<String, SecretsError> {
    let client = aws_sdk_secretsmanager::Client::new(aws);
    let output = client.get_secret_value().secret_id(id).send().await.map_err(|error| {
        let cause = match &error {
            SdkError::ServiceError(service) => service.err().to_string(),
            other => DisplayErrorContext(other).to_string(),
        };
        SecretsError::Unreadable { id: id.to_owned(), cause }
    })?;
    Ok(output.secret_string().unwrap_or_default().to_owned())
}

/// Reads a secret from its text.
///
/// # Errors
/// [`SecretsError::Malformed`]
pub(crate) fn parse<S: StageSecret>(id: &str, json: &str) -> Result<S, SecretsError> {
    serde_json::from_str(json)
        .map_err(|error| SecretsError::Malformed { id: id.to_owned(), cause: error.to_string() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_malformed_secret_is_told_without_its_value() {
        let error =
            parse::<SessionSecret>("huntaze/local/sessions", r#"{"refresh":"c2hvcnQ="}"#).err().unwrap();
        let error = error.to_string();
        assert!(
            error.contains("huntaze/local/sessions") && error.contains("expected base64 of 32 bytes"),
            "{error}"
        );
        assert!(!error.contains("c2hvcnQ="), "{error}");
    }
}
