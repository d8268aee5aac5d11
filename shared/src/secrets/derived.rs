//! The keys that are derived from the root key, one for every purpose, by HKDF-SHA-256 (RFC 5869).

use ring::hkdf::{HKDF_SHA256, KeyType, Prk, Salt};
use ring::hmac::{HMAC_SHA256, Key};

use super::Key32;

/// A key for every purpose, so that what one of them signs or seals means nothing to another.
#[derive(Clone)]
pub struct DerivedKeys {
    /// Hashes an e-mail address for look-up, so that it is not stored as a key of the table.
    pub email: Key,
    /// Hashes an API key for look-up, so that it is not stored.
    pub api_key: Key,
    /// Makes the secret of a new API key from a seed.
    pub mint: Key,
    /// Signs the refresh tokens of sessions.
    pub refresh: Key,
    /// Signs the cursors of lists.
    pub cursor: Key,
    /// Makes one-time tokens from their identifiers.
    pub one_time: Key,
    /// Makes the seed of what an idempotent request creates, which is the same at every attempt.
    pub seed: Key,
    /// Seals the responses that are stored under idempotency keys, with AES-256-GCM.
    pub answer: [u8; 32],
    /// The pepper, a secret that goes into the hash of every password.
    pub password: [u8; 32],
}

/// The length of every derived key, in the form in which `ring` takes it.
struct Bytes32;

impl KeyType for Bytes32 {
    fn len(&self) -> usize {
        32
    }
}

impl DerivedKeys {
    pub fn new(root: &Key32) -> Self {
        let root = Salt::new(HKDF_SHA256, b"huntaze v1").extract(root.expose());
        let hmac = |purpose: &str| Key::new(HMAC_SHA256, &expand(&root, purpose));
        Self {
            email: hmac("email look-up"),
            api_key: hmac("api key look-up"),
            mint: hmac("api key from a seed"),
            refresh: hmac("refresh token"),
            cursor: hmac("cursor"),
            one_time: hmac("one-time token"),
            seed: hmac("idempotent seed"),
            answer: expand(&root, "kept answer"),
            password: expand(&root, "password pepper"),
        }
    }
}

/// The derived key of a purpose. Its name must never change: another name is another key.
fn expand(root: &Prk, purpose: &str) -> [u8; 32] {
    let mut bytes = [0; 32];
    // HKDF-SHA-256 gives up to 8,160 bytes, so 32 cannot fail.
    if let Ok(okm) = root.expand(&[purpose.as_bytes()], Bytes32) {
        let _ = okm.fill(&mut bytes);
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_purpose_has_a_key_of_its_own() {
        let keys = DerivedKeys::new(&Key32::new([1; 32]));
        let tag = |key: &Key| ring::hmac::sign(key, b"x").as_ref().to_vec();
        let mut tags =
            [&keys.email, &keys.api_key, &keys.refresh, &keys.cursor, &keys.one_time].map(tag).to_vec();
        tags.sort();
        tags.dedup();
        assert_eq!(tags.len(), 5);
        assert_ne!(keys.password, [0; 32]);
    }
}
