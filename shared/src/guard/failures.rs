//! The limit of API keys that do not exist: to look one up takes a read, and anybody can make up as many as they like.

use super::Guard;
use super::budgets::denial;
use crate::auth::api_key::ApiKey;
use crate::auth::key_store::KeyRecord;
use crate::clock::Millis;
use crate::contract::{Algorithm, LimitPolicy, MINUTE};
use crate::fleet::gate::{GateAnswer, GateQuestion};
use crate::fleet::limits::Limit;
use crate::http::{HttpRequest, Problem};
use crate::metrics::{self, LimitDecision};

/// How many API keys that do not exist an address may send in a minute. Each is in the cache for ten seconds, so
/// a program that goes on with a revoked key takes six.
const UNKNOWN_KEYS: u32 = 30;

impl Guard {
    /// Finds the record of an API key. Where the environment must read it, the address must not have sent too many
    /// that do not exist; a denial is remembered, so that a flood takes neither a read nor a trip.
    ///
    /// # Errors
    /// 429 for an address that has sent too many, 503 where the key cannot be read.
    pub(super) async fn find_key(
        &self,
        key: &ApiKey,
        incoming: &HttpRequest,
    ) -> Result<Option<KeyRecord>, Problem> {
        let now = Millis::now();
        let keys = &self.callers()?.keys;
        if keys.is_cached(key, now) {
            return Ok(keys.find(key, now).await?);
        }
        let address = incoming.ip_block();
        let limits = [Limit::new(LimitPolicy::Auth, Algorithm::Gcra, UNKNOWN_KEYS, MINUTE, &address)];
        if let Some(statuses) = self.local.recall(&limits) {
            metrics::limits(LimitDecision::Remembered);
            return Err(denial(statuses).problem);
        }
        let record = keys.find(key, now).await?;
        if record.is_some() {
            return Ok(record);
        }
        let question = GateQuestion { limits: &limits, cost: Some(1), ..GateQuestion::default() };
        let statuses = match self.gate.ask(&question, incoming.deadline).await {
            GateAnswer::Admitted(_) => return Ok(None),
            GateAnswer::Denied(statuses) | GateAnswer::Full { limits: statuses, .. } => statuses,
            GateAnswer::Unknown(_) => match self.local.admit_share(&limits, 1) {
                Ok(_) => return Ok(None),
                Err(statuses) => statuses,
            },
        };
        metrics::limits(LimitDecision::Denied);
        self.local.remember(&limits, &statuses);
        Err(denial(statuses).problem)
    }
}
