//! Credits: reserved before a model is called, settled after it, atomically, a month and a tenant at a time.
//!
//! The account of a month is one item. A reservation is an attribute of it that carries its own deadline, so
//! reserving is one conditional update, and so is settling: no transaction, no second item, and two
//! updates of one account never fail each other. What a dead environment had reserved is given back by whoever
//! would be refused for it.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::TenantCtx;
use crate::clock::Millis;
use crate::contract::Plan;
use crate::contract::ids::RequestId;
use crate::contract::usage;
use crate::dynamo::{Condition, CurrentItem, Dynamo, DynamoError, ItemKey, Write, WriteError};
use crate::environment::{Environment, StartError};

/// A reservation outlives its request's deadline by this much.
const MARGIN: Duration = Duration::from_secs(30);
/// A day's sum is kept for a month.
const KEEP_DAY: Duration = Duration::from_secs(31 * 86_400);
const RESERVATION: &str = "r:";
const ACCOUNT: &str = "CREDITS";

/// What a month's account says.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CreditBalance {
    /// Credits that are spent or reserved.
    pub used: u64,
    /// What the plan gives.
    pub limit: u64,
    /// Tokens that models read.
    pub input_tokens: u64,
    /// Tokens that models wrote.
    pub output_tokens: u64,
    /// What that cost us, as far as the prices are known.
    pub cost_micro_usd: u64,
}

impl CreditBalance {
    /// Credits that are left.
    pub const fn remaining(&self) -> u64 {
        self.limit.saturating_sub(self.used)
    }
}

impl From<CreditBalance> for usage::AccountUsage {
    fn from(balance: CreditBalance) -> Self {
        Self {
            credits: usage::CreditLimit { used: balance.used, limit: balance.limit },
            tokens: usage::TokenTotals { input: balance.input_tokens, output: balance.output_tokens },
            cost_micro_usd: balance.cost_micro_usd,
        }
    }
}

/// The account as stored. What is left over are the keys and the reservations.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct StoredAccount {
    used: u64,
    input_tokens: u64,
    output_tokens: u64,
    cost_micro_usd: u64,
    #[serde(flatten)]
    others: BTreeMap<String, serde_json::Value>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Hold {
    credits: u64,
    until: Millis,
}

impl StoredAccount {
    fn balance(&self, plan: Plan) -> CreditBalance {
        CreditBalance {
            used: self.used,
            limit: plan.credits(),
            input_tokens: self.input_tokens,
            output_tokens: self.output_tokens,
            cost_micro_usd: self.cost_micro_usd,
        }
    }

    /// Reservations whose environments are gone.
    fn expired(&self, now: Millis) -> impl Iterator<Item = (String, Hold)> {
        let held = |(name, value): (&String, &serde_json::Value)| {
            name.starts_with(RESERVATION).then_some(())?;
            Some((name.clone(), serde_json::from_value::<Hold>(value.clone()).ok()?))
        };
        self.others.iter().filter_map(held).filter(move |(_, held)| held.until < now)
    }
}

/// Credits that are set aside for one request.
#[derive(Debug)]
#[must_use = "a reservation that is not settled is only given back after its deadline"]
pub struct Reservation {
    key: ItemKey,
    name: String,
    credits: u64,
    plan: Plan,
}

/// What a request took in the end.
#[derive(Debug, Clone, Copy, Default)]
pub struct CreditSpend {
    /// Credits; never more than were reserved.
    pub credits: u64,
    /// Tokens read.
    pub input_tokens: u64,
    /// Tokens written.
    pub output_tokens: u64,
    /// What they cost; nothing where the price is not known.
    pub cost_micro_usd: Option<u64>,
}

/// Why nothing was reserved.
#[derive(Debug, thiserror::Error)]
pub enum CreditError {
    /// The month's credits are used up.
    #[error("the credits of the month are used up ({} of {})", .0.used, .0.limit)]
    Exhausted(CreditBalance),
    /// The account could not be read or written.
    #[error(transparent)]
    Dynamo(#[from] DynamoError),
}

/// The accounts of all tenants.
#[derive(Clone)]
pub struct Credits {
    dynamo: Dynamo,
}

fn account(tenant: TenantCtx, month: &str) -> ItemKey {
    ItemKey::tenant(tenant.pk_of(&format!("USE#{month}")), ACCOUNT)
}

impl Credits {
    /// Connects to the tables of the stage.
    ///
    /// # Errors
    /// [`StartError`]
    pub async fn connect(environment: &Environment) -> Result<Self, StartError> {
        Ok(Self { dynamo: environment.dynamo().await? })
    }

    /// The account of a month, `2026-11`.
    ///
    /// # Errors
    /// [`DynamoError`]
    pub async fn balance(
        &self,
        tenant: TenantCtx,
        month: &str,
        plan: Plan,
    ) -> Result<CreditBalance, DynamoError> {
        let found: Option<StoredAccount> = self.dynamo.get(&account(tenant, month)).await?;
        Ok(found.unwrap_or_default().balance(plan))
    }

    /// Sets credits aside for a request that ends within `lease`.
    ///
    /// # Errors
    /// [`CreditError`]
    pub async fn reserve(
        &self,
        tenant: TenantCtx,
        plan: Plan,
        request: RequestId,
        credits: u64,
        lease: Duration,
    ) -> Result<Reservation, CreditError> {
        let now = Millis::now();
        let key = account(tenant, &now.month());
        let reservation = Reservation { key, name: format!("{RESERVATION}{request}"), credits, plan };
        let held = Hold { credits, until: now.plus(lease + MARGIN) };
        match self.hold(&reservation, held).await? {
            None => Ok(reservation),
            // What the dead had set aside may be enough.
            Some(account) if self.give_back(&reservation.key, &account, now).await? > 0 => {
                match self.hold(&reservation, held).await? {
                    None => Ok(reservation),
                    Some(account) => Err(CreditError::Exhausted(account.balance(plan))),
                }
            }
            Some(account) => Err(CreditError::Exhausted(account.balance(plan))),
        }
    }

    /// Nothing when it is held, or the account that has too little left.
    async fn hold(
        &self,
        reservation: &Reservation,
        held: Hold,
    ) -> Result<Option<StoredAccount>, DynamoError> {
        let limit = reservation.plan.credits();
        let Some(most) = limit.checked_sub(held.credits) else {
            return Ok(Some(self.dynamo.get(&reservation.key).await?.unwrap_or_default()));
        };
        let write = Write::update(reservation.key.clone())
            .add("used", amount(held.credits))
            .set(reservation.name.clone(), held)
            .when(Condition::WithoutOrBelow("used", most + 1));
        match self.dynamo.write(write).await {
            Ok(()) => Ok(None),
            Err(WriteError::Conflict { current, .. }) => {
                Ok(Some(current.map(CurrentItem::read).transpose()?.unwrap_or_default()))
            }
            Err(WriteError::Dynamo(error)) => Err(error),
        }
    }

    /// Gives back what environments had set aside and did not settle in time.
    async fn give_back(
        &self,
        key: &ItemKey,
        account: &StoredAccount,
        now: Millis,
    ) -> Result<u64, DynamoError> {
        let mut given = 0;
        for (name, held) in account.expired(now) {
            let write = Write::update(key.clone())
                .add("used", -amount(held.credits))
                .remove(name.clone())
                .when(Condition::With(name.into()));
            match self.dynamo.write(write).await {
                Ok(()) => given += held.credits,
                // Somebody else gave it back, or it was settled after all.
                Err(WriteError::Conflict { .. }) => {}
                Err(WriteError::Dynamo(error)) => return Err(error),
            }
        }
        Ok(given)
    }

    /// Ends a reservation with what was really spent. Settled twice, it counts once.
    ///
    /// # Errors
    /// [`DynamoError`]: the credits stay reserved until the reservation's deadline and are given back then.
    pub async fn settle(
        &self,
        reservation: Reservation,
        spent: CreditSpend,
    ) -> Result<CreditBalance, DynamoError> {
        let unspent = reservation.credits.saturating_sub(spent.credits);
        let write = Write::update(reservation.key.clone())
            .add("used", -amount(unspent))
            .add("inputTokens", amount(spent.input_tokens))
            .add("outputTokens", amount(spent.output_tokens))
            .add("costMicroUsd", amount(spent.cost_micro_usd.unwrap_or(0)))
            .remove(reservation.name.clone())
            .when(Condition::With(reservation.name.into()));
        match self.dynamo.write(write).await {
            Ok(()) | Err(WriteError::Conflict { .. }) => {}
            Err(WriteError::Dynamo(error)) => return Err(error),
        }
        let account: Option<StoredAccount> = self.dynamo.get(&reservation.key).await?;
        Ok(account.unwrap_or_default().balance(reservation.plan))
    }
}

/// What models cost the whole stage in a day, and where it stops. Not a tenant's, but the same kind of account.
#[derive(Clone)]
pub struct DailyStop {
    dynamo: Dynamo,
    limit_micro_usd: Option<u64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct DaySpend {
    cost_micro_usd: u64,
}

impl DailyStop {
    /// Connects to the tables, with the limit of the settings; without one it never stops.
    ///
    /// # Errors
    /// [`StartError`]
    pub async fn connect(environment: &Environment) -> Result<Self, StartError> {
        let limit_micro_usd = environment.settings().await?.ai_daily_stop_micro_usd;
        Ok(Self { dynamo: environment.dynamo().await?, limit_micro_usd })
    }

    fn today(now: Millis) -> ItemKey {
        let day: String = now.rfc3339().chars().take(10).collect();
        ItemKey::identity(format!("AI#{day}"), "SPENT")
    }

    /// Whether the day's budget is used up.
    ///
    /// # Errors
    /// [`DynamoError`]
    pub async fn is_reached(&self) -> Result<bool, DynamoError> {
        let Some(limit) = self.limit_micro_usd else { return Ok(false) };
        let day: Option<DaySpend> = self.dynamo.get(&Self::today(Millis::now())).await?;
        Ok(day.unwrap_or_default().cost_micro_usd >= limit)
    }

    /// Adds what a request cost.
    ///
    /// # Errors
    /// [`WriteError`]
    pub async fn add(&self, cost_micro_usd: u64) -> Result<(), WriteError> {
        if self.limit_micro_usd.is_none() || cost_micro_usd == 0 {
            return Ok(());
        }
        let now = Millis::now();
        let write = Write::update(Self::today(now))
            .add("costMicroUsd", amount(cost_micro_usd))
            .set("ttl", now.plus(KEEP_DAY).secs());
        self.dynamo.write(write).await
    }
}

fn amount(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn only_reservations_whose_time_is_over_are_expired() {
        let stored = json!({
            "PK": "T#x", "SK": ACCOUNT, "used": 7, "inputTokens": 1,
            "r:req_1": {"credits": 2, "until": 1_000}, "r:req_2": {"credits": 3, "until": 3_000}, "r:odd": "?",
        });
        let account: StoredAccount = serde_json::from_value(stored).unwrap();
        let expired: Vec<_> = account.expired(Millis(2_000)).collect();
        assert_eq!(expired, [("r:req_1".to_owned(), Hold { credits: 2, until: Millis(1_000) })]);
        assert_eq!(account.balance(Plan::Free).remaining(), Plan::Free.credits() - 7);
    }
}
