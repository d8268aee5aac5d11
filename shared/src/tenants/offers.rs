//! What creators offered at which price, and what of it was sold.
//!
//! Records are kept day by day, so that a line sent again replaces itself. Price advice reads what follows from them: one
//! item for a product and a segment, with offers and sales by price, each weighed by its age. It is computed anew from the
//! records at every import, under a version, so that of two imports at once none forgets the other's.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use ring::digest::{SHA256, digest};
use serde::{Deserialize, Serialize};

use super::TenantCtx;
use super::lines::ImportRecord;
use crate::clock::Millis;
use crate::contract::currency::Currency;
use crate::contract::ids::CreatorId;
use crate::contract::offers::DayOffers;
use crate::contract::price_advice::{ARMS_MAX, ProductType, Segment};
use crate::dynamo::{Condition, Dynamo, DynamoError, ItemKey, ItemPage, Query, Write, WriteError};
use crate::environment::{Environment, StartError};
use pricing::{Arm, Arms, weight};

/// Twelve half-lives: what is older counts less than a four-thousandth.
const KEEP: Duration = Duration::from_secs(720 * 86_400);
const DAY: Duration = Duration::from_secs(86_400);
/// The latest records of a product and a segment that its statistics are made from.
const RECORDS_MAX: u32 = 10_000;
/// Products and segments in one import: each is computed anew.
const SERIES_MAX: usize = 20;
/// Similar products that are read of a tenant.
const POOL_MAX: u32 = 100;
/// Imports of one product at once that wait for each other before the last is sent back.
const TRIES: u32 = 5;
const PREFIX: &str = "OFFER#";

impl ImportRecord for DayOffers {
    const NEEDED: &'static [&'static str] =
        &["day", "productType", "currency", "priceCents", "offered", "sold"];
    const NUMBERS: &'static [&'static str] = &["priceCents", "offered", "sold"];

    fn check(&self) -> Result<(), String> {
        let (day, now) = (self.day.begins(), Millis::now());
        let (sold, offered) = (self.sold.get(), self.offered.get());
        if sold > offered {
            Err(format!("`sold`: must be at most `offered`, {offered}, is {sold}"))
        } else if day > now.plus(DAY) {
            Err(format!("`day`: {} is in the future", self.day))
        } else if now.since(day) > KEEP {
            Err(format!("`day`: {} is longer ago than the 720 days that count", self.day))
        } else {
            Ok(())
        }
    }
}

/// What prices are compared within: a creator's product, for a segment, in a currency.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct OfferSeries {
    /// What is sold.
    pub product: ProductType,
    /// In what it is paid.
    pub currency: Currency,
    /// To whom.
    pub segment: Segment,
}

impl OfferSeries {
    fn of(record: &DayOffers) -> Self {
        let (product, currency) = (record.product_type, record.currency);
        Self { product, currency, segment: record.segment.clone() }
    }

    /// A segment may hold any character, so its hash stands for it.
    fn hash(&self) -> String {
        let name = format!("{}|{}|{}", self.product.as_str(), self.currency.code(), &*self.segment);
        let digest = digest(&SHA256, name.as_bytes());
        digest.as_ref()[..8].iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// What the statistics of similar products begin with.
    fn kind(&self) -> String {
        format!("{}#{}#", self.product.as_str(), self.currency.code())
    }
}

/// A record as stored: apart from the item's keys, because an unknown member of a record is a mistake.
#[derive(Serialize, Deserialize)]
struct StoredOffers {
    offers: DayOffers,
    ttl: u64,
}

/// The statistics of a series as stored.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Statistics {
    series: OfferSeries,
    version: u64,
    /// When ages were counted.
    as_of: Millis,
    /// Price, offers, sales.
    arms: Vec<(f64, f64, f64)>,
    ttl: u64,
    #[serde(rename = "SK", default, skip_serializing)]
    sk: String,
}

impl Statistics {
    fn arms(&self, now: Millis) -> Option<Arms> {
        let weight = weight(now.since(self.as_of));
        let arm = |(price, offered, sold): &(f64, f64, f64)| Arm {
            price: *price,
            offered: offered * weight,
            sold: sold * weight,
        };
        Arms::new(&self.arms.iter().map(arm).collect::<Vec<_>>()).ok()
    }
}

/// What price advice reads.
#[derive(Debug, Default)]
pub struct DemandHistory {
    /// Of the product itself; nothing where nothing is stored.
    pub own: Option<Arms>,
    /// Of the tenant's similar products.
    pub pool: Vec<Arms>,
}

/// Why offers were not imported.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// Too many at a time.
    #[error(
        "has {0} combinations of product, currency and segment; at most {SERIES_MAX} are taken in one call"
    )]
    TooMany(usize),
    /// DynamoDB did not do it, or others imported the same all the time.
    #[error(transparent)]
    Write(#[from] WriteError),
}

impl From<DynamoError> for ImportError {
    fn from(error: DynamoError) -> Self {
        Self::Write(error.into())
    }
}

/// The store.
#[derive(Clone)]
pub struct Offers {
    dynamo: Dynamo,
}

fn statistics(tenant: TenantCtx, creator: CreatorId, series: &OfferSeries) -> ItemKey {
    ItemKey::tenant(tenant.pk_of("SALES"), format!("{}{creator}#{}", series.kind(), series.hash()))
}

fn sort_key(record: &DayOffers) -> String {
    let series = OfferSeries::of(record).hash();
    format!("{PREFIX}{series}#{}#{:09}", record.day, record.price_cents.get())
}

impl Offers {
    /// Connects to the tables of the stage.
    ///
    /// # Errors
    /// [`StartError`]
    pub async fn connect(environment: &Environment) -> Result<Self, StartError> {
        Ok(Self { dynamo: environment.dynamo().await? })
    }

    /// Stores records; of two with the same name the later line counts. Returns how many are stored.
    ///
    /// # Errors
    /// [`ImportError`]: some may be stored; storing them again changes nothing.
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
            let ttl = offers.day.begins().plus(KEEP + DAY).secs();
            Write::put(ItemKey::tenant(pk.clone(), sk), &StoredOffers { offers, ttl })
        };
        let writes = by_key.into_iter().map(put).collect::<Result<Vec<_>, _>>()?;
        let count = writes.len();
        self.dynamo.put_all(writes).await?;
        for series in &series {
            self.count(tenant, creator, series).await?;
        }
        Ok(count)
    }

    /// Makes the statistics of a series what its records say.
    async fn count(
        &self,
        tenant: TenantCtx,
        creator: CreatorId,
        series: &OfferSeries,
    ) -> Result<(), WriteError> {
        let key = statistics(tenant, creator, series);
        let prefix = format!("{PREFIX}{}#", series.hash());
        let mut tries = 0;
        loop {
            // The version first: whoever writes it between here and the end has seen less than we will, or more.
            let before = self.dynamo.get::<Statistics>(&key).await?.map_or(0, |stored| stored.version);
            let records = Query::tenant(tenant.pk_of_creator(creator)).beginning(prefix.clone());
            let records = records.consistent().newest_first().limit(RECORDS_MAX);
            let records = self.dynamo.all::<StoredOffers>(records).await?;
            let now = Millis::now();
            let next = summed(series, &records, before + 1, now);
            let write = Write::put(key.clone(), &next)?
                .indexed(&tenant.pk_of_creator(creator), &format!("SALES#{}", key.sk));
            let write = match before {
                0 => write.when(Condition::Absent),
                version => write.when(Condition::equals("version", version)),
            };
            match self.dynamo.write(write).await {
                Err(WriteError::Conflict { .. }) if tries < TRIES => tries += 1,
                done => return done,
            }
        }
    }

    /// What is known of a product and of those like it.
    ///
    /// # Errors
    /// [`DynamoError`]
    pub async fn known(
        &self,
        tenant: TenantCtx,
        creator: Option<CreatorId>,
        series: &OfferSeries,
    ) -> Result<DemandHistory, DynamoError> {
        let own = creator.map(|creator| statistics(tenant, creator, series));
        let stored = async {
            match &own {
                Some(key) => self.dynamo.get::<Statistics>(key).await,
                None => Ok(None),
            }
        };
        let similar = Query::tenant(tenant.pk_of("SALES")).beginning(series.kind()).limit(POOL_MAX);
        let (stored, similar) = tokio::try_join!(stored, self.dynamo.page::<Statistics>(&similar))?;
        let now = Millis::now();
        let is_other = |other: &&Statistics| own.as_ref().is_none_or(|own| own.sk != other.sk);
        Ok(DemandHistory {
            own: stored.and_then(|stored| stored.arms(now)),
            pool: similar.items.iter().filter(is_other).filter_map(|other| other.arms(now)).collect(),
        })
    }

    /// What is known of each of a creator's products, for each segment. Lags behind imports by moments.
    ///
    /// # Errors
    /// [`DynamoError`]
    pub async fn of_creator(
        &self,
        tenant: TenantCtx,
        creator: CreatorId,
    ) -> Result<Vec<(OfferSeries, Arms)>, DynamoError> {
        let query = Query::tenant_index(tenant.pk_of_creator(creator)).beginning("SALES#").limit(POOL_MAX);
        let found = self.dynamo.page::<Statistics>(&query).await?.items;
        let now = Millis::now();
        Ok(found.into_iter().filter_map(|one| Some((one.series.clone(), one.arms(now)?))).collect())
    }

    /// One page, series by series, oldest first.
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

/// Offers and sales by price, weighed by their age.
fn summed(series: &OfferSeries, records: &[StoredOffers], version: u64, as_of: Millis) -> Statistics {
    let arm = |stored: &StoredOffers| {
        let offers = &stored.offers;
        // The middle of the day stands for it.
        let weight = weight(as_of.since(offers.day.begins().plus(DAY / 2)));
        Arm {
            price: f64::from(offers.price_cents.get()),
            offered: f64::from(offers.offered.get()) * weight,
            sold: f64::from(offers.sold.get()) * weight,
        }
    };
    let arms = Arms::new(&records.iter().map(arm).collect::<Vec<_>>()).map(|arms| arms.merged(ARMS_MAX));
    let round = |number: f64| (number * 1e6).round() / 1e6;
    let told = |arm: &Arm| (arm.price, round(arm.offered), round(arm.sold));
    let arms = arms.map_or_else(|_| Vec::new(), |arms| arms.as_slice().iter().map(told).collect());
    let (series, ttl) = (series.clone(), as_of.plus(KEEP).secs());
    Statistics { series, version, as_of, arms, ttl, sk: String::new() }
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
    fn statistics_weigh_offers_by_their_age() {
        let rows = format!(
            "{},message,,USD,900,100,40\n{},message,,USD,900,100,60\n{},message,,USD,1200,50,9\n",
            day(60),
            day(0),
            day(0)
        );
        let records = csv(&rows.replace(",,", ",all,")).records;
        let stored: Vec<StoredOffers> =
            records.into_iter().map(|offers| StoredOffers { offers, ttl: 0 }).collect();
        let now = stored[1].offers.day.begins().plus(DAY / 2);
        let summed = summed(&OfferSeries::of(&stored[0].offers), &stored, 1, now);
        assert_eq!(summed.arms, [(900.0, 150.0, 80.0), (1200.0, 50.0, 9.0)]);
        let later = summed.arms(now.plus(DAY * 60)).unwrap();
        assert!((later.offered() - 100.0).abs() < 1e-9);
    }

    #[test]
    fn a_segment_may_hold_any_character_and_stays_apart() {
        let name = |segment: &str| {
            let segment = Segment::parse(segment.to_owned()).unwrap();
            let currency: Currency = serde_json::from_str("\"USD\"").unwrap();
            OfferSeries { product: ProductType::Message, currency, segment }.hash()
        };
        assert_ne!(name("a#b"), name("a"));
        assert_eq!(name("a#b").len(), 16);
    }
}
