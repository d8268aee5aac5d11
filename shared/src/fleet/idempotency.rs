//! `Idempotency-Key`: one effect and one answer, no matter how many times a request is sent
//! (draft-ietf-httpapi-idempotency-key-header).
//!
//! The gate claims the key, and the sealed answer stays in Redis for a day. If an environment dies before it has
//! stored the answer, the claim lapses and the next attempt runs again, with the same [`IdSeed`], so that what it
//! creates is the same thing and not a second one (ADR 10).

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::digest::{SHA256, digest};
use ring::rand::{SecureRandom as _, SystemRandom};
use serde::{Deserialize, Serialize};

use crate::clock::Deadline;
use crate::environment::{Environment, StartError};
use crate::redis::{Redis, RedisError, Script, Value};
use crate::secrets::GuardSecret;

static END: LazyLock<Script> = LazyLock::new(|| Script::new(&[include_str!("idempotency/end.lua")]));

/// How long a record lives, and with it the answer: a day.
const LIFE: Duration = Duration::from_secs(86_400);
/// By how much a claim outlives the deadline of its request.
const MARGIN: Duration = Duration::from_secs(2);

/// What a request sends to the gate to claim its idempotency key.
#[derive(Debug, Clone)]
pub struct IdempotencyClaim {
    key: String,
    hash: String,
    token: String,
    lease: Duration,
}

/// The first 16 bytes of the SHA-256 of a list of byte strings, in base64url.
fn short_hash(parts: &[&[u8]]) -> String {
    let mut all = Vec::new();
    for part in parts {
        // With its length, so that no two lists of parts have the same bytes.
        all.extend_from_slice(&part.len().to_be_bytes());
        all.extend_from_slice(part);
    }
    URL_SAFE_NO_PAD.encode(&digest(&SHA256, &all).as_ref()[..16])
}

impl IdempotencyClaim {
    /// A claim of `key` within `scope`, which names the caller and the operation.
    ///
    /// `request` is the request's content, of which the record keeps a hash: another request under the same key is a
    /// mismatch. `token` names this attempt, and the claim lapses soon after `deadline`.
    pub fn new(scope: &str, key: &str, request: &[&[u8]], token: &str, deadline: Deadline) -> Self {
        Self {
            key: format!("hz1:idm:{}", short_hash(&[scope.as_bytes(), key.as_bytes()])),
            hash: short_hash(request),
            token: token.to_owned(),
            lease: deadline.left() + MARGIN,
        }
    }

    /// The claim with a lease of its own, whatever time its request has.
    #[must_use]
    pub const fn with_lease(mut self, lease: Duration) -> Self {
        self.lease = lease;
        self
    }

    /// The key of the record in Redis.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// The arguments of `gate.lua`: hash, token, lease in microseconds, life in milliseconds.
    pub(crate) fn args(&self) -> [String; 4] {
        let lease = self.lease.as_micros().to_string();
        [self.hash.clone(), self.token.clone(), lease, LIFE.as_millis().to_string()]
    }
}

/// What the gate found under an idempotency key.
#[derive(Debug, PartialEq, Eq)]
pub enum IdempotencyRecord {
    /// The request has no key.
    None,
    /// The key is claimed for this attempt, which has to run.
    Claimed {
        /// When the first attempt began, by the server's clock, in microseconds since 1970.
        first_us: u64,
    },
    /// An earlier attempt has been answered; this is its answer, sealed.
    Done(String),
    /// An earlier attempt still runs; its claim lapses after this time at the latest.
    Running(Duration),
    /// The key was used for a request with another content.
    Mismatch,
}

/// A response as it is stored under an idempotency key.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredResponse {
    pub status: u16,
    /// The media type of the body; `None` where there is no body.
    pub media: Option<String>,
    /// The address of the job that was accepted; a replay sends it again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub location: Option<String>,
    pub body: String,
}

/// 16 bytes that are the same for every attempt of one idempotent request, from which the identifier of what it
/// creates is made.
///
/// The first six are the time of the first attempt in milliseconds, the others cannot be guessed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IdSeed(pub [u8; 16]);

/// The responses under idempotency keys. They are sealed with AES-256-GCM, because some contain an API key and all
/// contain somebody's data.
pub struct IdempotencyStore {
    redis: Arc<Redis>,
    sealing: LessSafeKey,
    seeds: ring::hmac::Key,
}

/// The error of a key that cannot be used for sealing.
#[derive(Debug, thiserror::Error)]
#[error("the key that seals stored responses cannot be used")]
pub struct SealingKeyError;

impl IdempotencyStore {
    /// The store of this environment, which seals with the keys of its stage.
    ///
    /// # Errors
    /// [`StartError`]
    pub async fn connect(environment: &Environment) -> Result<Arc<Self>, StartError> {
        let make = async {
            let secret = environment.secret::<GuardSecret>().await?;
            Self::new(environment.redis().await?, secret.answer.expose(), secret.seed.hmac())
                .map_err(StartError::of)
        };
        environment.once(make).await
    }

    /// A store in this database; `sealing` seals the responses, and the seeds are derived with `seeds`.
    ///
    /// # Errors
    /// [`SealingKeyError`]
    pub fn new(
        redis: Arc<Redis>,
        sealing: &[u8; 32],
        seeds: ring::hmac::Key,
    ) -> Result<Self, SealingKeyError> {
        let sealing = UnboundKey::new(&AES_256_GCM, sealing).map_err(|_| SealingKeyError)?;
        Ok(Self { redis, sealing: LessSafeKey::new(sealing), seeds })
    }

    /// The seed of a claim that the gate granted, whose first attempt began at `first_us`.
    pub fn seed(&self, claim: &IdempotencyClaim, first_us: u64) -> IdSeed {
        let mut bytes = [0; 16];
        bytes[..6].copy_from_slice(&(first_us / 1000).to_be_bytes()[2..]);
        let tag = ring::hmac::sign(&self.seeds, claim.key.as_bytes());
        bytes[6..].copy_from_slice(&tag.as_ref()[..10]);
        IdSeed(bytes)
    }

    /// Stores the response of a claim; `false` where the claim lapsed and another attempt took the record over.
    ///
    /// # Errors
    /// [`RedisError`]: the claim lapses, and the next attempt runs again.
    pub async fn store(
        &self,
        claim: &IdempotencyClaim,
        response: &StoredResponse,
        deadline: Deadline,
    ) -> Result<bool, RedisError> {
        let sealed =
            self.seal(claim, response).ok_or_else(|| RedisError::malformed("a response cannot be sealed"))?;
        self.end(claim, sealed, deadline).await
    }

    /// Gives a claim back without an answer, so that the request may be tried again at once.
    ///
    /// # Errors
    /// [`RedisError`]: the claim lapses by itself.
    pub async fn release(&self, claim: &IdempotencyClaim, deadline: Deadline) -> Result<bool, RedisError> {
        self.end(claim, String::new(), deadline).await
    }

    /// Ends a claim with a sealed answer, or without one where `answer` is empty.
    async fn end(
        &self,
        claim: &IdempotencyClaim,
        answer: String,
        deadline: Deadline,
    ) -> Result<bool, RedisError> {
        let args = [claim.token.clone(), answer, LIFE.as_millis().to_string()];
        let answer = self.redis.run(&END, std::slice::from_ref(&claim.key), &args, deadline).await?;
        Ok(answer.first().and_then(Value::int) == Some(1))
    }

    /// Encrypts a response under the name of its record, so that it cannot be opened under another one.
    fn seal(&self, claim: &IdempotencyClaim, answer: &StoredResponse) -> Option<String> {
        let mut bytes = serde_json::to_vec(answer).ok()?;
        let mut nonce = [0; NONCE_LEN];
        SystemRandom::new().fill(&mut nonce).ok()?;
        let aad = Aad::from(claim.key.as_bytes());
        self.sealing.seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), aad, &mut bytes).ok()?;
        Some(URL_SAFE_NO_PAD.encode([&nonce[..], &bytes].concat()))
    }

    /// Decrypts a stored response; `None` where it was sealed with another key or under another name.
    pub fn open(&self, claim: &IdempotencyClaim, sealed: &str) -> Option<StoredResponse> {
        let mut bytes = URL_SAFE_NO_PAD.decode(sealed).ok()?;
        let (nonce, sealed) = bytes.split_at_mut_checked(NONCE_LEN)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let opened = self.sealing.open_in_place(nonce, Aad::from(claim.key.as_bytes()), sealed).ok()?;
        serde_json::from_slice(opened).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn store() -> IdempotencyStore {
        let redis = Redis::new("http://127.0.0.1:1", "t", Duration::from_millis(10)).unwrap();
        let seeds = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, &[2; 32]);
        IdempotencyStore::new(Arc::new(redis), &[1; 32], seeds).unwrap()
    }

    fn claim(key: &str) -> IdempotencyClaim {
        IdempotencyClaim::new("ten_1|createKey", key, &[b"POST", b"{}"], "t", Deadline::after(LIFE))
    }

    #[test]
    fn a_kept_answer_is_sealed_and_belongs_to_its_key() {
        let store = store();
        let mine = claim("a");
        let response =
            StoredResponse { status: 201, media: None, location: None, body: "hz_live_secret".to_owned() };
        let sealed = store.seal(&mine, &response).unwrap();
        assert!(!sealed.contains("secret"));
        assert_eq!(store.open(&mine, &sealed), Some(response));
        assert_eq!(store.open(&claim("b"), &sealed), None);
        assert_eq!(store.open(&mine, "x"), None);
    }

    #[test]
    fn every_attempt_of_a_request_has_the_same_seed_and_no_other_has_it() {
        let store = store();
        assert_eq!(store.seed(&claim("a"), 7_000), store.seed(&claim("a"), 7_000));
        assert_ne!(store.seed(&claim("a"), 7_000), store.seed(&claim("b"), 7_000));
    }

    #[test]
    fn parts_cannot_be_shifted_into_each_other() {
        assert_ne!(short_hash(&[b"ab", b"c"]), short_hash(&[b"a", b"bc"]));
    }
}
