//! Credits: reserved before a model is called and settled after it, in one account for each tenant and month.
//!
//! The account of a month is one item. A reservation is an attribute of it that carries its own deadline, so
//! reserving is one conditional update, and so is settling: no transaction, no second item, and two updates of one
//! account never fail each other. What a dead environment had reserved is given back by the next request that would
//! be refused for it.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::TenantCtx;
use super::usage::month_partition;
use crate::clock::Millis;
use crate::contract::Plan;
use crate::contract::ids::RequestId;
use crate::contract::usage;
use crate::dynamo::{Condition, CurrentItem, Dynamo, DynamoError, ItemKey, Write, WriteError};
use crate::environment::{Environment, StartError};

/// How much longer than its request may run a reservation stays, so that nobody gives it back while it is settled.
const MARGIN: Duration = Duration::from_secs(30);
/// How long the sum of a day's costs is stored.
const DAY_RETENTION: Duration = Duration::from_secs(31 * 86_400);
/// What the attributes that hold reservations begin with; the request's identifier follows.
const RESERVATION: &str = "r:";
/// The sort key of an account.
const ACCOUNT: &str = "CREDITS";

/// What a tenant's account of a month says.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CreditBalance {
    /// Credits that are spent or reserved.
    pub used: u64,
    /// Credits that the plan gives for the month.
    pub limit: u64,
    /// Tokens that models read.
    pub input_tokens: u64,
    /// Tokens that models wrote.
    pub output_tokens: u64,
    /// What the models cost us, in millionths of a dollar, as far as their prices are known.
    pub cost_micro_usd: u64,
}

impl CreditBalance {
    /// Credits that can still be spent this month.
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

/// The account as the table stores it.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct StoredAccount {
    used: u64,
    input_tokens: u64,
    output_tokens: u64,
    cost_micro_usd: u64,
    /// The reservations, and the keys of the item.
    #[serde(flatten)]
    others: BTreeMap<String, serde_json::Value>,
}

/// A reservation as the account stores it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Hold {
    credits: u64,
    /// When anybody may give the credits back.
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

    /// The reservations that were not settled by their deadline, because their environments are dead.
    fn expired(&self, now: Millis) -> impl Iterator<Item = (String, Hold)> {
        let reservation = |(name, value): (&String, &serde_json::Value)| {
            name.starts_with(RESERVATION).then_some(())?;
            Some((name.clone(), serde_json::from_value::<Hold>(value.clone()).ok()?))
        };
        self.others.iter().filter_map(reservation).filter(move |(_, hold)| hold.until < now)
    }
}

/// Credits that are set aside for one request until [`Credits::settle`].
#[derive(Debug)]
#[must_use = "a reservation that is not settled is only given back after its deadline"]
pub struct Reservation {
    /// The account that the credits are taken from.
    key: ItemKey,
    /// The attribute of the account that holds the reservation.
    name: String,
    credits: u64,
    plan: Plan,
}

/// What a request really spent of its reservation.
#[derive(Debug, Clone, Copy, Default)]
pub struct CreditSpend {
    /// Credits that were spent, at most as many as were reserved.
    pub credits: u64,
    /// Tokens that the model read.
    pub input_tokens: u64,
    /// Tokens that the model wrote.
    pub output_tokens: u64,
    /// What the tokens cost us, in millionths of a dollar; `None` if the model's price is not known.
    pub cost_micro_usd: Option<u64>,
}

/// Why no credits were reserved.
#[derive(Debug, thiserror::Error)]
pub enum CreditError {
    /// The credits of the month do not suffice for the request.
    #[error("the credits of the month are used up ({} of {})", .0.used, .0.limit)]
    Exhausted(CreditBalance),
    /// The account could not be read or written.
    #[error(transparent)]
    Dynamo(#[from] DynamoError),
}

/// The credit accounts of all tenants.
#[derive(Clone)]
pub struct Credits {
    dynamo: Dynamo,
}

fn account_key(tenant: TenantCtx, month: &str) -> ItemKey {
    ItemKey::tenant(month_partition(tenant, month), ACCOUNT)
}

impl Credits {
    pub async fn connect(environment: &Environment) -> Result<Self, StartError> {
        Ok(Self { dynamo: environment.dynamo().await? })
    }

    /// The balance of a tenant's account for a month, such as `2026-11`.
    ///
    /// # Errors
    /// [`DynamoError`]
    pub async fn balance(
        &self,
        tenant: TenantCtx,
        month: &str,
        plan: Plan,
    ) -> Result<CreditBalance, DynamoError> {
        let account: Option<StoredAccount> = self.dynamo.get(&account_key(tenant, month)).await?;
        Ok(account.unwrap_or_default().balance(plan))
    }

    /// Sets credits of this month aside for a request that ends within `lease`.
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
        let key = account_key(tenant, &now.month());
        let reservation = Reservation { key, name: format!("{RESERVATION}{request}"), credits, plan };
        let hold = Hold { credits, until: now.plus(lease + MARGIN) };
        match self.try_hold(&reservation, hold).await? {
            None => Ok(reservation),
            // Dead environments had set credits aside. Now that these are given back, there may be enough.
            Some(account) if self.give_back(&reservation.key, &account, now).await? > 0 => {
                match self.try_hold(&reservation, hold).await? {
                    None => Ok(reservation),
                    Some(account) => Err(CreditError::Exhausted(account.balance(plan))),
                }
            }
            Some(account) => Err(CreditError::Exhausted(account.balance(plan))),
        }
    }

    /// Takes the credits from the account. `None` means that they are reserved; otherwise the account that has too
    /// few left is returned.
    async fn try_hold(
        &self,
        reservation: &Reservation,
        hold: Hold,
    ) -> Result<Option<StoredAccount>, DynamoError> {
        let limit = reservation.plan.credits();
        let Some(used_max) = limit.checked_sub(hold.credits) else {
            return Ok(Some(self.dynamo.get(&reservation.key).await?.unwrap_or_default()));
        };
        let write = Write::update(reservation.key.clone())
            .add("used", amount(hold.credits))
            .set(reservation.name.clone(), hold)
            .when(Condition::WithoutOrBelow("used", used_max + 1));
        match self.dynamo.write(write).await {
            Ok(()) => Ok(None),
            Err(WriteError::Conflict { current, .. }) => {
                Ok(Some(current.map(CurrentItem::read).transpose()?.unwrap_or_default()))
            }
            Err(WriteError::Dynamo(error)) => Err(error),
        }
    }

    /// Gives back what dead environments had reserved, and returns how many credits that were.
    async fn give_back(
        &self,
        key: &ItemKey,
        account: &StoredAccount,
        now: Millis,
    ) -> Result<u64, DynamoError> {
        let mut given_back = 0;
        for (name, hold) in account.expired(now) {
            let write = Write::update(key.clone())
                .add("used", -amount(hold.credits))
                .remove(name.clone())
                .when(Condition::With(name.into()));
            match self.dynamo.write(write).await {
                Ok(()) => given_back += hold.credits,
                // Another request gave it back, or it was settled after all.
                Err(WriteError::Conflict { .. }) => {}
                Err(WriteError::Dynamo(error)) => return Err(error),
            }
        }
        Ok(given_back)
    }

    /// Ends a reservation: what was not spent goes back to the account. If it is settled twice, it counts once.
    ///
    /// # Errors
    /// [`DynamoError`]; if nothing was written, the credits stay reserved until the reservation's deadline and are
    /// given back then.
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

/// The limit of what models may cost the whole stage in a day. Its account is not a tenant's, but of the same kind.
#[derive(Clone)]
pub struct DailyStop {
    dynamo: Dynamo,
    /// In millionths of a dollar; without a limit, models are never stopped.
    limit_micro_usd: Option<u64>,
}

/// What models have cost on one day.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct DaySpend {
    cost_micro_usd: u64,
}

impl DailyStop {
    /// Connects to the stage's table and takes the limit from its settings.
    ///
    /// # Errors
    /// [`StartError`]
    pub async fn connect(environment: &Environment) -> Result<Self, StartError> {
        let limit_micro_usd = environment.settings().await?.ai_daily_stop_micro_usd;
        Ok(Self { dynamo: environment.dynamo().await?, limit_micro_usd })
    }

    fn day_key(now: Millis) -> ItemKey {
        let day: String = now.rfc3339().chars().take(10).collect();
        ItemKey::tenant(format!("AI#{day}"), "SPENT")
    }

    /// Whether models have cost as much today as the limit allows.
    ///
    /// # Errors
    /// [`DynamoError`]
    pub async fn is_reached(&self) -> Result<bool, DynamoError> {
        let Some(limit) = self.limit_micro_usd else { return Ok(false) };
        let day: Option<DaySpend> = self.dynamo.get(&Self::day_key(Millis::now())).await?;
        Ok(day.unwrap_or_default().cost_micro_usd >= limit)
    }

    /// Adds what a request cost to the sum of the day. Without a limit, nothing is written.
    ///
    /// # Errors
    /// [`WriteError`]
    pub async fn add(&self, cost_micro_usd: u64) -> Result<(), WriteError> {
        if self.limit_micro_usd.is_none() || cost_micro_usd == 0 {
            return Ok(());
        }
        let now = Millis::now();
        let write = Write::update(Self::day_key(now))
            .add("costMicroUsd", amount(cost_micro_usd))
            .set("ttl", now.plus(DAY_RETENTION).secs());
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
