//! Sessions: opened at sign-in, continued by refresh tokens that each work once, and ended by sign-out or by the
//! reuse of a token.

use std::time::Duration;

use ring::hmac;
use serde::{Deserialize, Serialize};

use super::refresh_token::RefreshToken;
use crate::clock::Millis;
use crate::contract::Mode;
use crate::contract::ids::{SessionId, TenantId, UserId};
use crate::dynamo::{Condition, Dynamo, DynamoError, ItemKey, Write, WriteError};
use crate::environment::{Environment, StartError};
use crate::secrets::SessionSecret;
use crate::tenants::TenantCtx;
use crate::tenants::records::{Actor, AuditAction, Origin, OutboxEvent, audit, outbox};

/// A session ends when it was not refreshed for this long.
pub const IDLE_MAX: Duration = Duration::from_secs(30 * 86_400);
/// A session ends this long after its sign-in, whatever happens (NIST SP 800-63B asks for an end).
const LIFE_MAX: Duration = Duration::from_secs(90 * 86_400);
/// How long the token before the latest one still works, because an answer may get lost and two tabs may refresh at
/// once.
const GRACE: Duration = Duration::from_secs(30);

/// A session as the identity table stores it.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct StoredSession {
    /// How many times the session was refreshed; the latest token has the same number.
    counter: u32,
    rotated_at: Millis,
    expires_at: Millis,
    /// The tenant in whose outbox the reuse of a token is reported.
    home_tenant: TenantId,
    ttl: u64,
}

/// A session that was opened or refreshed, with the refresh token that continues it.
#[derive(Debug)]
pub struct RefreshedSession {
    pub user: UserId,
    pub session: SessionId,
    /// The refresh token for the next time.
    pub token: String,
}

/// Why a refresh token is not accepted.
#[derive(Debug, thiserror::Error)]
pub enum RefreshError {
    /// The token was not made by this stage. Nothing was read from the database.
    #[error("the refresh token is not valid")]
    Invalid,
    /// The session has ended by sign-out, by the reuse of a token, because nobody used it, or because its life is over.
    #[error("the session has ended")]
    Ended,
    /// The token was used before, so one of the two who used it is not the owner. The session has been ended.
    #[error("the refresh token was used before, so the session has been ended")]
    Reused,
    /// A call of the database failed.
    #[error(transparent)]
    Dynamo(#[from] DynamoError),
}

/// The sessions of all users of the stage.
#[derive(Clone)]
pub struct Sessions {
    dynamo: Dynamo,
    /// Signs the refresh tokens.
    key: hmac::Key,
}

/// What tells whether a session has ended. It takes no key, so the guard of every function can have it.
pub struct OpenSessions {
    dynamo: Dynamo,
}

impl OpenSessions {
    pub async fn connect(environment: &Environment) -> Result<Self, StartError> {
        Ok(Self { dynamo: environment.dynamo().await? })
    }

    /// Whether a session of a user has not ended.
    ///
    /// # Errors
    /// [`DynamoError`]
    pub async fn is_open(&self, user: UserId, session: SessionId) -> Result<bool, DynamoError> {
        let stored: Option<StoredSession> = self.dynamo.get(&key(user, session)).await?;
        let now = Millis::now();
        Ok(stored.is_some_and(|stored| stored.expires_at.min(end(session, now)) > now))
    }
}

fn key(user: UserId, session: SessionId) -> ItemKey {
    ItemKey::identity(super::user_partition(user), format!("SESS#{session}"))
}

/// What a token is to a session whose counter is not that of the token.
#[derive(Debug, PartialEq, Eq)]
enum TokenMatch {
    /// It is the token before the latest one, within its grace: the latest one is given again.
    Previous,
    /// It is an older token, or its grace is over.
    Reuse,
    /// The session is over, whatever the token.
    Ended,
}

/// When a session ends that is used at `now` and then no more: when its idle time or its whole life is over. Its
/// identifier tells when it began, so no refresh can move that.
fn end(session: SessionId, now: Millis) -> Millis {
    now.plus(IDLE_MAX).min(Millis(session.made_at_ms()).plus(LIFE_MAX))
}

fn compare(presented: u32, stored: &StoredSession, now: Millis) -> TokenMatch {
    if stored.expires_at <= now {
        TokenMatch::Ended
    } else if presented.checked_add(1) == Some(stored.counter) && now.since(stored.rotated_at) <= GRACE {
        TokenMatch::Previous
    } else {
        TokenMatch::Reuse
    }
}

impl Sessions {
    pub async fn connect(environment: &Environment) -> Result<Self, StartError> {
        let key = environment.secret::<SessionSecret>().await?.refresh.hmac();
        Ok(Self { dynamo: environment.dynamo().await?, key })
    }

    /// Opens a session for a user who has proved who they are, with an entry in the audit trail of their tenant.
    ///
    /// # Errors
    /// [`DynamoError`]
    pub async fn open(
        &self,
        user: UserId,
        home_tenant: TenantId,
        origin: &Origin,
    ) -> Result<RefreshedSession, DynamoError> {
        let (session, now) = (SessionId::generate(), Millis::now());
        let expires_at = end(session, now);
        let stored =
            StoredSession { counter: 0, rotated_at: now, expires_at, home_tenant, ttl: expires_at.secs() };
        let actor = Actor { id: user.to_string(), origin: origin.clone() };
        let tenant = TenantCtx::admitted(home_tenant, Mode::Live);
        let entry = audit(tenant, AuditAction::SessionOpened, &actor, &session.to_string(), now)?;
        match self.dynamo.transact(vec![Write::put(key(user, session), &stored)?, entry]).await {
            Ok(()) => Ok(self.refreshed(user, session, 0)),
            Err(WriteError::Dynamo(error)) => Err(error),
            Err(WriteError::Conflict { .. }) => Err(DynamoError::Unavailable { code: "conflict".to_owned() }),
        }
    }

    /// Exchanges a refresh token for the next one, which takes one conditional update if the token is the latest.
    ///
    /// # Errors
    /// [`RefreshError`]
    pub async fn refresh(&self, token: &str) -> Result<RefreshedSession, RefreshError> {
        let token = RefreshToken::open(token, &self.key).ok_or(RefreshError::Invalid)?;
        let RefreshToken { user, session, counter } = token;
        let now = Millis::now();
        let expires_at = end(session, now);
        if expires_at <= now {
            return Err(RefreshError::Ended);
        }
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
        match compare(counter, &current, now) {
            TokenMatch::Previous => Ok(self.refreshed(user, session, current.counter)),
            TokenMatch::Ended => Err(RefreshError::Ended),
            TokenMatch::Reuse => {
                let end = Write::delete(key(user, session));
                let tenant = TenantCtx::admitted(current.home_tenant, Mode::Live);
                let event = outbox(tenant, OutboxEvent::SessionReused, user, None, now)?;
                match self.dynamo.transact(vec![end, event]).await {
                    Ok(()) | Err(WriteError::Conflict { .. }) => Err(RefreshError::Reused),
                    Err(WriteError::Dynamo(error)) => Err(error.into()),
                }
            }
        }
    }

    /// Ends the session of a refresh token. Nothing happens if the token is not ours or the session has ended already.
    ///
    /// # Errors
    /// [`DynamoError`]
    pub async fn end(&self, token: &str) -> Result<(), DynamoError> {
        let Some(RefreshToken { user, session, .. }) = RefreshToken::open(token, &self.key) else {
            return Ok(());
        };
        match self.dynamo.write(Write::delete(key(user, session))).await {
            Ok(()) | Err(WriteError::Conflict { .. }) => Ok(()),
            Err(WriteError::Dynamo(error)) => Err(error),
        }
    }

    fn refreshed(&self, user: UserId, session: SessionId, counter: u32) -> RefreshedSession {
        RefreshedSession { user, session, token: RefreshToken { user, session, counter }.seal(&self.key) }
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
        assert_eq!(compare(4, &stored(5, 1_000), Millis(31_000)), TokenMatch::Previous);
        assert_eq!(compare(4, &stored(5, 1_000), Millis(31_001)), TokenMatch::Reuse);
    }

    #[test]
    fn a_session_ends_thirty_days_after_its_last_use_and_ninety_days_after_its_first() {
        let session = SessionId::generate();
        let day = |day: u64| Millis(session.made_at_ms()).plus(Duration::from_secs(day * 86_400));
        assert_eq!(end(session, day(0)), day(30));
        assert_eq!(end(session, day(59)), day(89));
        assert_eq!(end(session, day(61)), day(90));
        assert_eq!(end(session, day(100)), day(90));
    }

    #[test]
    fn an_older_token_is_reuse_at_once() {
        assert_eq!(compare(3, &stored(5, 1_000), Millis(1_001)), TokenMatch::Reuse);
        assert_eq!(compare(u32::MAX, &stored(5, 1_000), Millis(1_001)), TokenMatch::Reuse);
    }

    #[test]
    fn an_expired_session_is_over_whatever_the_token() {
        assert_eq!(compare(4, &stored(5, 9_999_999), Millis(10_000_000)), TokenMatch::Ended);
    }
}
