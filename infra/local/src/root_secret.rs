//! The root secret of a stage, which operators have and no function can read, and the secrets that are made from it.
//!
//! It names every key and token of the stage. What a function reads is a part of it, or derived from its root key by
//! HKDF-SHA-256 (RFC 5869), so that what one of the keys signs or seals means nothing to another, and so that none of
//! them leads back to the root key.

use std::collections::BTreeMap;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::hkdf::{HKDF_SHA256, KeyType, Prk, Salt};
use ring::rand::{SecureRandom as _, SystemRandom};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use shared::auth::access_token::{LIFETIME, public_half};
use shared::clock::Millis;
use shared::secrets::{
    AccountSecret, FleetSecret, GuardSecret, Key32, MintSecret, ModelSecret, ScrapeSecret, SessionSecret,
    SigningSecret, StageSecret, TokenKey,
};

use crate::LocalError;
use crate::private_file::write_secret;

/// The last part of the name of the root secret. It is that of the one secret that stages had before.
pub const NAME: &str = "app";
/// How long a key must be known to all verifiers before it signs, and how long it verifies after it signed, in seconds:
/// environments read their secrets again within ten minutes, and a token lives for ten.
const SETTLED_SECS: u64 = 600 + LIFETIME.as_secs();

/// The root secret as JSON has it.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RootSecret {
    /// The key from which all keys are derived that hash, seal or sign what is stored.
    pub root_key: Key32,
    /// The Ed25519 keys of session tokens: the first signs, all verify.
    pub token_keys: Vec<TokenKey>,
    /// The key that signs after the next rotation. It verifies already, so that every verifier knows it before it signs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_token_key: Option<TokenKey>,
    /// When the token keys were changed last, in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rotated_at: Option<u64>,
    pub upstash_token: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ai_key: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ai_fallback_key: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scrape_token: Option<String>,
}

/// The length of every derived key, in the form in which `ring` takes it.
struct Bytes32;

impl KeyType for Bytes32 {
    fn len(&self) -> usize {
        32
    }
}

fn failed(why: impl Into<String>) -> LocalError {
    LocalError::Part { part: "the root secret", why: why.into() }
}

/// Random bytes that nobody can guess.
fn random() -> Result<[u8; 32], LocalError> {
    let mut bytes = [0; 32];
    SystemRandom::new().fill(&mut bytes).map_err(|_| failed("the system gives no random bytes"))?;
    Ok(bytes)
}

/// A new token key, with a name that tells when it was made.
fn token_key(now: Millis) -> Result<TokenKey, LocalError> {
    let date: String = now.rfc3339().chars().take(10).collect();
    let end = URL_SAFE_NO_PAD.encode(&random()?[..3]);
    Ok(TokenKey { kid: format!("{date}-{end}"), seed: Key32::new(random()?) })
}

impl RootSecret {
    /// A root secret for a new stage.
    ///
    /// # Errors
    /// When the system gives no random bytes.
    pub fn generate(upstash_token: String, ai_key: Option<String>, now: Millis) -> Result<Self, LocalError> {
        Ok(Self {
            root_key: Key32::new(random()?),
            token_keys: vec![token_key(now)?],
            next_token_key: Some(token_key(now)?),
            rotated_at: None,
            upstash_token,
            ai_key,
            ai_fallback_key: None,
            scrape_token: Some(URL_SAFE_NO_PAD.encode(random()?)),
        })
    }

    /// Changes the token keys: the next one signs, the one that signed still verifies, and there is a new next one.
    ///
    /// With `leaked`, what signed or verified until now does neither any more, apart from the next one. All access
    /// tokens are refused then, and clients get others with their refresh tokens.
    ///
    /// # Errors
    /// Where the last change is so young that a verifier might not know the next key, or a token of the key that
    /// would go might still be good.
    pub fn rotate(&mut self, leaked: bool, now: Millis) -> Result<(), LocalError> {
        if let Some(left) = self.rotated_at.map(|at| (at + SETTLED_SECS).saturating_sub(now.secs()))
            && left > 0
            && !leaked
        {
            return Err(failed(format!(
                "the keys were changed lately; wait {left} seconds, so that no token is refused"
            )));
        }
        let new = token_key(now)?;
        // A stage of an older version has no next key. It gets one now, which signs after the next rotation.
        if let Some(next) = self.next_token_key.replace(new) {
            self.token_keys.insert(0, next);
        } else if leaked {
            self.token_keys.insert(0, token_key(now)?);
        }
        self.token_keys.truncate(if leaked { 1 } else { 2 });
        self.rotated_at = Some(now.secs());
        Ok(())
    }

    /// The secrets that functions read, by the last part of their names.
    ///
    /// # Errors
    /// When a key cannot be used.
    pub fn parts(&self) -> Result<BTreeMap<&'static str, Value>, LocalError> {
        let root = Salt::new(HKDF_SHA256, b"huntaze v1").extract(self.root_key.expose());
        let token_key = self.token_keys.first().ok_or_else(|| failed("tokenKeys is empty"))?.clone();
        let known = self.token_keys.iter().chain(&self.next_token_key);
        let verify_keys =
            known.map(public_half).collect::<Result<_, _>>().map_err(|e| failed(e.to_string()))?;
        let key = |purpose| expand(&root, purpose);
        let guard = GuardSecret {
            verify_keys,
            api_key: key("api key look-up"),
            cursor: key("cursor"),
            seed: key("idempotent seed"),
            answer: key("kept answer"),
        };
        let accounts = AccountSecret {
            email: key("email look-up"),
            password: key("password pepper"),
            one_time: key("one-time token"),
        };
        let models =
            ModelSecret { ai_key: self.ai_key.clone(), ai_fallback_key: self.ai_fallback_key.clone() };
        Ok(BTreeMap::from([
            part(&FleetSecret { upstash_token: self.upstash_token.clone() }),
            part(&guard),
            part(&MintSecret { mint: key("api key from a seed") }),
            part(&SigningSecret { token_key }),
            part(&SessionSecret { refresh: key("refresh token") }),
            part(&accounts),
            part(&models),
            part(&ScrapeSecret { scrape_token: self.scrape_token.clone() }),
        ]))
    }
}

/// Writes the secrets that functions read to files in `folder`, from the root secret in the file `app`, or from a new one
/// where there is none. With `change` the token keys are rotated first, and `Some(true)` says that they have leaked.
///
/// # Errors
/// [`LocalError`] when the root secret is malformed, or may not be rotated yet, or a file cannot be written.
pub fn write(
    folder: &Path,
    upstash_token: String,
    ai_key: Option<String>,
    change: Option<bool>,
) -> Result<(), LocalError> {
    let (file, now) = (folder.join(NAME), Millis::now());
    let mut root = if file.exists() {
        let text = std::fs::read_to_string(&file).map_err(LocalError::io("reading the root secret"))?;
        serde_json::from_str(&text).map_err(|error| failed(error.to_string()))?
    } else if upstash_token.is_empty() {
        return Err(failed("a new one needs the token of Redis"));
    } else {
        RootSecret::generate(upstash_token, ai_key, now)?
    };
    if let Some(leaked) = change {
        root.rotate(leaked, now)?;
    }
    write_secret(&file, &json!(root).to_string())?;
    for (name, part) in root.parts()? {
        write_secret(&folder.join(name), &part.to_string())?;
    }
    Ok(())
}

/// A secret with the last part of its name.
fn part<S: StageSecret>(secret: &S) -> (&'static str, Value) {
    (S::NAME, json!(secret))
}

/// The derived key of a purpose. Its name must never change: another name is another key, and what was hashed or
/// signed with the old one is lost.
fn expand(root: &Prk, purpose: &str) -> Key32 {
    let mut bytes = [0; 32];
    // HKDF-SHA-256 gives up to 8,160 bytes, so 32 cannot fail.
    if let Ok(okm) = root.expand(&[purpose.as_bytes()], Bytes32) {
        let _ = okm.fill(&mut bytes);
    }
    Key32::new(bytes)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    const NOW: Millis = Millis(1_790_000_000_000);

    fn later(secs: u64) -> Millis {
        Millis(NOW.0 + secs * 1000)
    }

    fn kids(root: &RootSecret) -> Vec<&str> {
        root.token_keys.iter().chain(&root.next_token_key).map(|key| key.kid.as_str()).collect()
    }

    #[test]
    fn the_derived_keys_of_a_stage_are_the_same_for_ever() {
        // As the functions derived them when they had the root key: what is stored was hashed with these.
        let json = json!({
            "rootKey": "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=", "upstashToken": "t", "aiKey": "k",
            "tokenKeys": [{"kid": "a", "seed": "AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI="}],
        });
        let parts = serde_json::from_value::<RootSecret>(json).unwrap().parts().unwrap();
        let expected = json!({
            "accounts": {"email": "avftO+SCBW6p50ewIjFO+HtiYastEwyxB8PBjxCA4SU=", "password": "7UUy0Ty1e8OjGfeDTY+svTEfa/HBK4vrVKtGvu5z9Ls=", "oneTime": "qxHpyvYEc+haBoO+D9WTShZbmxPO8xuxVY3razWAOLI="},
            "fleet": {"upstashToken": "t"},
            "guard": {
                "verifyKeys": [{"kid": "a", "key": "gTl3Dqh9F19Wo1Rmw0x+zMuNipG07jeiXfYPW4/Js5Q="}],
                "apiKey": "6mu1xTIOGVbgRNHAmsETnZang+sgZjJnxKj92XkhD98=", "cursor": "gDOkU89Nro4THJOvy3Omq8KzCecasDlRndDi63DRypg=", "seed": "CnpPJpl0Fd0IgyVqoGT8pFgFq6KsVd9itx0NTbeDL34=", "answer": "YdL5ntBDP/GgJrkgcevsj21WJ/Kb8gKh3iezM5PPzR8=",
            },
            "mint": {"mint": "KT/7P3HjFhf3wmxzelO45jdWo15zWolD4MQl2L7lnas="},
            "models": {"aiKey": "k"},
            "scrape": {},
            "sessions": {"refresh": "YSmb+a7qLnyLeLx+TN+3jQ1RUX2jjjT5XanutybRc/o="},
            "signing": {"tokenKey": {"kid": "a", "seed": "AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI="}},
        });
        assert_eq!(json!(parts), expected);
        assert_eq!(
            parts.into_keys().collect::<BTreeSet<_>>(),
            shared::secrets::NAMES.iter().copied().collect()
        );
    }

    #[test]
    fn a_key_is_known_before_it_signs_and_verifies_after_it_signed() {
        let mut root = RootSecret::generate("t".to_owned(), None, NOW).unwrap();
        let before: Vec<String> = kids(&root).into_iter().map(str::to_owned).collect();
        root.rotate(false, NOW).unwrap();
        assert_eq!(kids(&root)[..2], [before[1].as_str(), &before[0]]);
        assert_eq!(kids(&root).len(), 3);
        let third = kids(&root)[2].to_owned();
        let refused = root.rotate(false, later(1_199)).unwrap_err().to_string();
        assert!(refused.contains("wait 1 seconds"), "{refused}");
        root.rotate(false, later(1_200)).unwrap();
        assert_eq!(kids(&root)[..2], [third.as_str(), &before[1]]);
    }

    #[test]
    fn a_leaked_key_neither_signs_nor_verifies_whatever_was_before() {
        let mut root = RootSecret::generate("t".to_owned(), None, NOW).unwrap();
        root.rotate(false, NOW).unwrap();
        let next = kids(&root)[2].to_owned();
        root.rotate(true, later(1)).unwrap();
        assert_eq!((kids(&root).len(), kids(&root)[0]), (2, next.as_str()));
        // A stage of an older version.
        root.next_token_key = None;
        let leaked = kids(&root)[0].to_owned();
        root.rotate(true, later(2)).unwrap();
        assert!(!kids(&root).contains(&leaked.as_str()) && kids(&root).len() == 2, "{:?}", kids(&root));
    }

    #[test]
    fn a_stage_of_an_older_version_gets_a_next_key_first_and_rotates_after_that() {
        let mut root = RootSecret::generate("t".to_owned(), None, NOW).unwrap();
        root.next_token_key = None;
        let old = kids(&root)[0].to_owned();
        root.rotate(false, NOW).unwrap();
        assert_eq!((kids(&root)[0], kids(&root).len()), (old.as_str(), 2));
        root.rotate(false, later(1_200)).unwrap();
        assert_eq!((kids(&root)[1], kids(&root).len()), (old.as_str(), 3));
    }
}
