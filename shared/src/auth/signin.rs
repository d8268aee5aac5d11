//! Signing in and staying signed in: throttle, password, session and tokens in their order.

use std::sync::Arc;
use std::time::Duration;

use super::access_token::{AccessTokens, TokenError};
use super::accounts::{Account, AccountStatus, Accounts, SignUpError};
use super::email::Email;
use super::sessions::{RefreshError, RefreshedSession, Sessions};
use crate::clock::{Deadline, Millis};
use crate::contract::auth::TenantMembership;
use crate::dynamo::DynamoError;
use crate::environment::{Environment, StartError};
use crate::fleet::throttle::Attempts;
use crate::redis::{Redis, RedisError};
use crate::secrets::DerivedKeys;

/// Tokens of a session, and the tenants they are good for.
pub struct IssuedTokens {
    /// For `Authorization: Bearer`.
    pub access_token: String,
    /// For the next refresh.
    pub refresh_token: String,
    /// The tenants of the user.
    pub tenants: Vec<TenantMembership>,
}

/// Somebody who signed in.
pub struct SignInResult {
    /// Who.
    pub account: Account,
    /// With which tokens.
    pub issued: IssuedTokens,
}

/// Why nobody signed in.
#[derive(Debug, thiserror::Error)]
pub enum SignInError {
    /// Unknown address or wrong password: the same words for both.
    #[error("the address or the password is wrong")]
    WrongCredentials,
    /// Too many attempts. The password was not looked at.
    #[error("too many attempts")]
    Throttled {
        /// Until the next one is looked at.
        wait: Duration,
    },
    /// The right password, but the address is not verified.
    #[error("the account waits for its address to be verified")]
    Pending,
    /// The attempts cannot be counted, so the password is not looked at.
    #[error(transparent)]
    Redis(#[from] RedisError),
    /// DynamoDB did not do it.
    #[error(transparent)]
    Dynamo(#[from] DynamoError),
    /// No token could be signed.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// The password's hash could not be renewed.
    #[error(transparent)]
    Rehash(#[from] SignUpError),
}

/// Why a session does not go on.
#[derive(Debug, thiserror::Error)]
pub enum ResumeError {
    /// The refresh token is not accepted.
    #[error(transparent)]
    Refresh(#[from] RefreshError),
    /// DynamoDB did not do it.
    #[error(transparent)]
    Dynamo(#[from] DynamoError),
    /// No token could be signed.
    #[error(transparent)]
    Token(#[from] TokenError),
}

/// What signing in needs.
pub struct Authenticator {
    accounts: Accounts,
    sessions: Sessions,
    tokens: Arc<AccessTokens>,
    redis: Arc<Redis>,
    keys: DerivedKeys,
}

impl Authenticator {
    /// Connects to what signing in needs.
    ///
    /// # Errors
    /// [`StartError`]
    pub async fn connect(environment: &Environment) -> Result<Self, StartError> {
        Ok(Self {
            accounts: Accounts::connect(environment).await?,
            sessions: Sessions::connect(environment).await?,
            tokens: AccessTokens::connect(environment).await?,
            redis: environment.redis().await?,
            keys: environment.keyring().await?.derived.clone(),
        })
    }

    /// Address and password for a session.
    ///
    /// # Errors
    /// [`SignInError`]
    pub async fn sign_in(
        &self,
        email: &str,
        password: &str,
        ip: &str,
        deadline: Deadline,
    ) -> Result<SignInResult, SignInError> {
        let email = Email::parse(email).map_err(|_| SignInError::WrongCredentials)?;
        let ip = super::email::hex(&ring::hmac::sign(&self.keys.email, ip.as_bytes()).as_ref()[..16]);
        let attempts = Attempts::new(&email.digest(&self.keys.email), &ip);
        if let Some(wait) = attempts.count(&self.redis, deadline).await? {
            return Err(SignInError::Throttled { wait });
        }
        let found = self.accounts.by_email(&email).await?;
        if !self.accounts.verify(password, found.as_ref()) {
            return Err(SignInError::WrongCredentials);
        }
        let account = found.ok_or(SignInError::WrongCredentials)?;
        if account.status == AccountStatus::Pending {
            return Err(SignInError::Pending);
        }
        self.accounts.refresh_hash(&account, password).await?;
        let session = self.sessions.open(account.id, account.home_tenant).await?;
        let issued = self.issue(session).await??;
        if let Err(error) = attempts.forget(&self.redis, deadline).await {
            // They end by themselves; the sign-in stands.
            tracing::warn!(error = %crate::telemetry::chain(&error), "sign-in attempts not forgotten");
        }
        Ok(SignInResult { account, issued })
    }

    /// A refresh token for the next one and a new access token.
    ///
    /// # Errors
    /// [`ResumeError`]
    pub async fn refresh(&self, token: &str) -> Result<IssuedTokens, ResumeError> {
        let session = self.sessions.refresh(token).await?;
        Ok(self.issue(session).await??)
    }

    async fn issue(
        &self,
        session: RefreshedSession,
    ) -> Result<Result<IssuedTokens, TokenError>, DynamoError> {
        let tenants = self.accounts.memberships(session.user).await?;
        let roles = tenants.iter().map(|tenant| (tenant.id, tenant.role)).collect();
        let issued = self.tokens.issue(session.user, session.session, roles, Millis::now());
        Ok(issued.map(|access_token| IssuedTokens { access_token, refresh_token: session.token, tenants }))
    }
}
