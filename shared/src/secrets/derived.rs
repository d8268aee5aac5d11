//! One secret root key, and a key of its own for every purpose, by HKDF-SHA-256 (RFC 5869).

use ring::hkdf::{HKDF_SHA256, KeyType, Prk, Salt};
use ring::hmac::{HMAC_SHA256, Key};

use super::Key32;

/// The keys of all purposes.
#[derive(Clone)]
pub struct DerivedKeys {
    /// For looking an address up without storing it as a key.
    pub email: Key,
    /// For looking an API key up without storing it.
    pub api_key: Key,
    /// For API keys that are made from a seed.
    pub mint: Key,
    /// For sealing refresh tokens.
    pub refresh: Key,
    /// For sealing cursors.
    pub cursor: Key,
    /// For making one-time tokens from their identifiers.
    pub one_time: Key,
    /// For what an idempotent request creates: the same at every attempt.
    pub seed: Key,
    /// For sealing the answers that are kept under idempotency keys.
    pub answer: [u8; 32],
    /// The pepper of the passwords.
    pub password: [u8; 32],
}

struct Bytes32;

impl KeyType for Bytes32 {
    fn len(&self) -> usize {
        32
    }
}

impl DerivedKeys {
    /// Derives them.
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

fn expand(root: &Prk, purpose: &str) -> [u8; 32] {
    let mut bytes = [0; 32];
    // HKDF gives up to 8,160 bytes; 32 cannot fail.
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
