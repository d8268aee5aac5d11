//! Access tokens of sessions: EdDSA JWTs (RFC 8037, RFC 9068), signed by the same cryptography (ring) as TLS.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::crypto::{CryptoProvider, JwtSigner, JwtVerifier, KeyUtils};
use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use serde::{Deserialize, Serialize};
use signature::{Signer, Verifier};

use crate::clock::Millis;
use crate::contract::Role;
use crate::contract::ids::{SessionId, TenantId, UserId};
use crate::environment::{Environment, StartError};
use crate::secrets::{GuardSecret, Key32, SigningSecret, TokenKey, VerifyKey};

/// How long an access token is accepted after it was issued.
pub const LIFETIME: Duration = Duration::from_secs(600);
/// How far the clocks of two environments may differ, in seconds, before a token is refused as too new or too old.
const LEEWAY_SECS: u64 = 5;
const AUDIENCE: &str = "huntaze-api";
const TOKEN_TYPE: &str = "at+jwt";

/// The claims that an access token carries.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Claims {
    /// The user who signed in.
    pub sub: UserId,
    /// The session that the token was issued in.
    pub sid: SessionId,
    /// The tenants the user belongs to, each with the user's role in it.
    pub tenants: Vec<(TenantId, Role)>,
    iss: String,
    aud: String,
    iat: u64,
    nbf: u64,
    exp: u64,
}

/// Why a token is not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// The token was valid and its lifetime is over.
    #[error("the access token has expired")]
    Expired,
    /// The token was not signed with one of our keys, is meant for another stage or audience, or was changed.
    #[error("the access token is not valid")]
    Invalid,
}

/// A token key in the secret of the stage that cannot be used, and why.
#[derive(Debug, thiserror::Error)]
#[error("token key {kid} cannot be used: {cause}")]
pub struct TokenKeyError {
    kid: String,
    cause: String,
}

/// Verifies access tokens, with public keys alone. All of them verify, the one that will sign next among them, so that
/// keys can be changed without signing anybody out.
pub struct AccessTokens {
    issuer: String,
    verifiers: BTreeMap<String, DecodingKey>,
}

/// Signs access tokens. Only functions that open or continue sessions have one.
pub struct TokenSigner {
    issuer: String,
    kid: String,
    key: EncodingKey,
}

/// What the tokens of a stage name as their issuer; no other stage accepts them.
fn issuer(stage: &str) -> String {
    format!("https://huntaze.dev/{stage}")
}

/// Gives the library its cryptography. Installing twice in one process is an error that can be ignored: what was
/// installed first is the same provider.
fn install() {
    let _ = PROVIDER.install_default();
}

/// The public half of a token key.
///
/// # Errors
/// [`TokenKeyError`] if the seed makes no key pair.
pub fn public_half(key: &TokenKey) -> Result<VerifyKey, TokenKeyError> {
    let error = |cause: String| TokenKeyError { kid: key.kid.clone(), cause };
    let pair =
        Ed25519KeyPair::from_seed_unchecked(key.seed.expose()).map_err(|cause| error(cause.to_string()))?;
    let public = pair.public_key().as_ref().try_into().map_err(|_| error("no public key".to_owned()))?;
    Ok(VerifyKey { kid: key.kid.clone(), key: Key32::new(public) })
}

impl TokenSigner {
    pub async fn connect(environment: &Environment) -> Result<Self, StartError> {
        let secret = environment.secret::<SigningSecret>().await?;
        Self::new(&environment.settings().await?.stage, &secret.token_key).map_err(StartError::of)
    }

    /// The signer of one stage.
    ///
    /// # Errors
    /// [`TokenKeyError`] if the key cannot be used.
    pub fn new(stage: &str, key: &TokenKey) -> Result<Self, TokenKeyError> {
        install();
        public_half(key)?;
        let encoding = EncodingKey::from_ed_der(key.seed.expose());
        Ok(Self { issuer: issuer(stage), kid: key.kid.clone(), key: encoding })
    }

    /// Issues an access token for a session, good from `now` on for [`LIFETIME`].
    ///
    /// # Errors
    /// [`TokenError::Invalid`] if signing fails, which does not happen with a key that [`TokenSigner::new`] accepted.
    pub fn issue(
        &self,
        user: UserId,
        session: SessionId,
        tenants: Vec<(TenantId, Role)>,
        now: Millis,
    ) -> Result<String, TokenError> {
        let claims = Claims {
            sub: user,
            sid: session,
            tenants,
            iss: self.issuer.clone(),
            aud: AUDIENCE.to_owned(),
            iat: now.secs(),
            nbf: now.secs(),
            exp: now.plus(LIFETIME).secs(),
        };
        let header = Header {
            typ: Some(TOKEN_TYPE.to_owned()),
            kid: Some(self.kid.clone()),
            ..Header::new(Algorithm::EdDSA)
        };
        jsonwebtoken::encode(&header, &claims, &self.key).map_err(|_| TokenError::Invalid)
    }
}

impl AccessTokens {
    pub async fn connect(environment: &Environment) -> Result<Arc<Self>, StartError> {
        let make = async {
            let secret = environment.secret::<GuardSecret>().await?;
            Self::new(&environment.settings().await?.stage, &secret.verify_keys).map_err(StartError::of)
        };
        environment.once(make).await
    }

    /// The tokens of one stage, which no other stage accepts.
    ///
    /// # Errors
    /// [`TokenKeyError`] if there are no keys, or if two have the same name.
    pub fn new(stage: &str, keys: &[VerifyKey]) -> Result<Self, TokenKeyError> {
        install();
        let error = |kid: &str, cause: &str| TokenKeyError { kid: kid.to_owned(), cause: cause.to_owned() };
        let mut verifiers = BTreeMap::new();
        for VerifyKey { kid, key } in keys {
            if verifiers.insert(kid.clone(), DecodingKey::from_ed_der(key.expose())).is_some() {
                return Err(error(kid, "the name stands twice"));
            }
        }
        if verifiers.is_empty() {
            return Err(error("(none)", "the list is empty"));
        }
        Ok(Self { issuer: issuer(stage), verifiers })
    }

    /// Whether a text is a token of ours by its form, and names a key that is not among these. The keys may have been
    /// changed since they were read.
    pub fn is_of_unknown_key(&self, token: &str) -> bool {
        let header = jsonwebtoken::decode_header(token).ok();
        let kid =
            header.filter(|header| header.typ.as_deref() == Some(TOKEN_TYPE)).and_then(|header| header.kid);
        kid.is_some_and(|kid| !self.verifiers.contains_key(&kid))
    }

    /// Checks a token's signature, type, issuer, audience and times, and returns its claims.
    ///
    /// # Errors
    /// [`TokenError`]
    pub fn verify(&self, token: &str) -> Result<Claims, TokenError> {
        let header = TokenHeader::read(token).ok_or(TokenError::Invalid)?;
        if header.typ != TOKEN_TYPE {
            return Err(TokenError::Invalid);
        }
        let key = self.verifiers.get(&header.kid).ok_or(TokenError::Invalid)?;
        let mut rules = Validation::new(Algorithm::EdDSA);
        rules.set_audience(&[AUDIENCE]);
        rules.set_issuer(&[&self.issuer]);
        rules.set_required_spec_claims(&["exp", "nbf", "iss", "aud", "sub"]);
        rules.validate_nbf = true;
        rules.leeway = LEEWAY_SECS;
        match jsonwebtoken::decode::<Claims>(token, key, &rules) {
            Ok(data) => Ok(data.claims),
            Err(error) if matches!(error.kind(), ErrorKind::ExpiredSignature) => Err(TokenError::Expired),
            Err(_) => Err(TokenError::Invalid),
        }
    }
}

/// The header of our tokens, with the members that we write and no other. RFC 7515 wants a token refused whose `crit`
/// names what we do not understand; `b64` and `zip` would change what the signature covers.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TokenHeader {
    #[serde(rename = "alg")]
    _algorithm: serde::de::IgnoredAny,
    typ: String,
    kid: String,
}

impl TokenHeader {
    /// Reads the header of a token without trusting it; the algorithm is checked with the signature.
    fn read(token: &str) -> Option<Self> {
        let bytes = URL_SAFE_NO_PAD.decode(token.split('.').next()?).ok()?;
        serde_json::from_slice(&bytes).ok()
    }
}

/// The cryptography of `jsonwebtoken`: Ed25519 by ring, and no other algorithm, so that ring stays the only crypto
/// stack.
static PROVIDER: CryptoProvider = CryptoProvider {
    signer_factory: |algorithm, key| {
        require_ed25519(*algorithm)?;
        let pair =
            Ed25519KeyPair::from_seed_unchecked(key.as_bytes()).map_err(|_| ErrorKind::InvalidEddsaKey)?;
        Ok(Box::new(RingSigner(pair)))
    },
    verifier_factory: |algorithm, key| {
        require_ed25519(*algorithm)?;
        Ok(Box::new(RingVerifier(UnparsedPublicKey::new(&ED25519, key.try_get_as_bytes()?.to_vec()))))
    },
    key_utils: KeyUtils::new_unimplemented(),
};

fn require_ed25519(algorithm: Algorithm) -> Result<(), jsonwebtoken::errors::Error> {
    match algorithm {
        Algorithm::EdDSA => Ok(()),
        _ => Err(ErrorKind::InvalidAlgorithm.into()),
    }
}

struct RingSigner(Ed25519KeyPair);

impl Signer<Vec<u8>> for RingSigner {
    fn try_sign(&self, message: &[u8]) -> Result<Vec<u8>, signature::Error> {
        Ok(self.0.sign(message).as_ref().to_vec())
    }
}

impl JwtSigner for RingSigner {
    fn algorithm(&self) -> Algorithm {
        Algorithm::EdDSA
    }
}

struct RingVerifier(UnparsedPublicKey<Vec<u8>>);

impl Verifier<Vec<u8>> for RingVerifier {
    fn verify(&self, message: &[u8], signature: &Vec<u8>) -> Result<(), signature::Error> {
        self.0.verify(message, signature).map_err(|_| signature::Error::new())
    }
}

impl JwtVerifier for RingVerifier {
    fn algorithm(&self) -> Algorithm {
        Algorithm::EdDSA
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secrets::Key32;

    fn key(kid: &str, byte: u8) -> TokenKey {
        TokenKey { kid: kid.to_owned(), seed: Key32::new([byte; 32]) }
    }

    fn tokens(stage: &str, keys: &[TokenKey]) -> AccessTokens {
        let keys: Vec<_> = keys.iter().map(|key| public_half(key).unwrap()).collect();
        AccessTokens::new(stage, &keys).unwrap()
    }

    fn issue(stage: &str, key: &TokenKey, now: Millis) -> String {
        let tenants = vec![(TenantId::generate(), Role::Owner)];
        let signer = TokenSigner::new(stage, key).unwrap();
        signer.issue(UserId::generate(), SessionId::generate(), tenants, now).unwrap()
    }

    #[test]
    fn a_token_is_good_for_its_lifetime() {
        let tokens = tokens("test", &[key("a", 1)]);
        let now = Millis::now();
        assert_eq!(tokens.verify(&issue("test", &key("a", 1), now)).unwrap().tenants.len(), 1);
        let long_ago = Millis(now.0 - 700_000);
        assert_eq!(tokens.verify(&issue("test", &key("a", 1), long_ago)).unwrap_err(), TokenError::Expired);
        let tomorrow = Millis(now.0 + 86_400_000);
        assert_eq!(tokens.verify(&issue("test", &key("a", 1), tomorrow)).unwrap_err(), TokenError::Invalid);
    }

    #[test]
    fn a_token_of_the_previous_key_is_accepted_and_a_foreign_one_is_not() {
        let token = issue("test", &key("a", 1), Millis::now());
        assert!(tokens("test", &[key("b", 2), key("a", 1)]).verify(&token).is_ok());
        assert!(tokens("test", &[key("b", 2)]).verify(&token).is_err());
        assert!(tokens("test", &[key("a", 3)]).verify(&token).is_err());
        assert!(tokens("prod", &[key("a", 1)]).verify(&token).is_err(), "another stage");
        let is_unknown = |keys: &[TokenKey]| tokens("test", keys).is_of_unknown_key(&token);
        assert!(is_unknown(&[key("b", 2)]) && !is_unknown(&[key("b", 2), key("a", 3)]));
        assert!(!tokens("test", &[key("b", 2)]).is_of_unknown_key("hz_live_x"));
    }

    #[test]
    fn a_token_whose_header_asks_for_more_is_refused_although_we_signed_it() {
        let tokens = tokens("test", &[key("a", 1)]);
        let issued = issue("test", &key("a", 1), Millis::now());
        let claims = issued.split('.').nth(1).unwrap();
        let pair = Ed25519KeyPair::from_seed_unchecked(&[1; 32]).unwrap();
        let sign = |more: &str| {
            let header = format!(r#"{{"alg":"EdDSA","typ":"at+jwt","kid":"a"{more}}}"#);
            let signed = format!("{}.{claims}", URL_SAFE_NO_PAD.encode(header));
            format!("{signed}.{}", URL_SAFE_NO_PAD.encode(pair.sign(signed.as_bytes())))
        };
        assert!(tokens.verify(&sign("")).is_ok());
        for more in [r#","crit":["b64"]"#, r#","b64":false"#, r#","zip":"DEF""#, r#","jwk":{}"#] {
            assert_eq!(tokens.verify(&sign(more)).unwrap_err(), TokenError::Invalid, "{more}");
        }
    }

    #[test]
    fn a_token_that_names_another_algorithm_or_type_is_refused() {
        let tokens = tokens("test", &[key("a", 1)]);
        let token = issue("test", &key("a", 1), Millis::now());
        let rest = token.split_once('.').unwrap().1;
        for header in [
            r#"{"alg":"none","typ":"at+jwt","kid":"a"}"#,
            r#"{"alg":"HS256","typ":"at+jwt","kid":"a"}"#,
            r#"{"alg":"EdDSA","typ":"JWT","kid":"a"}"#,
            r#"{"alg":"EdDSA","typ":"at+jwt"}"#,
            r#"{"alg":"EdDSA","typ":"at+jwt","kid":"z"}"#,
            r#"{"alg":"EdDSA","typ":"at+jwt","kid":"a","kid":"a"}"#,
        ] {
            let forged = format!("{}.{rest}", URL_SAFE_NO_PAD.encode(header));
            assert_eq!(tokens.verify(&forged).unwrap_err(), TokenError::Invalid, "{header}");
        }
        for junk in ["", ".", "..", "a.b.c", &token[..token.len() - 8]] {
            assert_eq!(tokens.verify(junk).unwrap_err(), TokenError::Invalid, "{junk}");
        }
    }
}
