//! Credits and the dollars of a day: reserved before a model is called and settled after it, in one account for each
//! tenant and month.
//!
//! The account of a month is one item. A reservation is an attribute of it that carries its own name and deadline, so
//! reserving is one conditional update, and so is settling: no transaction, no second item, a repetition changes
//! nothing, and two updates of one account never fail each other. Credits that a dead environment had reserved are
//! given back by the next request that would be refused for it. Its tokens and dollars stay counted as they were
//! estimated, because its model may well have worked.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::TenantCtx;
use super::usage::month_partition;
use crate::clock::Millis;
use crate::contract::Plan;
use crate::contract::meta::TokenUsage;
use crate::contract::usage;
use crate::dynamo::{Condition, CurrentItem, Dynamo, DynamoError, ItemKey, Write, WriteError};
use crate::environment::{Environment, StartError};
use crate::random;

/// How much longer than its request may run a reservation stays, so that nobody gives it back while it is settled.
const MARGIN: Duration = Duration::from_secs(30);
/// What the attributes that hold reservations begin with; a random name of the reservation follows.
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
    /// What the models cost us, in millionths of a dollar.
    pub cost_micro_usd: u64,
    /// What the models cost us on this day of the month (UTC), in millionths of a dollar, with what is reserved for
    /// running calls.
    pub day_micro_usd: u64,
}

impl CreditBalance {
    /// Credits that can still be spent this month.
    pub const fn remaining(&self) -> u64 {
        self.limit.saturating_sub(self.used)
    }

    /// The account as a report tells it; that of this month with the dollars that the tenant has in a day.
    pub fn report(&self, day_limit_micro_usd: Option<u64>) -> usage::AccountUsage {
        usage::AccountUsage {
            credits: usage::CreditLimit { used: self.used, limit: self.limit },
            tokens: usage::TokenTotals { input: self.input_tokens, output: self.output_tokens },
            cost_micro_usd: self.cost_micro_usd,
            today: day_limit_micro_usd.map(|limit_micro_usd| usage::DayBudget {
                cost_micro_usd: self.day_micro_usd,
                limit_micro_usd,
            }),
        }
    }
}

/// What a call of a model is to be paid with, and what it is estimated to use at most.
#[derive(Debug, Clone, Copy)]
pub struct CallEstimate {
    /// The credits that the call costs its tenant.
    pub credits: u64,
    /// The tokens that the call uses at most.
    pub tokens: TokenUsage,
    /// What these tokens cost, in millionths of a dollar.
    pub cost_micro_usd: u64,
}

/// What a tenant may have of models: credits in a month, and dollars in a day.
#[derive(Debug, Clone, Copy)]
pub struct SpendLimits {
    /// The tenant's plan, which sets the credits of the month.
    pub plan: Plan,
    /// What models may cost in a day (UTC), in millionths of a dollar.
    pub day_micro_usd: u64,
}

/// The account as the table stores it.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct StoredAccount {
    used: u64,
    input_tokens: u64,
    output_tokens: u64,
    cost_micro_usd: u64,
    /// The reservations, the costs of the days, and the keys of the item.
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

/// The attribute of an account with what models cost on this day. An account is of one month, so that the day of the
/// month names it.
fn day_attribute(now: Millis) -> String {
    format!("day{}", now.rfc3339().chars().skip(8).take(2).collect::<String>())
}

impl StoredAccount {
    fn balance(&self, plan: Plan, now: Millis) -> CreditBalance {
        let today = self.others.get(&day_attribute(now));
        CreditBalance {
            used: self.used,
            limit: plan.credits(),
            input_tokens: self.input_tokens,
            output_tokens: self.output_tokens,
            cost_micro_usd: self.cost_micro_usd,
            day_micro_usd: today.and_then(serde_json::Value::as_u64).unwrap_or(0),
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

/// Credits and dollars that are set aside for one call until [`Credits::settle`].
#[derive(Debug)]
#[must_use = "a reservation that is not settled is only given back after its deadline"]
pub struct Reservation {
    /// The account that the credits are taken from.
    key: ItemKey,
    /// The attribute of the account that holds the reservation.
    name: String,
    /// The attribute of the account with the costs of the day on which the reservation was made.
    day: String,
    estimate: CallEstimate,
    limits: SpendLimits,
}

/// What a call really spent of its reservation.
#[derive(Debug, Clone, Copy, Default)]
pub struct CreditSpend {
    /// Credits that were spent, at most as many as were reserved.
    pub credits: u64,
    /// Tokens that the model read and wrote.
    pub tokens: TokenUsage,
    /// What the tokens cost us, in millionths of a dollar.
    pub cost_micro_usd: u64,
}

/// Why nothing was reserved.
#[derive(Debug, thiserror::Error)]
pub enum CreditError {
    /// The credits of the month do not suffice for the call.
    #[error("the credits of the month are used up ({} of {})", .0.used, .0.limit)]
    Exhausted(CreditBalance),
    /// The dollars of the day do not suffice for the call.
    #[error("the tenant's budget of the day is used up ({} of {limit_micro_usd} micro-dollars)", .balance.day_micro_usd)]
    DayExhausted {
        balance: CreditBalance,
        /// The dollars that the tenant has in a day, in millionths.
        limit_micro_usd: u64,
    },
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
        Ok(account.unwrap_or_default().balance(plan, Millis::now()))
    }

    /// Sets aside what a call that ends within `lease` may use of this month and day.
    ///
    /// # Errors
    /// [`CreditError`]
    pub async fn reserve(
        &self,
        tenant: TenantCtx,
        limits: SpendLimits,
        estimate: CallEstimate,
        lease: Duration,
    ) -> Result<Reservation, CreditError> {
        let now = Millis::now();
        let key = account_key(tenant, &now.month());
        // The name is the call's own. A request may ask several models, itself and by its tools, and one that was
        // killed may be repeated while its reservation is still there.
        let name = format!("{RESERVATION}{}", random::token());
        let reservation = Reservation { key, name, day: day_attribute(now), estimate, limits };
        let hold = Hold { credits: estimate.credits, until: now.plus(lease + MARGIN) };
        let Some(account) = self.try_hold(&reservation, hold).await? else { return Ok(reservation) };
        // Dead environments had set credits aside. Now that these are given back, there may be enough.
        let account = if self.give_back(&reservation.key, &account, now).await? > 0 {
            match self.try_hold(&reservation, hold).await? {
                None => return Ok(reservation),
                Some(account) => account,
            }
        } else {
            account
        };
        let balance = account.balance(limits.plan, now);
        Err(if balance.remaining() < estimate.credits {
            CreditError::Exhausted(balance)
        } else {
            CreditError::DayExhausted { balance, limit_micro_usd: limits.day_micro_usd }
        })
    }

    /// Takes a reservation from the account. `None` means that it is made; otherwise the account that has too little
    /// left is returned.
    async fn try_hold(
        &self,
        reservation: &Reservation,
        hold: Hold,
    ) -> Result<Option<StoredAccount>, DynamoError> {
        let Reservation { key, name, day, estimate, limits } = reservation;
        let used_max = limits.plan.credits().checked_sub(estimate.credits);
        let day_max = limits.day_micro_usd.checked_sub(estimate.cost_micro_usd);
        let Some((used_max, day_max)) = used_max.zip(day_max) else {
            return Ok(Some(self.dynamo.get(key).await?.unwrap_or_default()));
        };
        let write = Write::update(key.clone())
            .add("used", amount(estimate.credits))
            .add("inputTokens", amount(estimate.tokens.input_tokens))
            .add("outputTokens", amount(estimate.tokens.output_tokens))
            .add("costMicroUsd", amount(estimate.cost_micro_usd))
            .add(day.clone(), amount(estimate.cost_micro_usd))
            .set(name.clone(), hold)
            .when(Condition::Without(name.clone().into()))
            .when(Condition::WithoutOrBelow("used".into(), used_max + 1))
            .when(Condition::WithoutOrBelow(day.clone().into(), day_max + 1));
        match self.dynamo.write(write).await {
            Ok(()) => Ok(None),
            Err(WriteError::Conflict { current, .. }) => {
                let account: StoredAccount = current.map(CurrentItem::read).transpose()?.unwrap_or_default();
                // The SDK repeats a write whose answer was lost. The first one made this very reservation.
                Ok((!account.others.contains_key(name)).then_some(account))
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
        let Reservation { key, name, day, estimate, limits } = reservation;
        let cost = difference(spent.cost_micro_usd, estimate.cost_micro_usd);
        let write = Write::update(key.clone())
            .add("used", -amount(estimate.credits.saturating_sub(spent.credits)))
            .add("inputTokens", difference(spent.tokens.input_tokens, estimate.tokens.input_tokens))
            .add("outputTokens", difference(spent.tokens.output_tokens, estimate.tokens.output_tokens))
            .add("costMicroUsd", cost)
            .add(day, cost)
            .remove(name.clone())
            .when(Condition::With(name.into()));
        match self.dynamo.write(write).await {
            Ok(()) | Err(WriteError::Conflict { .. }) => {}
            Err(WriteError::Dynamo(error)) => return Err(error),
        }
        let account: Option<StoredAccount> = self.dynamo.get(&key).await?;
        Ok(account.unwrap_or_default().balance(limits.plan, Millis::now()))
    }
}

pub(super) fn amount(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// By how much more was spent than was estimated; less is negative.
pub(super) fn difference(spent: u64, estimate: u64) -> i64 {
    amount(spent) - amount(estimate)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn only_reservations_whose_time_is_over_are_expired() {
        let stored = json!({
            "PK": "T#x", "SK": ACCOUNT, "used": 7, "inputTokens": 1,
            "r:1": {"credits": 2, "until": 1_000}, "r:2": {"credits": 3, "until": 3_000}, "r:odd": "?",
            "day24": 17, "day23": 5,
        });
        let account: StoredAccount = serde_json::from_value(stored).unwrap();
        let expired: Vec<_> = account.expired(Millis(2_000)).collect();
        assert_eq!(expired, [("r:1".to_owned(), Hold { credits: 2, until: Millis(1_000) })]);
        let balance = account.balance(Plan::Free, Millis::parse("2026-11-24T23:59:59Z").unwrap());
        assert_eq!((balance.remaining(), balance.day_micro_usd), (Plan::Free.credits() - 7, 17));
    }
}
