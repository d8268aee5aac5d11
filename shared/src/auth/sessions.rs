//! Sessions: opened at sign-in, kept alive by refresh tokens that each work once, ended by sign-out or reuse.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::refresh_token::RefreshToken;
use crate::clock::Millis;
use crate::contract::ids::{SessionId, TenantId, UserId};
use crate::dynamo::{Condition, Dynamo, DynamoError, ItemKey, Write, WriteError};
use crate::environment::{Environment, StartError};
use crate::secrets::DerivedKeys;
use crate::tenants::TenantCtx;
use crate::tenants::records::{OutboxEvent, outbox};

/// A session ends when it is not used for so long.
pub const IDLE_MAX: Duration = Duration::from_secs(30 * 86_400);
/// An answer gets lost, two tabs refresh at once: the token before the last one is good for a moment more.
const GRACE: Duration = Duration::from_secs(30);

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct StoredSession {
    counter: u32,
    rotated_at: Millis,
    expires_at: Millis,
    /// Where the owner is told of a theft.
    home_tenant: TenantId,
    ttl: u64,
}

/// A session that goes on.
#[derive(Debug)]
pub struct RefreshedSession {
    /// Whose.
    pub user: UserId,
    /// Which.
    pub session: SessionId,
    /// The next refresh token.
    pub token: String,
}

/// Why a refresh token is not accepted.
#[derive(Debug, thiserror::Error)]
pub enum RefreshError {
    /// Not ours. Nothing was read.
    #[error("the refresh token is not valid")]
    Invalid,
    /// Ended by sign-out, reuse or time.
    #[error("the session has ended")]
    Ended,
    /// Used before: the session was ended now, because one of the two users is not its owner.
    #[error("the refresh token was used before, so the session has been ended")]
    Reused,
    /// DynamoDB did not do it.
    #[error(transparent)]
    Dynamo(#[from] DynamoError),
}

/// The sessions.
#[derive(Clone)]
pub struct Sessions {
    dynamo: Dynamo,
    keys: DerivedKeys,
}

fn key(user: UserId, session: SessionId) -> ItemKey {
    ItemKey::identity(format!("U#{user}"), format!("SESS#{session}"))
}

/// What a conditional update found instead of the counter it expected.
#[derive(Debug, PartialEq, Eq)]
enum TokenMatch {
    /// The token before the last one, within its grace: give the last one again.
    Previous,
    /// An older one.
    Reuse,
    /// Over.
    Ended,
}

fn judge(presented: u32, stored: &StoredSession, now: Millis) -> TokenMatch {
    if stored.expires_at <= now {
        TokenMatch::Ended
    } else if presented.checked_add(1) == Some(stored.counter) && now.since(stored.rotated_at) <= GRACE {
        TokenMatch::Previous
    } else {
        TokenMatch::Reuse
    }
}

impl Sessions {
    /// Connects to the tables and keys of the stage.
    ///
    /// # Errors
    /// [`StartError`]
    pub async fn connect(environment: &Environment) -> Result<Self, StartError> {
        let keys = environment.keyring().await?.derived.clone();
        Ok(Self { dynamo: environment.dynamo().await?, keys })
    }

    /// Opens a session.
    ///
    /// # Errors
    /// [`DynamoError`]
    pub async fn open(&self, user: UserId, home_tenant: TenantId) -> Result<RefreshedSession, DynamoError> {
        let (session, now) = (SessionId::generate(), Millis::now());
        let expires_at = now.plus(IDLE_MAX);
        let stored =
            StoredSession { counter: 0, rotated_at: now, expires_at, home_tenant, ttl: expires_at.secs() };
        match self.dynamo.write(Write::put(key(user, session), &stored)?).await {
            Ok(()) => Ok(self.refreshed(user, session, 0)),
            Err(WriteError::Dynamo(error)) => Err(error),
            Err(WriteError::Conflict { .. }) => Err(DynamoError::Unavailable { code: "conflict".to_owned() }),
        }
    }

    /// Exchanges a refresh token: one conditional update where all is well.
    ///
    /// # Errors
    /// [`RefreshError`]
    pub async fn refresh(&self, token: &str) -> Result<RefreshedSession, RefreshError> {
        let token = RefreshToken::open(token, &self.keys.refresh).ok_or(RefreshError::Invalid)?;
        let RefreshToken { user, session, counter } = token;
        let now = Millis::now();
        let expires_at = now.plus(IDLE_MAX);
        let next = counter.checked_add(1).ok_or(RefreshError::Ended)?;
        let rotate = Write::update(key(user, session))
            .set("counter", next)
            .set("rotatedAt", now)
            .set("expiresAt", expires_at)
            .set("ttl", expires_at.secs())
            .when(Condition::equals("counter", counter))
            .when(Condition::Above("expiresAt", now.0));
        let current = match self.dynamo.write(rotate).await {
            Ok(()) => return Ok(self.refreshed(user, session, next)),
            Err(WriteError::Dynamo(error)) => return Err(error.into()),
            Err(WriteError::Conflict { current: None, .. }) => return Err(RefreshError::Ended),
            Err(WriteError::Conflict { current: Some(item), .. }) => item.read::<StoredSession>()?,
        };
        match judge(counter, &current, now) {
            TokenMatch::Previous => Ok(self.refreshed(user, session, current.counter)),
            TokenMatch::Ended => Err(RefreshError::Ended),
            TokenMatch::Reuse => {
                let end = Write::delete(key(user, session));
                let tenant = TenantCtx::admitted(current.home_tenant);
                let event = outbox(tenant, OutboxEvent::SessionReused, user, None, now)?;
                match self.dynamo.transact(vec![end, event]).await {
                    Ok(()) | Err(WriteError::Conflict { .. }) => Err(RefreshError::Reused),
                    Err(WriteError::Dynamo(error)) => Err(error.into()),
                }
            }
        }
    }

    /// Ends a session. A token that is not ours ends nothing, and an ended session stays ended.
    ///
    /// # Errors
    /// [`DynamoError`]
    pub async fn end(&self, token: &str) -> Result<(), DynamoError> {
        let Some(RefreshToken { user, session, .. }) = RefreshToken::open(token, &self.keys.refresh) else {
            return Ok(());
        };
        match self.dynamo.write(Write::delete(key(user, session))).await {
            Ok(()) | Err(WriteError::Conflict { .. }) => Ok(()),
            Err(WriteError::Dynamo(error)) => Err(error),
        }
    }

    fn refreshed(&self, user: UserId, session: SessionId, counter: u32) -> RefreshedSession {
        RefreshedSession {
            user,
            session,
            token: RefreshToken { user, session, counter }.seal(&self.keys.refresh),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stored(counter: u32, rotated_at: u64) -> StoredSession {
        StoredSession {
            counter,
            rotated_at: Millis(rotated_at),
            expires_at: Millis(10_000_000),
            home_tenant: TenantId::generate(),
            ttl: 0,
        }
    }

    #[test]
    fn the_token_before_the_last_is_good_for_thirty_seconds() {
        assert_eq!(judge(4, &stored(5, 1_000), Millis(31_000)), TokenMatch::Previous);
        assert_eq!(judge(4, &stored(5, 1_000), Millis(31_001)), TokenMatch::Reuse);
    }

    #[test]
    fn an_older_token_is_reuse_at_once() {
        assert_eq!(judge(3, &stored(5, 1_000), Millis(1_001)), TokenMatch::Reuse);
        assert_eq!(judge(u32::MAX, &stored(5, 1_000), Millis(1_001)), TokenMatch::Reuse);
    }

    #[test]
    fn an_expired_session_is_over_whatever_the_token() {
        assert_eq!(judge(4, &stored(5, 9_999_999), Millis(10_000_000)), TokenMatch::Ended);
    }
}
