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
    /// An API key was made.
    #[serde(rename = "key.created")]
    KeyCreated,
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

/// An entry of the audit trail as the table stores it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct AuditEntry<'a> {
    action: AuditAction,
    /// The mode in which it was done.
    mode: Mode,
    actor: &'a str,
    target: &'a str,
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
    actor: &str,
    target: &str,
    now: Millis,
) -> Result<Write, DynamoError> {
    let key = ItemKey::tenant(
        tenant.shared_pk_of(&format!("AUD#{}", now.month())),
        RecordId::generate().to_string(),
    );
    Write::put(
        key,
        &AuditEntry {
            action,
            mode: tenant.mode(),
            actor,
            target,
            at: now,
            ttl: now.plus(AUDIT_RETENTION).secs(),
        },
    )
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
