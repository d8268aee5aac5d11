//! Passwords: which are accepted (NIST SP 800-63B-4) and how they are stored (Argon2id with a pepper).

use argon2::password_hash::phc::PasswordHash;
use argon2::{Algorithm, Argon2, Params, PasswordHasher, PasswordVerifier, Version};
use unicode_normalization::UnicodeNormalization as _;

use super::NoRandomness;

const CHARS_MIN: usize = 15;
const CHARS_MAX: usize = 128;
/// How many characters a password must have beside the words of its account, which are no secret.
const CHARS_BESIDE_CONTEXT_MIN: usize = 8;
/// How many characters are judged at a time: guessing a password takes at least as long as guessing a part of it. 128
/// characters that may all stand for letters (`4@8({[<36&`...) took zxcvbn 711 ms in one piece, and 26 ms for 24.
const JUDGED_CHARS: usize = 24;
/// How many parts of a password are judged, so that a weak one takes a bounded time as well.
const JUDGED_PARTS: usize = 2;
/// Argon2's memory in KiB. OWASP's first choice of parameters is 19 MiB, two passes and one lane.
const MEMORY_KIB: u32 = 19_456;
const PASSES: u32 = 2;
const LANES: u32 = 1;

/// The hash that a password is compared with when there is no account, so that the answer takes as long as with
/// one. No password that can be set has this hash.
const DUMMY: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$aHVudGF6ZS1kdW1teS1zYWx0$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

/// Why a password is not accepted, in words for the person who chose it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WeakPassword {
    /// The password has too few characters: this many.
    #[error("must have at least {CHARS_MIN} characters, has {0}; a sentence is a good password")]
    Short(usize),
    /// The password has too many characters: this many.
    #[error("must have at most {CHARS_MAX} characters, has {0}")]
    Long(usize),
    /// The password is easily guessed, for example because it is common or is made of the account's own words.
    #[error("is too easy to guess; choose words that have nothing to do with you or each other")]
    Guessable,
}

/// Why a password could not be hashed or compared.
#[derive(Debug, thiserror::Error)]
pub enum HashError {
    /// The operating system gave no random bytes for the salt.
    #[error(transparent)]
    NoRandomness(#[from] NoRandomness),
    /// Argon2 refused its parameters.
    #[error("argon2 failed: {0}")]
    Argon2(argon2::password_hash::Error),
}

/// A password in Unicode normal form (NFKC), so that two ways to type a character are the same password.
pub struct Password(String);

impl Password {
    /// A password that shall be compared with a hash. Whether it is a good one does not matter any more.
    pub fn presented(text: &str) -> Self {
        // No longer password was ever accepted, so this one is wrong in any case, and cutting it bounds the work.
        Self(text.nfkc().take(CHARS_MAX + 1).collect())
    }

    /// A password that somebody chose for an account. `context` holds words that an attacker would try first, such
    /// as the person's name.
    ///
    /// # Errors
    /// [`WeakPassword`]
    pub fn chosen(text: &str, context: &[&str]) -> Result<Self, WeakPassword> {
        let password: String = text.nfkc().collect();
        match password.chars().count() {
            count if count < CHARS_MIN => return Err(WeakPassword::Short(count)),
            count if count > CHARS_MAX => return Err(WeakPassword::Long(count)),
            _ => {}
        }
        let mut words: Vec<&str> = context.iter().flat_map(|text| text.split_whitespace()).collect();
        words.push("huntaze");
        if is_guessable(&password, &words) || chars_beside(&password, &words) < CHARS_BESIDE_CONTEXT_MIN {
            return Err(WeakPassword::Guessable);
        }
        Ok(Self(password))
    }
}

/// Whether a password is easy to guess, in each part that is judged.
fn is_guessable(password: &str, words: &[&str]) -> bool {
    let chars: Vec<char> = password.chars().collect();
    let is_strong = |part: &[char]| {
        zxcvbn::zxcvbn(&part.iter().collect::<String>(), words).score() >= zxcvbn::Score::Three
    };
    !chars.chunks(JUDGED_CHARS).take(JUDGED_PARTS).any(is_strong)
}

/// How many letters and digits a password has beside the words of its account. Words of one or two letters are in
/// too many other words to be taken out.
fn chars_beside(password: &str, words: &[&str]) -> usize {
    let words = words.iter().map(|word| word.to_lowercase()).filter(|word| word.chars().count() >= 3);
    let rest = words.fold(password.to_lowercase(), |rest, word| rest.replace(&word, ""));
    rest.chars().filter(|c| c.is_alphanumeric()).count()
}

/// Hashes passwords and compares them with hashes.
#[derive(Clone)]
pub struct Passwords {
    /// A secret that goes into every hash: without it, a stolen table cannot be searched for passwords.
    pepper: [u8; 32],
}

impl Passwords {
    pub const fn new(pepper: [u8; 32]) -> Self {
        Self { pepper }
    }

    fn argon2(&self) -> Result<Argon2<'_>, argon2::Error> {
        let params = Params::new(MEMORY_KIB, PASSES, LANES, None)?;
        Argon2::new_with_secret(&self.pepper, Algorithm::Argon2id, Version::V0x13, params)
    }

    /// Hashes a password with a new salt. The result is a PHC string.
    ///
    /// # Errors
    /// [`HashError`]
    pub fn hash(&self, password: &Password) -> Result<String, HashError> {
        let salt = super::random::<16>()?;
        let argon2 = self.argon2().map_err(|error| HashError::Argon2(error.into()))?;
        let hash = argon2.hash_password_with_salt(password.0.as_bytes(), &salt).map_err(HashError::Argon2)?;
        Ok(hash.to_string())
    }

    /// Whether `hash` is that of `password`. Without a hash the answer is no, and takes as long.
    pub fn verify(&self, password: &Password, hash: Option<&str>) -> bool {
        let Ok(argon2) = self.argon2() else { return false };
        let matches = argon2.verify_password(password.0.as_bytes(), hash.unwrap_or(DUMMY)).is_ok();
        matches && hash.is_some()
    }

    /// Whether `hash` was made with other parameters than those that new hashes get.
    pub fn is_outdated(hash: &str) -> bool {
        let parameters = [("m", MEMORY_KIB), ("t", PASSES), ("p", LANES)];
        PasswordHash::new(hash).map_or(true, |hash| {
            parameters
                .iter()
                .any(|(name, value)| hash.params.get(*name).and_then(|p| p.decimal().ok()) != Some(*value))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "violet tractor sings at noon";

    #[test]
    fn a_password_matches_its_own_hash_under_its_own_pepper_only() {
        let passwords = Passwords::new([1; 32]);
        let hash = passwords.hash(&Password::chosen(GOOD, &[]).unwrap()).unwrap();
        assert!(passwords.verify(&Password::presented(GOOD), Some(&hash)));
        assert!(!passwords.verify(&Password::presented("violet tractor sings at dawn"), Some(&hash)));
        assert!(!Passwords::new([2; 32]).verify(&Password::presented(GOOD), Some(&hash)));
        assert!(!Passwords::is_outdated(&hash));
        assert!(Passwords::is_outdated(&hash.replace("m=19456", "m=4096")));
    }

    #[test]
    fn an_unknown_account_costs_a_whole_hash_and_is_refused() {
        PasswordHash::new(DUMMY).expect("the dummy is a hash, so comparing with it does the work");
        assert!(!Passwords::is_outdated(DUMMY));
        assert!(!Passwords::new([1; 32]).verify(&Password::presented(GOOD), None));
    }

    #[test]
    fn two_ways_to_type_a_character_are_one_password() {
        let passwords = Passwords::new([1; 32]);
        let hash = passwords.hash(&Password::chosen("café crème à la folie", &[]).unwrap()).unwrap();
        let decomposed: String = "café crème à la folie".nfd().collect();
        assert!(passwords.verify(&Password::presented(&decomposed), Some(&hash)));
    }

    #[test]
    fn refuses_short_long_common_and_personal_passwords() {
        let refused = |text: &str, context: &[&str]| Password::chosen(text, context).err();
        assert_eq!(refused("violet tractor", &[]), Some(WeakPassword::Short(14)));
        assert_eq!(refused(&"x".repeat(129), &[]), Some(WeakPassword::Long(129)));
        assert_eq!(refused("passwordpassword", &[]), Some(WeakPassword::Guessable));
        assert_eq!(refused("aaaaaaaaaaaaaaaaaaaa", &[]), Some(WeakPassword::Guessable));
        assert_eq!(refused("anastudio-anastudio", &["anastudio"]), Some(WeakPassword::Guessable));
        assert_eq!(refused(GOOD, &["ana"]), None);
        assert_eq!(refused(&"password".repeat(16), &[]), Some(WeakPassword::Guessable), "weak in every part");
        let after = |count| refused(&format!("{}{GOOD}", "a".repeat(count)), &[]);
        assert_eq!(after(24), None, "one strong part will do");
        assert_eq!(after(48), Some(WeakPassword::Guessable), "what comes later is not judged");
    }
}
