//! Accounts: opened in one transaction, found by address, changed by their owner.

use std::time::Duration;

use ring::digest::{SHA256, digest};
use ring::hmac;
use serde::{Deserialize, Serialize};

use super::email::{Email, MalformedEmail, hex};
use super::password::{HashError, Password, Passwords, WeakPassword};
use crate::clock::Millis;
use crate::contract::Plan;
use crate::contract::Role;
use crate::contract::auth::TenantMembership;
use crate::contract::ids::{RecordId, TenantId, UserId};
use crate::contract::users::ProfileUpdate;
use crate::dynamo::{Condition, Dynamo, DynamoError, ItemKey, Query, Write, WriteError};
use crate::environment::{Environment, StartError};
use crate::secrets::DerivedKeys;
use crate::settings::SignUpPolicy;
use crate::tenants::records::{OutboxEvent, outbox};
use crate::tenants::{Tenant, TenantCtx};

const VERIFY_WITHIN: Duration = Duration::from_secs(86_400);

/// Whether an account may sign in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum AccountStatus {
    /// It may.
    Active,
    /// Not before its address is verified.
    Pending,
}

/// An account as stored.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Account {
    /// The user.
    pub id: UserId,
    /// The address as written.
    pub email: String,
    /// The name.
    pub name: String,
    /// A BCP 47 language tag.
    pub locale: String,
    /// An IANA time zone.
    pub timezone: String,
    /// The PHC string of the password.
    pub password_hash: String,
    /// Whether it may sign in.
    pub status: AccountStatus,
    /// The tenant that was opened with it.
    pub home_tenant: TenantId,
    /// When it was opened.
    pub created_at: Millis,
}

/// The guard item of an address: there is at most one, so at most one account.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct EmailGuard {
    user: UserId,
    tenant: TenantId,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct StoredMember {
    tenant: TenantId,
    tenant_name: String,
    user: UserId,
    role: Role,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct OneTimeToken {
    purpose: &'static str,
    user: UserId,
    expires_at: Millis,
    ttl: u64,
}

/// What a sign-up brings.
pub struct NewAccount<'a> {
    /// The address.
    pub email: &'a str,
    /// The password.
    pub password: &'a str,
    /// The name of the person.
    pub name: String,
    /// The name of the tenant.
    pub tenant_name: String,
}

/// Changes of a profile; what is `None` stays.
#[derive(Debug, Default)]
pub struct ProfileChanges {
    /// The name.
    pub name: Option<String>,
    /// A BCP 47 language tag.
    pub locale: Option<String>,
    /// An IANA time zone.
    pub timezone: Option<String>,
}

impl From<ProfileUpdate> for ProfileChanges {
    fn from(wish: ProfileUpdate) -> Self {
        Self {
            name: wish.name.map(Into::into),
            locale: wish.locale.map(Into::into),
            timezone: wish.timezone.map(Into::into),
        }
    }
}

/// Why no account was opened.
#[derive(Debug, thiserror::Error)]
pub enum SignUpError {
    /// The address is none.
    #[error(transparent)]
    Email(#[from] MalformedEmail),
    /// The password is not good enough.
    #[error(transparent)]
    Password(#[from] WeakPassword),
    /// The password could not be hashed.
    #[error(transparent)]
    Hash(#[from] HashError),
    /// DynamoDB did not do it. Nothing was written.
    #[error(transparent)]
    Dynamo(#[from] DynamoError),
}

impl From<WriteError> for SignUpError {
    fn from(error: WriteError) -> Self {
        match error {
            WriteError::Dynamo(error) => Self::Dynamo(error),
            // Identifiers are new; only the guard's condition can fail, and that is dealt with.
            conflict @ WriteError::Conflict { .. } => Self::Dynamo(DynamoError::Refused {
                code: "conflict".to_owned(),
                message: conflict.to_string(),
            }),
        }
    }
}

/// The accounts.
#[derive(Clone)]
pub struct Accounts {
    dynamo: Dynamo,
    keys: DerivedKeys,
    passwords: Passwords,
    sign_up: SignUpPolicy,
}

fn user_key(user: UserId) -> ItemKey {
    ItemKey::identity(format!("U#{user}"), "P")
}

impl Accounts {
    /// Connects to the tables and keys of the stage, and takes from its settings whether addresses are verified.
    ///
    /// # Errors
    /// [`StartError`]
    pub async fn connect(environment: &Environment) -> Result<Self, StartError> {
        let keys = environment.keyring().await?.derived.clone();
        let passwords = Passwords::new(keys.password);
        let sign_up = environment.settings().await?.sign_up;
        Ok(Self { dynamo: environment.dynamo().await?, keys, passwords, sign_up })
    }

    /// Opens an account, or tells the owner of a known address that somebody tried. Both take the same work
    /// and neither is told to the caller.
    ///
    /// # Errors
    /// [`SignUpError`]
    pub async fn open(&self, new: NewAccount<'_>) -> Result<(), SignUpError> {
        let email = Email::parse(new.email)?;
        let password = Password::chosen(new.password, &[email.local_part(), &new.name, &new.tenant_name])?;
        let now = Millis::now();
        let account = Account {
            id: UserId::generate(),
            email: email.as_str().to_owned(),
            name: new.name,
            locale: "en".to_owned(),
            timezone: "UTC".to_owned(),
            password_hash: self.passwords.hash(&password)?,
            status: if self.sign_up == SignUpPolicy::Open {
                AccountStatus::Active
            } else {
                AccountStatus::Pending
            },
            home_tenant: TenantId::generate(),
            created_at: now,
        };
        match self.dynamo.transact(self.opening(&email, &account, new.tenant_name, now)?).await {
            Err(WriteError::Conflict { index: 0, current: Some(item) }) => {
                let known: EmailGuard = item.read()?;
                let tenant = TenantCtx::admitted(known.tenant);
                Ok(self
                    .dynamo
                    .write(outbox(tenant, OutboxEvent::SignUpRepeated, known.user, None, now)?)
                    .await?)
            }
            other => Ok(other?),
        }
    }

    fn opening(
        &self,
        email: &Email,
        account: &Account,
        tenant_name: String,
        now: Millis,
    ) -> Result<Vec<Write>, DynamoError> {
        let tenant = TenantCtx::admitted(account.home_tenant);
        let guarded = EmailGuard { user: account.id, tenant: tenant.id() };
        let member = StoredMember {
            tenant: tenant.id(),
            tenant_name: tenant_name.clone(),
            user: account.id,
            role: Role::Owner,
        };
        let owner = format!("U#{}", account.id);
        let guard = ItemKey::identity(format!("EMAIL#{}", email.digest(&self.keys.email)), "E");
        let token_id = (account.status == AccountStatus::Pending).then(RecordId::generate);
        let mut writes = vec![
            Write::put(guard, &guarded)?.when(Condition::Absent),
            Write::put(user_key(account.id), account)?,
            Write::put(
                ItemKey::tenant(tenant.pk(), "META"),
                &Tenant { name: tenant_name, plan: Plan::Free },
            )?,
            Write::put(ItemKey::tenant(tenant.pk(), format!("MEM#{}", account.id)), &member)?
                .indexed(&owner, &tenant.pk()),
            outbox(tenant, OutboxEvent::AccountOpened, account.id, token_id, now)?,
        ];
        if let Some(token_id) = token_id {
            let expires_at = now.plus(VERIFY_WITHIN);
            let token = OneTimeToken {
                purpose: "verify",
                user: account.id,
                expires_at,
                ttl: expires_at.plus(VERIFY_WITHIN).secs(),
            };
            writes.push(Write::put(self.one_time_key(token_id), &token)?);
        }
        Ok(writes)
    }

    /// Where the token lies that the mailer makes from `id`: under its hash, so that reading the table
    /// gives nobody a token.
    fn one_time_key(&self, id: RecordId) -> ItemKey {
        let token = hmac::sign(&self.keys.one_time, &id.to_bytes());
        ItemKey::identity(format!("OTT#{}", hex(digest(&SHA256, token.as_ref()).as_ref())), "O")
    }

    /// Finds the account of an address.
    ///
    /// # Errors
    /// [`DynamoError`]
    pub async fn by_email(&self, email: &Email) -> Result<Option<Account>, DynamoError> {
        let guard = ItemKey::identity(format!("EMAIL#{}", email.digest(&self.keys.email)), "E");
        match self.dynamo.get::<EmailGuard>(&guard).await? {
            Some(guarded) => self.by_id(guarded.user).await,
            None => Ok(None),
        }
    }

    /// Reads an account.
    ///
    /// # Errors
    /// [`DynamoError`]
    pub async fn by_id(&self, user: UserId) -> Result<Option<Account>, DynamoError> {
        self.dynamo.get(&user_key(user)).await
    }

    /// Whether the password is that of the account; as much work without one.
    pub fn verify(&self, password: &str, account: Option<&Account>) -> bool {
        self.passwords
            .verify(&Password::presented(password), account.map(|account| account.password_hash.as_str()))
    }

    /// Hashes the password again where its parameters are no longer those of today.
    ///
    /// # Errors
    /// [`SignUpError`]
    pub async fn refresh_hash(&self, account: &Account, password: &str) -> Result<(), SignUpError> {
        if !Passwords::is_outdated(&account.password_hash) {
            return Ok(());
        }
        let hash = self.passwords.hash(&Password::presented(password))?;
        let write = Write::update(user_key(account.id))
            .set("passwordHash", hash)
            .when(Condition::equals("passwordHash", &account.password_hash));
        match self.dynamo.write(write).await {
            // Somebody else set a password or refreshed the hash first.
            Ok(()) | Err(WriteError::Conflict { .. }) => Ok(()),
            Err(WriteError::Dynamo(error)) => Err(error.into()),
        }
    }

    /// The tenants of a user.
    ///
    /// # Errors
    /// [`DynamoError`]
    pub async fn memberships(&self, user: UserId) -> Result<Vec<TenantMembership>, DynamoError> {
        let mut found: Vec<StoredMember> = self.dynamo.all(Query::tenant_index(format!("U#{user}"))).await?;
        if found.is_empty() {
            // The index lags; the tenant that was opened a moment ago can be read directly.
            if let Some(account) = self.by_id(user).await? {
                let home = TenantCtx::admitted(account.home_tenant);
                found.extend(self.dynamo.get(&ItemKey::tenant(home.pk(), format!("MEM#{user}"))).await?);
            }
        }
        Ok(found
            .into_iter()
            .map(|m| TenantMembership { id: m.tenant, name: m.tenant_name, role: m.role })
            .collect())
    }

    /// Changes a profile.
    ///
    /// # Errors
    /// [`DynamoError`]; `None` when there is no such account.
    pub async fn change(
        &self,
        user: UserId,
        changes: ProfileChanges,
    ) -> Result<Option<Account>, DynamoError> {
        let mut write = Write::update(user_key(user)).when(Condition::Present);
        let fields = [("name", changes.name), ("locale", changes.locale), ("timezone", changes.timezone)];
        let mut changed = false;
        for (name, value) in fields {
            if let Some(value) = value {
                write = write.set(name, value);
                changed = true;
            }
        }
        if changed {
            match self.dynamo.write(write).await {
                Ok(()) => {}
                Err(WriteError::Conflict { .. }) => return Ok(None),
                Err(WriteError::Dynamo(error)) => return Err(error),
            }
        }
        self.by_id(user).await
    }
}
