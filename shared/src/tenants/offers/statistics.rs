//! The statistics of a series of offers: what price advice reads in place of all records.

use pricing::{Arm, Arms, weight};
use serde::{Deserialize, Serialize};

use super::{DAY, OfferSeries, RETENTION, StoredOffers};
use crate::clock::Millis;
use crate::contract::ids::CreatorId;
use crate::contract::price_advice::ARMS_MAX;
use crate::dynamo::{ItemKey, Query};
use crate::tenants::TenantCtx;

/// What the sort keys of statistics begin with in the index by creator.
const INDEX_PREFIX: &str = "SALES#";

/// The statistics of a series as the table stores them.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Statistics {
    pub(super) series: OfferSeries,
    /// Counts the imports that computed the statistics.
    pub(super) version: u64,
    /// The time at which the ages of the offers were counted.
    as_of: Millis,
    /// For each price: the price in cents, and the weighed numbers of offers and sales.
    arms: Vec<(f64, f64, f64)>,
    ttl: u64,
    /// The sort key of the item, by which a series is told from similar ones.
    #[serde(rename = "SK", default, skip_serializing)]
    pub(super) sk: String,
}

impl Statistics {
    /// Computes the offers and sales of a series by price from its records, each weighed by its age at `as_of`.
    pub(super) fn of(series: &OfferSeries, records: &[StoredOffers], version: u64, as_of: Millis) -> Self {
        let arm = |stored: &StoredOffers| {
            let offers = &stored.offers;
            // A record has a day and no time, so the middle of the day is taken.
            let weight = weight(as_of.since(offers.day.begins().plus(DAY / 2)));
            Arm {
                price: f64::from(offers.price_cents.get()),
                offered: f64::from(offers.offered.get()) * weight,
                sold: f64::from(offers.sold.get()) * weight,
            }
        };
        let arms = Arms::new(&records.iter().map(arm).collect::<Vec<_>>()).map(|arms| arms.merged(ARMS_MAX));
        let round = |number: f64| (number * 1e6).round() / 1e6;
        let rounded = |arm: &Arm| (arm.price, round(arm.offered), round(arm.sold));
        let arms = arms.map_or_else(|_| Vec::new(), |arms| arms.as_slice().iter().map(rounded).collect());
        let ttl = as_of.plus(RETENTION).secs();
        Self { series: series.clone(), version, as_of, arms, ttl, sk: String::new() }
    }

    /// The creator whose offers these are; `None` if the sort key does not say so.
    pub(super) fn creator(&self) -> Option<CreatorId> {
        self.sk.split('#').nth(2)?.parse().ok()
    }

    /// The offers and sales by price, weighed by their age at `now`; `None` if the pricing core cannot use them.
    pub(super) fn arms(&self, now: Millis) -> Option<Arms> {
        let weight = weight(now.since(self.as_of));
        let arm = |(price, offered, sold): &(f64, f64, f64)| Arm {
            price: *price,
            offered: offered * weight,
            sold: sold * weight,
        };
        Arms::new(&self.arms.iter().map(arm).collect::<Vec<_>>()).ok()
    }
}

/// The partition of the statistics of all series of a tenant.
fn partition(tenant: TenantCtx) -> String {
    tenant.pk_of("SALES")
}

/// What the sort keys of all series with the same product and currency begin with.
fn similar_prefix(series: &OfferSeries) -> String {
    format!("{}#{}#", series.product.as_str(), series.currency.code())
}

pub(super) fn key(tenant: TenantCtx, creator: CreatorId, series: &OfferSeries) -> ItemKey {
    ItemKey::tenant(partition(tenant), format!("{}{creator}#{}", similar_prefix(series), series.hash()))
}

/// The keys of a series' statistics in the index by creator.
pub(super) fn index_key(tenant: TenantCtx, creator: CreatorId, key: &ItemKey) -> (String, String) {
    (tenant.pk_of_creator(creator), format!("{INDEX_PREFIX}{}", key.sk))
}

/// The query of all series of a tenant with the same product and currency, this series among them.
pub(super) fn similar(tenant: TenantCtx, series: &OfferSeries) -> Query {
    Query::tenant(partition(tenant)).beginning(similar_prefix(series))
}

/// The query of all series of a creator. The index that it reads lags behind imports by moments.
pub(super) fn of_creator(tenant: TenantCtx, creator: CreatorId) -> Query {
    Query::tenant_index(tenant.pk_of_creator(creator)).beginning(INDEX_PREFIX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn record(days_ago: u64, price_cents: u32, offered: u32, sold: u32) -> StoredOffers {
        let day = &Millis(Millis::now().0 - days_ago * 86_400_000).rfc3339()[..10];
        let offers = json!({
            "day": day, "productType": "message", "segment": "all", "currency": "USD",
            "priceCents": price_cents, "offered": offered, "sold": sold,
        });
        StoredOffers { offers: serde_json::from_value(offers).unwrap(), ttl: 0 }
    }

    #[test]
    fn statistics_weigh_offers_by_their_age() {
        let records = [record(60, 900, 100, 40), record(0, 900, 100, 60), record(0, 1200, 50, 9)];
        let now = records[1].offers.day.begins().plus(DAY / 2);
        let statistics = Statistics::of(&OfferSeries::of(&records[0].offers), &records, 1, now);
        assert_eq!(statistics.arms, [(900.0, 150.0, 80.0), (1200.0, 50.0, 9.0)]);
        let later = statistics.arms(now.plus(DAY * 60)).unwrap();
        assert!((later.offered() - 100.0).abs() < 1e-9);
    }
}
