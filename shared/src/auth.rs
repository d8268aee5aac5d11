//! Who somebody is: passwords, sessions and API keys.
//!
//! Invariant: nothing here knows HTTP; a secret is compared in constant time and never stored in plain text.

pub mod access_token;
pub mod accounts;
pub mod api_key;
pub mod device;
pub mod email;
mod issuer;
pub mod key_store;
pub mod password;
pub mod profile;
pub mod refresh_token;
pub mod sessions;
pub mod signin;

use ring::rand::{SecureRandom, SystemRandom};

use crate::contract::ids::UserId;

/// The partition key of the identity table under which everything of a user lies: the account and the sessions.
fn user_partition(user: UserId) -> String {
    format!("U#{user}")
}

/// Random bytes from the operating system that nobody can guess, for keys and salts.
///
/// # Errors
/// [`NoRandomness`] if the operating system has none to give.
pub(crate) fn random<const N: usize>() -> Result<[u8; N], NoRandomness> {
    let mut bytes = [0; N];
    SystemRandom::new().fill(&mut bytes).map_err(|_| NoRandomness)?;
    Ok(bytes)
}

/// The operating system has no randomness to give.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("the system gives no random bytes")]
pub struct NoRandomness;
