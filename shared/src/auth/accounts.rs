//! Accounts of users: opened in one transaction, found by e-mail address, changed by their owner.

mod sign_up;

pub use sign_up::{NewAccount, SignUpError};

use std::time::Duration;

use ring::digest::{SHA256, digest};
use ring::hmac;
use serde::{Deserialize, Serialize};

use super::email::{Email, hex};
use super::password::{Password, Passwords};
use super::profile::ProfileChanges;
use super::user_partition;
use crate::clock::Millis;
use crate::contract::auth::TenantMembership;
use crate::contract::ids::{RecordId, TenantId, UserId};
use crate::contract::users::{CurrentUser, MyTenant};
use crate::contract::{Mode, Plan, Role, Scope};
use crate::dynamo::{Condition, Dynamo, DynamoError, ItemKey, Query, Write, WriteError};
use crate::environment::{Environment, StartError};
use crate::secrets::AccountSecret;
use crate::settings::SignUpPolicy;
use crate::tenants::records::{Actor, AuditAction, Origin, OutboxEvent, audit, outbox};
use crate::tenants::{Tenant, TenantCtx};

/// How long the link that verifies an address works.
const VERIFY_WITHIN: Duration = Duration::from_secs(86_400);

/// Whether an account may sign in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum AccountStatus {
    /// The account may sign in.
    Active,
    /// The account may not sign in before its address is verified.
    Pending,
}

/// An account as the identity table stores it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Account {
    pub id: UserId,
    /// The e-mail address as its owner wrote it.
    pub email: String,
    pub name: String,
    /// A BCP 47 language tag.
    pub locale: String,
    /// An IANA time zone.
    pub timezone: String,
    /// The Argon2id hash of the password, as a PHC string.
    pub password_hash: String,
    pub status: AccountStatus,
    /// The tenant that was opened together with the account.
    pub home_tenant: TenantId,
    pub created_at: Millis,
}

impl Account {
    /// The account as its user sees it, in a tenant and with what the session allows there.
    pub fn current_user(self, tenant: MyTenant, scopes: Vec<Scope>, mode: Mode) -> CurrentUser {
        CurrentUser {
            id: self.id,
            email: self.email,
            name: self.name,
            locale: self.locale,
            timezone: self.timezone,
            tenant,
            scopes,
            mode,
            created_at: self.created_at.rfc3339(),
        }
    }
}

/// The item that makes an address unique: there can be one for each address, and so one account. It leads to the
/// account.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct EmailGuard {
    user: UserId,
    tenant: TenantId,
}

/// The membership of a user in a tenant, which is found from both sides.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct StoredMember {
    tenant: TenantId,
    tenant_name: String,
    user: UserId,
    role: Role,
}

/// What a token in a mail is good for. It lies under the hash of the token.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct OneTimeToken {
    purpose: &'static str,
    user: UserId,
    expires_at: Millis,
    ttl: u64,
}

/// The accounts of all users of the stage, by the user's identifier.
#[derive(Clone)]
pub struct Accounts {
    dynamo: Dynamo,
}

/// What signs people up and in: it finds accounts by their address and looks at passwords. Only functions that do have
/// the keys for that.
pub struct Credentials {
    accounts: Accounts,
    dynamo: Dynamo,
    /// Hashes addresses, of mail and of clients.
    pub(super) address: hmac::Key,
    /// Makes one-time tokens from their identifiers.
    one_time: hmac::Key,
    passwords: Passwords,
    sign_up: SignUpPolicy,
}

fn account_key(user: UserId) -> ItemKey {
    ItemKey::identity(user_partition(user), "P")
}

fn member_key(tenant: TenantCtx, user: UserId) -> ItemKey {
    ItemKey::tenant(tenant.pk(), format!("MEM#{user}"))
}

/// The partition of the tenants' index that holds the memberships of a user.
fn memberships_partition(user: UserId) -> String {
    format!("U#{user}")
}

impl Credentials {
    /// Connects to the stage's table and keys. Its settings say whether an address is verified before the first
    /// sign-in.
    ///
    /// # Errors
    /// [`StartError`]
    pub async fn connect(environment: &Environment) -> Result<Self, StartError> {
        let secret = environment.secret::<AccountSecret>().await?;
        Ok(Self {
            accounts: Accounts::connect(environment).await?,
            dynamo: environment.dynamo().await?,
            address: secret.email.hmac(),
            one_time: secret.one_time.hmac(),
            passwords: Passwords::new(*secret.password.expose()),
            sign_up: environment.settings().await?.sign_up,
        })
    }

    /// Opens an account for somebody who signs up. If the address has one already, an event in the outbox tells its
    /// owner that somebody tried.
    ///
    /// The caller learns neither from the answer nor from its duration which of the two happened: otherwise anybody
    /// could find out who has an account.
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
        match self.dynamo.transact(self.account_items(&email, &account, new.tenant_name, new.origin)?).await {
            Err(WriteError::Conflict { index: 0, current: Some(item) }) => {
                let existing: EmailGuard = item.read()?;
                let tenant = TenantCtx::admitted(existing.tenant, Mode::Live);
                let event = outbox(tenant, OutboxEvent::SignUpRepeated, existing.user, None, now)?;
                Ok(self.dynamo.write(event).await?)
            }
            other => Ok(other?),
        }
    }

    /// The items that make a new account. The first is that of the address: a conflict at index 0 says that the address
    /// has an account already.
    fn account_items(
        &self,
        email: &Email,
        account: &Account,
        tenant_name: String,
        origin: Origin,
    ) -> Result<Vec<Write>, DynamoError> {
        let now = account.created_at;
        let actor = Actor { id: account.id.to_string(), origin };
        let tenant = TenantCtx::admitted(account.home_tenant, Mode::Live);
        let email_guard = EmailGuard { user: account.id, tenant: tenant.id() };
        let member = StoredMember {
            tenant: tenant.id(),
            tenant_name: tenant_name.clone(),
            user: account.id,
            role: Role::Owner,
        };
        let token_id = (account.status == AccountStatus::Pending).then(RecordId::generate);
        let mut writes = vec![
            Write::put(self.email_key(email), &email_guard)?.when(Condition::Absent),
            Write::put(account_key(account.id), account)?,
            Write::put(Tenant::key(tenant), &Tenant { name: tenant_name, plan: Plan::Free })?,
            Write::put(member_key(tenant, account.id), &member)?
                .indexed(&memberships_partition(account.id), &tenant.pk()),
            outbox(tenant, OutboxEvent::AccountOpened, account.id, token_id, now)?,
            audit(tenant, AuditAction::AccountOpened, &actor, &account.id.to_string(), now)?,
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

    /// The item of an address. The key holds a digest, so that the table does not tell addresses.
    fn email_key(&self, email: &Email) -> ItemKey {
        ItemKey::identity(format!("EMAIL#{}", email.digest(&self.address)), "E")
    }

    /// The item of the one-time token that the mailer makes from `id`. The key holds the token's hash, so that
    /// whoever reads the table gets no token.
    fn one_time_key(&self, id: RecordId) -> ItemKey {
        let token = hmac::sign(&self.one_time, &id.to_bytes());
        ItemKey::identity(format!("OTT#{}", hex(digest(&SHA256, token.as_ref()).as_ref())), "O")
    }

    /// Finds the account that has this e-mail address. It takes two reads whether or not there is one, so that the time
    /// does not tell who has an account.
    ///
    /// # Errors
    /// [`DynamoError`]
    pub async fn by_email(&self, email: &Email) -> Result<Option<Account>, DynamoError> {
        let email_guard: Option<EmailGuard> = self.dynamo.get(&self.email_key(email)).await?;
        let user = email_guard.map_or_else(|| self.nobody(email), |email_guard| email_guard.user);
        Ok(self.accounts.by_id(user).await?.filter(|_| email_guard.is_some()))
    }

    /// The identifier of a user who is not there, always the same for one address, in the place of its account.
    fn nobody(&self, email: &Email) -> UserId {
        let tag = hmac::sign(&self.address, format!("nobody {}", email.digest(&self.address)).as_bytes());
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&tag.as_ref()[..16]);
        UserId::from_bytes(bytes)
    }

    /// Tells the audit trail that attempts to sign in with this address are refused for a day, if it has an account.
    ///
    /// # Errors
    /// [`DynamoError`]
    pub async fn note_lock(&self, email: &Email, origin: &Origin) -> Result<(), WriteError> {
        let email_guard: Option<EmailGuard> = self.dynamo.get(&self.email_key(email)).await?;
        let Some(EmailGuard { user, tenant }) = email_guard else { return Ok(()) };
        // Nobody has proved who they are, so the trail names the address alone.
        let stranger = Actor { id: "stranger".to_owned(), origin: origin.clone() };
        let tenant = TenantCtx::admitted(tenant, Mode::Live);
        let entry = audit(tenant, AuditAction::AccountLocked, &stranger, &user.to_string(), Millis::now())?;
        self.dynamo.write(entry).await
    }

    /// Whether the password is that of the account. Without an account the answer is no, and takes as long.
    pub fn verify(&self, password: &str, account: Option<&Account>) -> bool {
        self.passwords
            .verify(&Password::presented(password), account.map(|account| account.password_hash.as_str()))
    }

    /// Stores a new hash of the password if the stored one was made with parameters that are no longer used.
    ///
    /// # Errors
    /// [`SignUpError`]
    pub async fn refresh_hash(&self, account: &Account, password: &str) -> Result<(), SignUpError> {
        if !Passwords::is_outdated(&account.password_hash) {
            return Ok(());
        }
        let hash = self.passwords.hash(&Password::presented(password))?;
        let write = Write::update(account_key(account.id))
            .set("passwordHash", hash)
            .when(Condition::equals("passwordHash", &account.password_hash));
        match self.dynamo.write(write).await {
            // Another request set a password or renewed the hash first, and its hash must stay.
            Ok(()) | Err(WriteError::Conflict { .. }) => Ok(()),
            Err(WriteError::Dynamo(error)) => Err(error.into()),
        }
    }
}

impl Accounts {
    pub async fn connect(environment: &Environment) -> Result<Self, StartError> {
        Ok(Self { dynamo: environment.dynamo().await? })
    }

    /// Reads the account of a user.
    ///
    /// # Errors
    /// [`DynamoError`]
    pub async fn by_id(&self, user: UserId) -> Result<Option<Account>, DynamoError> {
        self.dynamo.get(&account_key(user)).await
    }

    /// The tenants that a user belongs to, with the user's role in each.
    ///
    /// # Errors
    /// [`DynamoError`]
    pub async fn memberships(&self, user: UserId) -> Result<Vec<TenantMembership>, DynamoError> {
        let mut members: Vec<StoredMember> =
            self.dynamo.all(Query::tenant_index(memberships_partition(user))).await?;
        if members.is_empty() {
            // The index lags behind the table, so it may miss the tenant of an account that was opened a moment ago.
            if let Some(account) = self.by_id(user).await? {
                let home = TenantCtx::admitted(account.home_tenant, Mode::Live);
                members.extend(self.dynamo.get(&member_key(home, user)).await?);
            }
        }
        Ok(members
            .into_iter()
            .map(|m| TenantMembership { id: m.tenant, name: m.tenant_name, role: m.role })
            .collect())
    }

    /// Changes the profile of a user and returns the account as it is then; `None` if there is no such account.
    ///
    /// # Errors
    /// [`DynamoError`]
    pub async fn change(
        &self,
        user: UserId,
        changes: ProfileChanges,
    ) -> Result<Option<Account>, DynamoError> {
        let mut write = Write::update(account_key(user)).when(Condition::Present);
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
