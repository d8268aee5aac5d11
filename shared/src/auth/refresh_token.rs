//! The form of a refresh token: `version | user | session | counter | HMAC | CRC-32`, in base64url.
//!
//! The counter says how many times the session had been refreshed when the token was issued. One number in the
//! session's item is therefore enough to tell the latest token from the one before it and from an older one, which
//! somebody has stolen. The HMAC and the checksum let us refuse random text without I/O.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::hmac;
use subtle::ConstantTimeEq as _;

use crate::contract::ids::{SessionId, UserId};

const VERSION: u8 = 1;
const BODY_BYTES: usize = 1 + 16 + 16 + 4;
const TAG_BYTES: usize = 16;
const SUM_BYTES: usize = 4;

/// The content of a refresh token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RefreshToken {
    /// The user whose session it is.
    pub user: UserId,
    pub session: SessionId,
    /// How many times the session had been refreshed when this token was issued.
    pub counter: u32,
}

impl RefreshToken {
    /// The token as text, signed with `key`, as the client gets it.
    pub fn seal(self, key: &hmac::Key) -> String {
        let mut bytes = Vec::with_capacity(BODY_BYTES + TAG_BYTES + SUM_BYTES);
        bytes.push(VERSION);
        bytes.extend_from_slice(&self.user.to_bytes());
        bytes.extend_from_slice(&self.session.to_bytes());
        bytes.extend_from_slice(&self.counter.to_be_bytes());
        let tag = hmac::sign(key, &bytes);
        bytes.extend_from_slice(&tag.as_ref()[..TAG_BYTES]);
        let sum = crc32fast::hash(&bytes);
        bytes.extend_from_slice(&sum.to_be_bytes());
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// Reads a token that was sealed with `key`; `None` for any other text.
    pub fn open(text: &str, key: &hmac::Key) -> Option<Self> {
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        if bytes.len() != BODY_BYTES + TAG_BYTES + SUM_BYTES || bytes[0] != VERSION {
            return None;
        }
        let (signed, sum) = bytes.split_at(BODY_BYTES + TAG_BYTES);
        if crc32fast::hash(signed).to_be_bytes() != sum {
            return None;
        }
        let (body, tag) = signed.split_at(BODY_BYTES);
        if !bool::from(hmac::sign(key, body).as_ref()[..TAG_BYTES].ct_eq(tag)) {
            return None;
        }
        Some(Self {
            user: UserId::from_bytes(body[1..17].try_into().ok()?),
            session: SessionId::from_bytes(body[17..33].try_into().ok()?),
            counter: u32::from_be_bytes(body[33..].try_into().ok()?),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn key(byte: u8) -> hmac::Key {
        hmac::Key::new(hmac::HMAC_SHA256, &[byte; 32])
    }

    proptest! {
        #[test]
        fn a_token_opens_with_its_own_key_only(counter: u32) {
            let token = RefreshToken { user: UserId::generate(), session: SessionId::generate(), counter };
            let text = token.seal(&key(1));
            prop_assert_eq!(RefreshToken::open(&text, &key(1)), Some(token));
            prop_assert_eq!(RefreshToken::open(&text, &key(2)), None);
        }

        #[test]
        fn a_changed_token_does_not_open(place in 0usize..57, flip in 1u8..=255) {
            let token = RefreshToken { user: UserId::generate(), session: SessionId::generate(), counter: 3 };
            let mut bytes = URL_SAFE_NO_PAD.decode(token.seal(&key(1))).unwrap();
            bytes[place] ^= flip;
            prop_assert_eq!(RefreshToken::open(&URL_SAFE_NO_PAD.encode(bytes), &key(1)), None);
        }

        #[test]
        fn no_text_whatever_opens(text in "\\PC*") {
            prop_assert_eq!(RefreshToken::open(&text, &key(1)), None);
        }
    }
}
