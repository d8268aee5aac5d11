//! The store of what creators offered at which price, and of how much of it was sold.
//!
//! There is one record for each day and price, so that a line that is sent again replaces itself. Price advice does
//! not read these records but the statistics of a series (a product for a segment in a currency): one item with
//! offers and sales by price, each weighed by its age. Every import computes it anew from the records. It has a
//! version, so that of two imports at the same time neither leaves out what the other stored.

mod statistics;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use ring::digest::{SHA256, digest};
use serde::{Deserialize, Serialize};

use self::statistics::Statistics;
use super::TenantCtx;
use super::lines::ImportRecord;
use super::tombstones::deleted_creators;
use crate::clock::Millis;
use crate::contract::currency::Currency;
use crate::contract::ids::CreatorId;
use crate::contract::offers::DayOffers;
use crate::contract::price_advice::{ProductType, Segment};
use crate::dynamo::{Condition, Dynamo, DynamoError, ItemKey, ItemPage, Query, Write, WriteError};
use crate::environment::{Environment, StartError};
use pricing::Arms;

/// How long records are stored. These are twelve half-lives, after which an offer counts less than a four-thousandth.
const RETENTION: Duration = Duration::from_secs(720 * 86_400);
const DAY: Duration = Duration::from_secs(86_400);
/// How many records of a series its statistics are made from; the latest ones are taken.
const RECORDS_MAX: u32 = 10_000;
/// How many series one import may have, because the statistics of each are computed anew.
const SERIES_MAX: usize = 20;
/// How many series of a tenant or creator are read at once.
const POOL_MAX: u32 = 100;
/// How many times statistics are computed again because another import of the same series was faster.
const RETRIES_MAX: u32 = 5;
/// What the sort keys of records begin with, in the partition of their creator.
const PREFIX: &str = "OFFER#";

impl ImportRecord for DayOffers {
    const REQUIRED_COLUMNS: &'static [&'static str] =
        &["day", "productType", "currency", "priceCents", "offered", "sold"];
    const NUMBER_COLUMNS: &'static [&'static str] = &["priceCents", "offered", "sold"];

    fn check(&self) -> Result<(), String> {
        let day = self.day.begins();
        let now = Millis::now();
        let (sold, offered) = (self.sold.get(), self.offered.get());
        if sold > offered {
            Err(format!("`sold`: must be at most `offered`, {offered}, is {sold}"))
        } else if day > now.plus(DAY) {
            Err(format!("`day`: {} is in the future", self.day))
        } else if now.since(day) > RETENTION {
            Err(format!("`day`: {} is longer ago than the 720 days that count", self.day))
        } else {
            Ok(())
        }
    }
}

/// The offers of a creator that can be compared by price: those of one type of product, in one currency, to one
/// segment.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct OfferSeries {
    pub product: ProductType,
    pub currency: Currency,
    /// The group of people that it is offered to.
    pub segment: Segment,
}

impl OfferSeries {
    fn of(record: &DayOffers) -> Self {
        Self { product: record.product_type, currency: record.currency, segment: record.segment.clone() }
    }

    /// What stands for the series in keys. It is a hash because a segment may have any characters, also those that
    /// separate the parts of a key.
    fn hash(&self) -> String {
        let name = format!("{}|{}|{}", self.product.as_str(), self.currency.code(), &*self.segment);
        let digest = digest(&SHA256, name.as_bytes());
        digest.as_ref()[..8].iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

/// A record as the table stores it. It is nested because the type of a record accepts no unknown members, and the
/// item also has its keys.
#[derive(Serialize, Deserialize)]
struct StoredOffers {
    offers: DayOffers,
    ttl: u64,
}

/// The offers and sales that price advice learns from.
#[derive(Debug, Default)]
pub struct DemandHistory {
    /// Those of the series itself; `None` if nothing of it is stored.
    pub own: Option<Arms>,
    /// Those of the tenant's other series with the same product and currency.
    pub pool: Vec<Arms>,
}

/// Why offers were not imported.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The import has too many series: this many.
    #[error(
        "has {0} combinations of product, currency and segment; at most {SERIES_MAX} are taken in one call"
    )]
    TooMany(usize),
    /// The database failed, or other imports of the same series were faster every time.
    #[error(transparent)]
    Write(#[from] WriteError),
}

impl From<DynamoError> for ImportError {
    fn from(error: DynamoError) -> Self {
        Self::Write(error.into())
    }
}

/// The offers of all creators of all tenants, and their statistics.
#[derive(Clone)]
pub struct Offers {
    dynamo: Dynamo,
}

/// What the sort keys of a series' records begin with.
fn series_prefix(series: &OfferSeries) -> String {
    format!("{PREFIX}{}#", series.hash())
}

fn sort_key(record: &DayOffers) -> String {
    let prefix = series_prefix(&OfferSeries::of(record));
    format!("{prefix}{}#{:09}", record.day, record.price_cents.get())
}

impl Offers {
    pub async fn connect(environment: &Environment) -> Result<Self, StartError> {
        Ok(Self { dynamo: environment.dynamo().await? })
    }

    /// Stores records, brings the statistics of their series up to date, and returns how many records there are. Of
    /// two with the same series, day and price, the later one counts.
    ///
    /// # Errors
    /// [`ImportError`]; some of the records may be stored, and importing them again does no harm.
    pub async fn import(
        &self,
        tenant: TenantCtx,
        creator: CreatorId,
        records: Vec<DayOffers>,
    ) -> Result<usize, ImportError> {
        let pk = tenant.pk_of_creator(creator);
        let series: BTreeSet<OfferSeries> = records.iter().map(OfferSeries::of).collect();
        if series.len() > SERIES_MAX {
            return Err(ImportError::TooMany(series.len()));
        }
        let by_key: BTreeMap<String, DayOffers> =
            records.into_iter().map(|record| (sort_key(&record), record)).collect();
        let put = |(sk, offers): (String, DayOffers)| {
            let ttl = offers.day.begins().plus(RETENTION + DAY).secs();
            Write::put(ItemKey::tenant(pk.clone(), sk), &StoredOffers { offers, ttl })
        };
        let writes = by_key.into_iter().map(put).collect::<Result<Vec<_>, _>>()?;
        let count = writes.len();
        self.dynamo.put_all(writes).await?;
        for series in &series {
            self.update_statistics(tenant, creator, series).await?;
        }
        Ok(count)
    }

    /// Computes the statistics of a series anew from its records, until no other import is faster.
    async fn update_statistics(
        &self,
        tenant: TenantCtx,
        creator: CreatorId,
        series: &OfferSeries,
    ) -> Result<(), WriteError> {
        let key = statistics::key(tenant, creator, series);
        let (index_pk, index_sk) = statistics::index_key(tenant, creator, &key);
        let prefix = series_prefix(series);
        let mut retries = 0;
        loop {
            // The version is read before the records. If it is still the same when we write, no other import has
            // computed statistics meanwhile, so ours replace none that were made from records that we have not
            // read.
            let before = self.dynamo.get::<Statistics>(&key).await?.map_or(0, |stored| stored.version);
            let records = Query::tenant(tenant.pk_of_creator(creator)).beginning(prefix.clone());
            let records = records.consistent().newest_first().limit(RECORDS_MAX);
            let records = self.dynamo.all::<StoredOffers>(records).await?;
            let next = Statistics::of(series, &records, before + 1, Millis::now());
            let write = Write::put(key.clone(), &next)?.indexed(&index_pk, &index_sk);
            let write = match before {
                0 => write.when(Condition::Absent),
                version => write.when(Condition::equals("version", version)),
            };
            match self.dynamo.write(write).await {
                Err(WriteError::Conflict { .. }) if retries < RETRIES_MAX => retries += 1,
                result => return result,
            }
        }
    }

    /// What was offered and sold of a series, if a creator is named, and of the tenant's similar ones.
    ///
    /// # Errors
    /// [`DynamoError`]
    pub async fn demand_history(
        &self,
        tenant: TenantCtx,
        creator: Option<CreatorId>,
        series: &OfferSeries,
    ) -> Result<DemandHistory, DynamoError> {
        let own = creator.map(|creator| statistics::key(tenant, creator, series));
        let stored = async {
            match &own {
                Some(key) => self.dynamo.get::<Statistics>(key).await,
                None => Ok(None),
            }
        };
        let similar = statistics::similar(tenant, series).limit(POOL_MAX);
        let (stored, similar, deleted) = tokio::try_join!(
            stored,
            self.dynamo.page::<Statistics>(&similar),
            deleted_creators(&self.dynamo, tenant)
        )?;
        let now = Millis::now();
        let is_other = |other: &&Statistics| {
            let is_own = own.as_ref().is_some_and(|own| own.sk == other.sk);
            !is_own && other.creator().is_none_or(|creator| !deleted.contains(&creator))
        };
        Ok(DemandHistory {
            own: stored.and_then(|stored| stored.arms(now)),
            pool: similar.items.iter().filter(is_other).filter_map(|other| other.arms(now)).collect(),
        })
    }

    /// What was offered and sold of each series of a creator. The index that is read lags behind imports by moments.
    ///
    /// # Errors
    /// [`DynamoError`]
    pub async fn of_creator(
        &self,
        tenant: TenantCtx,
        creator: CreatorId,
    ) -> Result<Vec<(OfferSeries, Arms)>, DynamoError> {
        let query = statistics::of_creator(tenant, creator).limit(POOL_MAX);
        let found = self.dynamo.page::<Statistics>(&query).await?.items;
        let now = Millis::now();
        Ok(found.into_iter().filter_map(|stored| Some((stored.series.clone(), stored.arms(now)?))).collect())
    }

    /// Deletes the statistics of a creator that was deleted, and returns how many there were.
    ///
    /// # Errors
    /// [`DynamoError`]
    pub(super) async fn delete_statistics(
        &self,
        tenant: TenantCtx,
        creator: CreatorId,
    ) -> Result<usize, DynamoError> {
        self.dynamo.delete_found(&statistics::of_creator(tenant, creator)).await
    }

    /// One page of a creator's records, series by series, oldest first.
    ///
    /// # Errors
    /// [`DynamoError`]
    pub async fn page(
        &self,
        tenant: TenantCtx,
        creator: CreatorId,
        limit: u32,
        after: Option<String>,
    ) -> Result<ItemPage<DayOffers>, DynamoError> {
        let query = Query::tenant(tenant.pk_of_creator(creator)).beginning(PREFIX).limit(limit).after(after);
        let page = self.dynamo.page::<StoredOffers>(&query).await?;
        Ok(ItemPage {
            items: page.items.into_iter().map(|stored| stored.offers).collect(),
            last_sk: page.last_sk,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::lines::{ImportLines, read};
    use super::*;
    use crate::contract::lines::{LineFormat, Lines};

    fn csv(rows: &str) -> ImportLines<DayOffers> {
        let text = format!("day,productType,segment,currency,priceCents,offered,sold\n{rows}");
        read(&Lines { format: LineFormat::Csv, text }).unwrap()
    }

    fn day(ago: u64) -> String {
        Millis(Millis::now().0 - ago * 86_400_000).rfc3339()[..10].to_owned()
    }

    #[test]
    fn impossible_offers_are_named_by_line_and_member() {
        let today = day(0);
        let read = csv(&format!(
            "{today},message,all,USD,900,10,4\n{today},message,all,USD,900,10,11\n{today},message,all,USD,-5,10,4\n\
             {today},message,all,usd,900,10,4\n3026-01-01,message,all,USD,900,10,4\n2019-01-01,message,all,USD,900,10,4\n\
             {today},merch,all,USD,900,10,4\n{today},message,all,USD,900,99999999999999999999,4\n"
        ));
        assert_eq!(read.records.len(), 1);
        let messages: Vec<_> = read.failed.iter().map(|failed| failed.message.as_str()).collect();
        for (message, expected) in messages.iter().zip([
            "`sold`: must be at most `offered`, 10, is 11",
            "`priceCents`: must be from 1 to",
            "`currency`: must be a currency's code",
            "`day`: 3026-01-01 is in the future",
            "`day`: 2019-01-01 is longer ago",
            "`productType`: unknown variant `merch`",
            "`offered` must be a whole number",
        ]) {
            assert!(message.contains(expected), "{message:?} instead of {expected:?}");
        }
        assert_eq!(messages.len(), 7);
    }

    #[test]
    fn a_segment_may_hold_any_character_and_stays_apart() {
        let hash = |segment: &str| {
            let segment = Segment::parse(segment.to_owned()).unwrap();
            let currency: Currency = serde_json::from_str("\"USD\"").unwrap();
            OfferSeries { product: ProductType::Message, currency, segment }.hash()
        };
        assert_ne!(hash("a#b"), hash("a"));
        assert_eq!(hash("a#b").len(), 16);
    }
}
