//! The form of an API key: `hz_live_` or `hz_test_`, 43 characters of secret, 6 of checksum.
//!
//! The checksum lets a scanner of leaked secrets and the guard tell a key from noise without any look-up.

use ring::hmac;

use super::email::hex;
use super::{NoRandomness, random};
use crate::contract::keys::KeyKind;
use crate::fleet::idempotency::IdSeed;

const SECRET_CHARS: usize = 43;
const CHECKSUM_CHARS: usize = 6;
const START_CHARS: usize = 11;
const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// A key in the hands of its owner.
#[derive(Clone, PartialEq, Eq)]
pub struct ApiKey {
    text: String,
    environment: KeyKind,
}

impl std::fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ApiKey({}...)", self.start())
    }
}

const fn prefix(environment: KeyKind) -> &'static str {
    match environment {
        KeyKind::Live => "hz_live_",
        KeyKind::Test => "hz_test_",
    }
}

impl ApiKey {
    /// A new key.
    ///
    /// # Errors
    /// [`NoRandomness`]
    pub fn mint(environment: KeyKind) -> Result<Self, NoRandomness> {
        Self::of_bytes(environment, random::<64>)
    }

    /// The key of a seed: the same at every attempt of one request, and without `key` nobody can tell it.
    ///
    /// # Errors
    /// None; the type is that of [`ApiKey::mint`].
    pub fn mint_from(environment: KeyKind, key: &hmac::Key, seed: IdSeed) -> Result<Self, NoRandomness> {
        let mut round = 0u8;
        Self::of_bytes(environment, || {
            let mut bytes = [0; 64];
            for half in bytes.chunks_mut(32) {
                round += 1;
                let tag = hmac::sign(key, &[&seed.0[..], &[round]].concat());
                half.copy_from_slice(tag.as_ref());
            }
            Ok(bytes)
        })
    }

    fn of_bytes(
        environment: KeyKind,
        mut source: impl FnMut() -> Result<[u8; 64], NoRandomness>,
    ) -> Result<Self, NoRandomness> {
        let mut text = prefix(environment).to_owned();
        while text.len() < prefix(environment).len() + SECRET_CHARS {
            // 248 is the largest multiple of 62 in a byte: beyond it, some characters would be likelier.
            let bytes = source()?;
            let chars = bytes
                .iter()
                .filter(|byte| **byte < 248)
                .map(|byte| char::from(ALPHABET[usize::from(byte % 62)]));
            text.extend(chars.take(prefix(environment).len() + SECRET_CHARS - text.len()));
        }
        let checksum = checksum(&text);
        Ok(Self { text: text + &checksum, environment })
    }

    /// Accepts what has the form of a key and the right checksum. No look-up.
    pub fn parse(text: &str) -> Option<Self> {
        let environment =
            [KeyKind::Live, KeyKind::Test].into_iter().find(|e| text.starts_with(prefix(*e)))?;
        let rest = &text[prefix(environment).len()..];
        let is_form =
            rest.len() == SECRET_CHARS + CHECKSUM_CHARS && rest.bytes().all(|b| b.is_ascii_alphanumeric());
        if !is_form {
            return None;
        }
        let (body, sum) = text.split_at(text.len() - CHECKSUM_CHARS);
        (checksum(body) == sum).then(|| Self { text: text.to_owned(), environment })
    }

    /// Whether the text wants to be a key.
    pub fn looks_like(text: &str) -> bool {
        text.starts_with("hz_")
    }

    /// The key itself.
    pub fn expose(&self) -> &str {
        &self.text
    }

    /// What it works on.
    pub const fn environment(&self) -> KeyKind {
        self.environment
    }

    /// How it begins, for lists.
    pub fn start(&self) -> &str {
        &self.text[..START_CHARS]
    }

    /// How it ends, for lists.
    pub fn last4(&self) -> &str {
        &self.text[self.text.len() - 4..]
    }

    /// What it is stored under, in hex.
    pub fn digest(&self, key: &hmac::Key) -> String {
        hex(hmac::sign(key, self.text.as_bytes()).as_ref())
    }
}

/// CRC-32 in base 62, most significant digit first.
fn checksum(body: &str) -> String {
    let mut rest = crc32fast::hash(body.as_bytes());
    let mut digits = [b'0'; CHECKSUM_CHARS];
    for digit in digits.iter_mut().rev() {
        *digit = ALPHABET[(rest % 62) as usize];
        rest /= 62;
    }
    digits.into_iter().map(char::from).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_minted_key_is_accepted_and_tells_its_environment() {
        for environment in [KeyKind::Live, KeyKind::Test] {
            let key = ApiKey::mint(environment).unwrap();
            assert_eq!(ApiKey::parse(key.expose()), Some(key.clone()));
            assert_eq!(key.environment(), environment);
            assert_eq!(key.expose().len(), 8 + 43 + 6);
        }
    }

    #[test]
    fn a_seed_gives_one_key_and_another_seed_another() {
        let secret = hmac::Key::new(hmac::HMAC_SHA256, &[3; 32]);
        let mint = |seed| ApiKey::mint_from(KeyKind::Live, &secret, IdSeed([seed; 16])).unwrap();
        assert_eq!(mint(1), mint(1));
        assert_ne!(mint(1), mint(2));
        assert_eq!(ApiKey::parse(mint(1).expose()), Some(mint(1)));
    }

    #[test]
    fn a_key_is_not_printed_by_accident() {
        let key = ApiKey::mint(KeyKind::Live).unwrap();
        assert!(!format!("{key:?}").contains(&key.expose()[12..]));
    }

    proptest! {
        #[test]
        fn one_wrong_character_is_noticed_without_a_look_up(place in 8usize..57, letter in 0usize..62) {
            let key = ApiKey::mint(KeyKind::Live).unwrap();
            let mut text = key.expose().as_bytes().to_vec();
            prop_assume!(text[place] != ALPHABET[letter]);
            text[place] = ALPHABET[letter];
            prop_assert_eq!(ApiKey::parse(std::str::from_utf8(&text).unwrap()), None);
        }

        #[test]
        fn no_text_whatever_breaks_the_parser(text in "\\PC*") {
            prop_assert_eq!(ApiKey::parse(&text), None);
            prop_assert_eq!(ApiKey::parse(&format!("hz_live_{text}")), None);
        }
    }
}
