//! `Idempotency-Key`: one effect and one answer, however often a request is sent
//! (draft-ietf-httpapi-idempotency-key-header).
//!
//! The gate claims the key. The answer is kept in Redis, sealed, for a day. If an environment
//! dies while it holds the claim, the claim lapses and the next attempt runs again, with the same [`IdSeed`], so
//! that what it creates is the same thing and not a second one.

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

static END: LazyLock<Script> = LazyLock::new(|| Script::new(&[include_str!("idempotency/end.lua")]));

/// IdempotencyStore are kept for a day.
const LIFE: Duration = Duration::from_secs(86_400);
/// A claim outlives its request's deadline by this much.
const MARGIN: Duration = Duration::from_secs(2);

/// A wish to run once.
#[derive(Debug, Clone)]
pub struct IdempotencyClaim {
    key: String,
    hash: String,
    token: String,
    lease: Duration,
}

fn short_hash(parts: &[&[u8]]) -> String {
    let mut all = Vec::new();
    for part in parts {
        // With their lengths, so that no two lists of parts read alike.
        all.extend_from_slice(&part.len().to_be_bytes());
        all.extend_from_slice(part);
    }
    URL_SAFE_NO_PAD.encode(&digest(&SHA256, &all).as_ref()[..16])
}

impl IdempotencyClaim {
    /// Of `key` in `scope` (the caller and the operation), for a request of these parts, by the attempt
    /// that this token names.
    pub fn new(scope: &str, key: &str, request: &[&[u8]], token: &str, deadline: Deadline) -> Self {
        Self {
            key: format!("hz1:idm:{}", short_hash(&[scope.as_bytes(), key.as_bytes()])),
            hash: short_hash(request),
            token: token.to_owned(),
            lease: deadline.left() + MARGIN,
        }
    }

    /// With a claim that lapses after so long, whatever time its request has.
    #[must_use]
    pub const fn with_lease(mut self, lease: Duration) -> Self {
        self.lease = lease;
        self
    }

    /// The record in Redis.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// Hash, token, lease in microseconds, life in milliseconds: as the gate takes them.
    pub(crate) fn args(&self) -> [String; 4] {
        let lease = self.lease.as_micros().to_string();
        [self.hash.clone(), self.token.clone(), lease, LIFE.as_millis().to_string()]
    }
}

/// What the gate found under a key.
#[derive(Debug, PartialEq, Eq)]
pub enum IdempotencyRecord {
    /// No key was given.
    None,
    /// The request runs, and first did at this time of the server, in microseconds.
    Claimed {
        /// See the variant.
        first_us: u64,
    },
    /// It ran; the sealed answer.
    Done(String),
    /// It still runs, for so long at most.
    Running(Duration),
    /// The key belongs to another request.
    Mismatch,
}

/// A response as it is stored under an idempotency key.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredResponse {
    /// The status.
    pub status: u16,
    /// The media type; nothing where there is no body.
    pub media: Option<String>,
    /// The body.
    pub body: String,
}

/// 16 bytes that are the same for every attempt of one idempotent request, for the identifier of what it
/// creates: the time of the first attempt, then what nobody can guess.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IdSeed(pub [u8; 16]);

/// The responses under idempotency keys, sealed: some hold an API key, and all are somebody's.
pub struct IdempotencyStore {
    redis: Arc<Redis>,
    sealing: LessSafeKey,
    seeds: ring::hmac::Key,
}

/// The key cannot be used for sealing.
#[derive(Debug, thiserror::Error)]
#[error("the key that seals stored responses cannot be used")]
pub struct SealingKeyError;

impl IdempotencyStore {
    /// The answers of this environment's stage, sealed with its keys.
    ///
    /// # Errors
    /// [`StartError`]
    pub async fn connect(environment: &Environment) -> Result<Arc<Self>, StartError> {
        let make = async {
            let derived = &environment.keyring().await?.derived;
            Self::new(environment.redis().await?, &derived.answer, derived.seed.clone())
                .map_err(StartError::of)
        };
        environment.once(make).await
    }

    /// In this database, with keys of 32 bytes.
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

    /// The seed of a claim that was granted.
    pub fn seed(&self, claim: &IdempotencyClaim, first_us: u64) -> IdSeed {
        let mut bytes = [0; 16];
        bytes[..6].copy_from_slice(&(first_us / 1000).to_be_bytes()[2..]);
        let tag = ring::hmac::sign(&self.seeds, claim.key.as_bytes());
        bytes[6..].copy_from_slice(&tag.as_ref()[..10]);
        IdSeed(bytes)
    }

    /// Stores the response of a claim.
    ///
    /// # Errors
    /// [`RedisError`]: the claim lapses, and another attempt will run again.
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

    /// Gives a claim back without an answer: the request may be tried again.
    ///
    /// # Errors
    /// [`RedisError`]: the claim lapses by itself.
    pub async fn release(&self, claim: &IdempotencyClaim, deadline: Deadline) -> Result<bool, RedisError> {
        self.end(claim, String::new(), deadline).await
    }

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

    fn seal(&self, claim: &IdempotencyClaim, answer: &StoredResponse) -> Option<String> {
        let mut bytes = serde_json::to_vec(answer).ok()?;
        let mut nonce = [0; NONCE_LEN];
        SystemRandom::new().fill(&mut nonce).ok()?;
        let aad = Aad::from(claim.key.as_bytes());
        self.sealing.seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), aad, &mut bytes).ok()?;
        Some(URL_SAFE_NO_PAD.encode([&nonce[..], &bytes].concat()))
    }

    /// Opens a stored response.
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

    fn answers() -> IdempotencyStore {
        let redis = Redis::new("http://127.0.0.1:1", "t", Duration::from_millis(10)).unwrap();
        let seeds = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, &[2; 32]);
        IdempotencyStore::new(Arc::new(redis), &[1; 32], seeds).unwrap()
    }

    fn claim(key: &str) -> IdempotencyClaim {
        IdempotencyClaim::new("ten_1|createKey", key, &[b"POST", b"{}"], "t", Deadline::after(LIFE))
    }

    #[test]
    fn a_kept_answer_is_sealed_and_belongs_to_its_key() {
        let (answers, mine) = (answers(), claim("a"));
        let kept = StoredResponse { status: 201, media: None, body: "hz_live_secret".to_owned() };
        let sealed = answers.seal(&mine, &kept).unwrap();
        assert!(!sealed.contains("secret"));
        assert_eq!(answers.open(&mine, &sealed), Some(kept));
        assert_eq!(answers.open(&claim("b"), &sealed), None);
        assert_eq!(answers.open(&mine, "x"), None);
    }

    #[test]
    fn every_attempt_of_a_request_has_the_same_seed_and_no_other_has_it() {
        let answers = answers();
        assert_eq!(answers.seed(&claim("a"), 7_000), answers.seed(&claim("a"), 7_000));
        assert_ne!(answers.seed(&claim("a"), 7_000), answers.seed(&claim("b"), 7_000));
    }

    #[test]
    fn parts_cannot_be_shifted_into_each_other() {
        assert_ne!(short_hash(&[b"ab", b"c"]), short_hash(&[b"a", b"bc"]));
    }
}
