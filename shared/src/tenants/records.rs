//! Records that are written in the same transaction as a change: the audit trail and the outbox of events.

use std::time::Duration;

use serde::Serialize;

use super::TenantCtx;
use crate::clock::Millis;
use crate::contract::Mode;
use crate::contract::ids::{RecordId, UserId};
use crate::dynamo::{DynamoError, ItemKey, Write};

/// How long an entry of the audit trail is stored.
const AUDIT_RETENTION: Duration = Duration::from_secs(400 * 86_400);
/// How long an event stays in the outbox.
const KEEP_EVENT: Duration = Duration::from_secs(30 * 86_400);

/// What somebody did, as the audit trail names it.
#[derive(Debug, Clone, Copy, Serialize)]
pub enum AuditAction {
    /// An account was opened.
    #[serde(rename = "account.opened")]
    AccountOpened,
    /// No further attempt to sign in to an account is looked at for a day.
    #[serde(rename = "account.locked")]
    AccountLocked,
    /// A user signed in.
    #[serde(rename = "session.opened")]
    SessionOpened,
    /// An API key was made.
    #[serde(rename = "key.created")]
    KeyCreated,
    /// An API key got another name.
    #[serde(rename = "key.renamed")]
    KeyRenamed,
    /// An API key got a successor.
    #[serde(rename = "key.rotated")]
    KeyRotated,
    /// An API key was revoked.
    #[serde(rename = "key.revoked")]
    KeyRevoked,
    /// Drafts of a generation were approved.
    #[serde(rename = "drafts.approved")]
    DraftsApproved,
    /// Drafts of a generation were discarded.
    #[serde(rename = "drafts.discarded")]
    DraftsDiscarded,
    /// The profile of a creator was replaced.
    #[serde(rename = "creator.replaced")]
    CreatorReplaced,
    /// A creator was deleted.
    #[serde(rename = "creator.deleted")]
    CreatorDeleted,
}

/// What happened, for the consumer of the outbox that has to act on it, such as the mailer.
#[derive(Debug, Clone, Copy, Serialize)]
pub enum OutboxEvent {
    /// An account was opened. With a `tokenId`, it waits for its address to be verified.
    #[serde(rename = "account.opened")]
    AccountOpened,
    /// Somebody tried to open an account with the address of this one.
    #[serde(rename = "account.signUpRepeated")]
    SignUpRepeated,
    /// A refresh token was used a second time, and so the session was ended.
    #[serde(rename = "session.reused")]
    SessionReused,
}

/// How many bytes of a client's description of itself are stored.
const AGENT_BYTES: usize = 200;

/// Where a request came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// The address of the client.
    pub address: String,
    /// What the client calls itself in `User-Agent`, cut where it is long.
    pub agent: String,
}

impl Origin {
    pub fn new(address: &str, agent: &str) -> Self {
        let agent = agent[..agent.floor_char_boundary(AGENT_BYTES)].to_owned();
        Self { address: address.to_owned(), agent }
    }
}

/// Who did something, and from where.
#[derive(Debug, Clone)]
pub struct Actor {
    /// The identifier of the API key or of the user.
    pub id: String,
    pub origin: Origin,
}

/// An entry of the audit trail as the table stores it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct AuditEntry<'a> {
    action: AuditAction,
    /// The mode in which it was done.
    mode: Mode,
    actor: &'a str,
    target: &'a str,
    /// The address and the agent of whoever did it.
    address: &'a str,
    agent: &'a str,
    at: Millis,
    ttl: u64,
}

/// The write of an audit entry, for the transaction of the change. `actor` did `action` to `target`.
///
/// # Errors
/// [`DynamoError::Malformed`]
pub fn audit(
    tenant: TenantCtx,
    action: AuditAction,
    actor: &Actor,
    target: &str,
    now: Millis,
) -> Result<Write, DynamoError> {
    let key = ItemKey::tenant(
        tenant.shared_pk_of(&format!("AUD#{}", now.month())),
        RecordId::generate().to_string(),
    );
    let Actor { id, origin: Origin { address, agent } } = actor;
    let ttl = now.plus(AUDIT_RETENTION).secs();
    let mode = tenant.mode();
    Write::put(key, &AuditEntry { action, mode, actor: id, target, address, agent, at: now, ttl })
}

/// An event as the table stores it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct OutboxItem {
    event: OutboxEvent,
    user_id: UserId,
    /// The mailer computes the one-time token from this and a derived key, so that the token itself is not stored.
    token_id: Option<RecordId>,
    at: Millis,
    ttl: u64,
}

/// The write of an event, for the transaction of the change that it reports. The table's stream carries it to its
/// consumers.
///
/// # Errors
/// [`DynamoError::Malformed`]
pub fn outbox(
    tenant: TenantCtx,
    event: OutboxEvent,
    user_id: UserId,
    token_id: Option<RecordId>,
    now: Millis,
) -> Result<Write, DynamoError> {
    let key = ItemKey::tenant(tenant.shared_pk_of("OUT"), RecordId::generate().to_string());
    Write::put(key, &OutboxItem { event, user_id, token_id, at: now, ttl: now.plus(KEEP_EVENT).secs() })
}
