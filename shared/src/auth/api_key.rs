//! The form of an API key: `hz_live_` or `hz_test_`, 43 characters of secret, 6 of checksum.
//!
//! Thanks to the checksum, the guard and scanners for leaked secrets can tell a key from random text without a
//! look-up.

use ring::hmac;

use super::email::hex;
use super::{NoRandomness, random};
use crate::contract::Mode;
use crate::fleet::idempotency::IdSeed;

/// 43 characters of 62 kinds are 256 bits.
const SECRET_CHARS: usize = 43;
const CHECKSUM_CHARS: usize = 6;
/// How much of a key is shown in lists: the prefix and three characters of the secret.
const START_CHARS: usize = 11;
const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// An API key in plain text, which only its owner has and which is never stored.
#[derive(Clone, PartialEq, Eq)]
pub struct ApiKey {
    text: String,
    mode: Mode,
}

impl std::fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ApiKey({}...)", self.start())
    }
}

const fn prefix(mode: Mode) -> &'static str {
    match mode {
        Mode::Live => "hz_live_",
        Mode::Test => "hz_test_",
    }
}

impl ApiKey {
    /// Makes a key from random bytes.
    ///
    /// # Errors
    /// [`NoRandomness`]
    pub fn mint(mode: Mode) -> Result<Self, NoRandomness> {
        Self::of_bytes(mode, random::<64>)
    }

    /// Makes a key from the seed of an idempotent request, so that every attempt of the request makes the same key.
    /// Nobody without `key` can compute it.
    ///
    /// # Errors
    /// Never; the result has the type of [`ApiKey::mint`].
    pub fn mint_from(mode: Mode, key: &hmac::Key, seed: IdSeed) -> Result<Self, NoRandomness> {
        let mut round = 0u8;
        Self::of_bytes(mode, || {
            let mut bytes = [0; 64];
            for half in bytes.chunks_mut(32) {
                round += 1;
                let tag = hmac::sign(key, &[&seed.0[..], &[round]].concat());
                half.copy_from_slice(tag.as_ref());
            }
            Ok(bytes)
        })
    }

    /// Makes the secret's characters out of as many bytes of `source` as it takes.
    fn of_bytes(
        mode: Mode,
        mut source: impl FnMut() -> Result<[u8; 64], NoRandomness>,
    ) -> Result<Self, NoRandomness> {
        let mut text = prefix(mode).to_owned();
        while text.len() < prefix(mode).len() + SECRET_CHARS {
            // 248 is the largest multiple of 62 that fits a byte. With the bytes above it, the first eight
            // characters of the alphabet would be likelier than the others.
            let bytes = source()?;
            let chars = bytes
                .iter()
                .filter(|byte| **byte < 248)
                .map(|byte| char::from(ALPHABET[usize::from(byte % 62)]));
            text.extend(chars.take(prefix(mode).len() + SECRET_CHARS - text.len()));
        }
        let checksum = checksum(&text);
        Ok(Self { text: text + &checksum, mode })
    }

    /// Reads a text that has the form of a key and the right checksum. Whether such a key exists is not looked up.
    pub fn parse(text: &str) -> Option<Self> {
        let mode = Mode::ALL.into_iter().find(|e| text.starts_with(prefix(*e)))?;
        let rest = &text[prefix(mode).len()..];
        let is_well_formed =
            rest.len() == SECRET_CHARS + CHECKSUM_CHARS && rest.bytes().all(|b| b.is_ascii_alphanumeric());
        if !is_well_formed {
            return None;
        }
        let (body, sum) = text.split_at(text.len() - CHECKSUM_CHARS);
        (checksum(body) == sum).then(|| Self { text: text.to_owned(), mode })
    }

    /// Whether the text is meant as an API key and not as an access token.
    pub fn looks_like(text: &str) -> bool {
        text.starts_with("hz_")
    }

    /// The whole key in plain text, for its owner.
    pub fn expose(&self) -> &str {
        &self.text
    }

    /// Whether the key is for live work or for tests.
    pub const fn mode(&self) -> Mode {
        self.mode
    }

    /// The first characters of the key, by which its owner recognises it in a list.
    pub fn start(&self) -> &str {
        &self.text[..START_CHARS]
    }

    /// The last four characters of the key, by which its owner recognises it in a list.
    pub fn last4(&self) -> &str {
        &self.text[self.text.len() - 4..]
    }

    /// The HMAC of the key in hexadecimal, under which it is stored and found.
    pub fn digest(&self, key: &hmac::Key) -> String {
        hex(hmac::sign(key, self.text.as_bytes()).as_ref())
    }
}

/// CRC-32 in base 62, most significant digit first.
fn checksum(body: &str) -> String {
    let mut number = crc32fast::hash(body.as_bytes());
    let mut digits = [b'0'; CHECKSUM_CHARS];
    for digit in digits.iter_mut().rev() {
        *digit = ALPHABET[(number % 62) as usize];
        number /= 62;
    }
    digits.into_iter().map(char::from).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_minted_key_is_accepted_and_tells_its_environment() {
        for mode in Mode::ALL {
            let key = ApiKey::mint(mode).unwrap();
            assert_eq!(ApiKey::parse(key.expose()), Some(key.clone()));
            assert_eq!(key.mode(), mode);
            assert_eq!(key.expose().len(), 8 + 43 + 6);
        }
    }

    #[test]
    fn a_seed_gives_one_key_and_another_seed_another() {
        let secret = hmac::Key::new(hmac::HMAC_SHA256, &[3; 32]);
        let mint = |seed| ApiKey::mint_from(Mode::Live, &secret, IdSeed([seed; 16])).unwrap();
        assert_eq!(mint(1), mint(1));
        assert_ne!(mint(1), mint(2));
        assert_eq!(ApiKey::parse(mint(1).expose()), Some(mint(1)));
    }

    #[test]
    fn a_key_is_not_printed_by_accident() {
        let key = ApiKey::mint(Mode::Live).unwrap();
        assert!(!format!("{key:?}").contains(&key.expose()[12..]));
    }

    proptest! {
        #[test]
        fn one_wrong_character_is_noticed_without_a_look_up(place in 8usize..57, letter in 0usize..62) {
            let key = ApiKey::mint(Mode::Live).unwrap();
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
