//! Records that are written beside a change, in its transaction: the audit trail and the outbox.

use std::time::Duration;

use serde::Serialize;

use super::TenantCtx;
use crate::clock::Millis;
use crate::contract::ids::{RecordId, UserId};
use crate::dynamo::{DynamoError, ItemKey, Write};

/// Records are of use for a while; then the table lets them go.
const KEEP_AUDIT: Duration = Duration::from_secs(400 * 86_400);
const KEEP_EVENT: Duration = Duration::from_secs(30 * 86_400);

/// What was done, for the audit trail.
#[derive(Debug, Clone, Copy, Serialize)]
pub enum AuditAction {
    /// A key was made.
    #[serde(rename = "key.created")]
    KeyCreated,
    /// A key was replaced.
    #[serde(rename = "key.rotated")]
    KeyRotated,
    /// A key was revoked.
    #[serde(rename = "key.revoked")]
    KeyRevoked,
    /// Drafts were approved.
    #[serde(rename = "drafts.approved")]
    DraftsApproved,
    /// Drafts were discarded.
    #[serde(rename = "drafts.discarded")]
    DraftsDiscarded,
    /// A creator was removed.
    #[serde(rename = "creator.deleted")]
    CreatorDeleted,
}

/// What happened, for whoever has to act on it.
#[derive(Debug, Clone, Copy, Serialize)]
pub enum OutboxEvent {
    /// An account was opened; it waits for its address to be verified where `tokenId` is there.
    #[serde(rename = "account.opened")]
    AccountOpened,
    /// Somebody tried to open an account with the address of this one.
    #[serde(rename = "account.signUpRepeated")]
    SignUpRepeated,
    /// A refresh token was used a second time: the session was ended.
    #[serde(rename = "session.reused")]
    SessionReused,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct AuditEntry<'a> {
    action: AuditAction,
    actor: &'a str,
    target: &'a str,
    at: Millis,
    ttl: u64,
}

/// The entry of the audit trail that goes with a change.
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
    let key =
        ItemKey::tenant(tenant.pk_of(&format!("AUD#{}", now.month())), RecordId::generate().to_string());
    Write::put(key, &AuditEntry { action, actor, target, at: now, ttl: now.plus(KEEP_AUDIT).secs() })
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct OutboxItem {
    event: OutboxEvent,
    user_id: UserId,
    /// From this and a derived key the mailer makes the token again, so that none is stored.
    token_id: Option<RecordId>,
    at: Millis,
    ttl: u64,
}

/// The event that tells of a change. The table's stream carries it to its consumers.
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
    let key = ItemKey::tenant(tenant.pk_of("OUT"), RecordId::generate().to_string());
    Write::put(key, &OutboxItem { event, user_id, token_id, at: now, ttl: now.plus(KEEP_EVENT).secs() })
}
