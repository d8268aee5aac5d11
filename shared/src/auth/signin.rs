//! Signing in and staying signed in: attempts are counted, the password is compared, a session opened and tokens
//! issued.

use std::sync::Arc;
use std::time::Duration;

use ring::hmac;

use super::NoRandomness;
use super::access_token::{TokenError, TokenSigner};
use super::accounts::{Account, AccountStatus, Accounts, Credentials, SignUpError};
use super::device::Device;
use super::email::{Email, hex};
use super::sessions::{RefreshError, RefreshedSession, Sessions};
use crate::clock::{Deadline, Millis};
use crate::contract::auth::TenantMembership;
use crate::dynamo::DynamoError;
use crate::environment::{Environment, StartError};
use crate::fleet::throttle::{AttemptVerdict, Attempts};
use crate::redis::{Redis, RedisError};
use crate::secrets::SessionSecret;
use crate::telemetry;
use crate::tenants::records::Origin;

/// What somebody presents to sign in.
pub struct SignInForm<'a> {
    pub email: &'a str,
    pub password: &'a str,
    /// The address that counts as one: an IPv4 address, or the IPv6 network of one subscriber.
    pub address: &'a str,
    /// The token of the device, if it has one.
    pub device: Option<&'a str>,
}

/// The tokens of a session, and the tenants that they give access to.
pub struct IssuedTokens {
    /// The token for `Authorization: Bearer`.
    pub access_token: String,
    /// The token that is exchanged for new ones when the access token has expired.
    pub refresh_token: String,
    /// The tenants that the user belongs to.
    pub tenants: Vec<TenantMembership>,
}

/// The account of somebody who signed in, and the tokens they got.
pub struct SignInResult {
    pub account: Account,
    pub issued: IssuedTokens,
    /// The token by which the account knows this device from now on.
    pub device: String,
}

/// Why somebody could not sign in.
#[derive(Debug, thiserror::Error)]
pub enum SignInError {
    /// The address is unknown or the password is wrong. Both have the same words, so that nobody learns who has an
    /// account.
    #[error("the address or the password is wrong")]
    WrongCredentials,
    /// There were too many attempts, and the password was not compared.
    #[error("too many attempts")]
    Throttled {
        /// How long to wait until the next attempt counts.
        wait: Duration,
    },
    /// The password is right, but the address is not verified yet.
    #[error("the account waits for its address to be verified")]
    Pending,
    /// Redis could not count the attempt, so the password was not compared.
    #[error(transparent)]
    Redis(#[from] RedisError),
    /// A call of the database failed.
    #[error(transparent)]
    Dynamo(#[from] DynamoError),
    /// The access token could not be signed.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// The hash of the password was outdated and could not be renewed.
    #[error(transparent)]
    Rehash(#[from] SignUpError),
    /// The operating system gave no random bytes for the name of a new device.
    #[error(transparent)]
    NoRandomness(#[from] NoRandomness),
}

/// Why a session could not be continued.
#[derive(Debug, thiserror::Error)]
pub enum ResumeError {
    /// The refresh token was not accepted.
    #[error(transparent)]
    Refresh(#[from] RefreshError),
    /// A call of the database failed.
    #[error(transparent)]
    Dynamo(#[from] DynamoError),
    /// The access token could not be signed.
    #[error(transparent)]
    Token(#[from] TokenError),
}

/// Continues sessions and issues their tokens.
pub struct Authenticator {
    accounts: Accounts,
    sessions: Sessions,
    signer: TokenSigner,
}

/// Signs users in.
pub struct SignInDesk {
    authenticator: Authenticator,
    credentials: Credentials,
    redis: Arc<Redis>,
    /// Seals the tokens of known devices.
    device_key: hmac::Key,
}

impl SignInDesk {
    pub async fn connect(environment: &Environment) -> Result<Self, StartError> {
        Ok(Self {
            authenticator: Authenticator::connect(environment).await?,
            credentials: Credentials::connect(environment).await?,
            redis: environment.redis().await?,
            device_key: environment.secret::<SessionSecret>().await?.refresh.hmac(),
        })
    }

    /// Exchanges an address and a password for the tokens of a new session.
    ///
    /// # Errors
    /// [`SignInError`]
    pub async fn sign_in(
        &self,
        form: &SignInForm<'_>,
        origin: &Origin,
        deadline: Deadline,
    ) -> Result<SignInResult, SignInError> {
        let email = Email::parse(form.email).map_err(|_| SignInError::WrongCredentials)?;
        let (name, now) = (email.digest(&self.credentials.address), Millis::now());
        let known = form.device.and_then(|token| Device::open(token, &name, now, &self.device_key));
        let attempts = self.attempts(&name, known, form.address);
        let is_last = match attempts.count(&self.redis, deadline).await? {
            AttemptVerdict::Refused(wait) => return Err(SignInError::Throttled { wait }),
            AttemptVerdict::Admitted { is_last } => is_last,
        };
        let account = self.credentials.by_email(&email).await?;
        let is_right = self.credentials.verify(form.password, account.as_ref());
        let Some(account) = account.filter(|_| is_right) else {
            if is_last {
                self.note_lock(&email, origin).await;
            }
            return Err(SignInError::WrongCredentials);
        };
        if account.status == AccountStatus::Pending {
            return Err(SignInError::Pending);
        }
        self.credentials.refresh_hash(&account, form.password).await?;
        let Authenticator { accounts, sessions, .. } = &self.authenticator;
        let session = sessions.open(account.id, account.home_tenant, origin).await?;
        let tenants = accounts.memberships(account.id).await?;
        let issued = self.authenticator.issue(session, tenants)?;
        let device = known.map_or_else(Device::new, Ok)?.seal(&name, now, &self.device_key);
        if let Err(error) = attempts.forgive(&self.redis, deadline).await {
            // The counted attempts expire by themselves, so the sign-in need not fail with them.
            tracing::warn!(error = %telemetry::chain(&error), "sign-in attempts not forgiven");
        }
        Ok(SignInResult { account, issued, device })
    }

    /// The attempts with which one on this account counts: those of its known device, or those of all strangers.
    fn attempts(&self, account: &str, known: Option<Device>, address: &str) -> Attempts {
        match known {
            Some(device) => Attempts::of_device(account, &device.name()),
            None => {
                let digest = hmac::sign(&self.credentials.address, address.as_bytes());
                Attempts::of_stranger(account, &hex(&digest.as_ref()[..16]))
            }
        }
    }

    /// Tells the audit trail that no further attempt on an account is looked at for a day. Single failures are not
    /// told: anybody could fill the table with them.
    async fn note_lock(&self, email: &Email, origin: &Origin) {
        if let Err(error) = self.credentials.note_lock(email, origin).await {
            tracing::warn!(error = %telemetry::chain(&error), "the lock of an account was not noted");
        }
    }
}

impl Authenticator {
    pub async fn connect(environment: &Environment) -> Result<Self, StartError> {
        Ok(Self {
            accounts: Accounts::connect(environment).await?,
            sessions: Sessions::connect(environment).await?,
            signer: TokenSigner::connect(environment).await?,
        })
    }

    /// Exchanges a refresh token for the next one and a new access token.
    ///
    /// # Errors
    /// [`ResumeError`]
    pub async fn refresh(&self, token: &str) -> Result<IssuedTokens, ResumeError> {
        let session = self.sessions.refresh(token).await?;
        let tenants = self.accounts.memberships(session.user).await?;
        Ok(self.issue(session, tenants)?)
    }

    /// The tokens of a session; the access token names the tenants, so that the guard need not read them.
    fn issue(
        &self,
        session: RefreshedSession,
        tenants: Vec<TenantMembership>,
    ) -> Result<IssuedTokens, TokenError> {
        let roles = tenants.iter().map(|tenant| (tenant.id, tenant.role)).collect();
        let access_token = self.signer.issue(session.user, session.session, roles, Millis::now())?;
        Ok(IssuedTokens { access_token, refresh_token: session.token, tenants })
    }
}
