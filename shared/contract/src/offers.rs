//! The offers of a creator by day and price, with how many of them were sold. Price advice learns from them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::bounded::Day;
use super::creators::CreatorPath;
use super::currency::Currency;
use super::lines::{ImportResult, Lines};
use super::page::{Page, PageQuery};
use super::price_advice::{Cents, Count, ProductType, Segment, everybody};
use super::route::{BODY_BYTES_MAX, IMPORT_BYTES_MAX};
use super::{Access, Budget, Coalescing, Contract, Json, Method, Nothing, Route, Scope, SomeCaller};

/// `GET /api/creators/{id}/offers`
pub struct ListOffers;

impl Contract for ListOffers {
    const ROUTE: Route = Route {
        function: "offers",
        method: Method::Get,
        path: "/api/creators/{id}/offers",
        operation: "listOffers",
        summary: "List a creator's offers, product by product, oldest first.",
        access: Access::Scoped(Scope::CreatorsRead),
        budget: Budget::LIGHT,
        deadline_ms: 15_000,
        body_bytes_max: BODY_BYTES_MAX,
        metered: false,
        coalescing: Coalescing::Off,
        depends_on: &[],
        may_queue: false,
    };
    type Caller = SomeCaller;
    type Path = CreatorPath;
    type Query = PageQuery;
    type Body = Nothing;
    type Reply = Json<Page<DayOffers>>;
}

/// `POST /api/creators/{id}/offers`
pub struct ImportOffers;

impl Contract for ImportOffers {
    const ROUTE: Route = Route {
        function: "offers",
        method: Method::Post,
        path: "/api/creators/{id}/offers",
        operation: "importOffers",
        summary: "Import a creator's offers as JSON Lines or CSV, with one day and price on each line. A record that exists is replaced.",
        access: Access::Scoped(Scope::CreatorsWrite),
        budget: Budget::HEAVY,
        deadline_ms: 15_000,
        body_bytes_max: IMPORT_BYTES_MAX,
        metered: false,
        coalescing: Coalescing::Off,
        depends_on: &[],
        may_queue: false,
    };
    type Caller = SomeCaller;
    type Path = CreatorPath;
    type Query = Nothing;
    type Body = Lines;
    type Reply = Json<ImportResult>;
}

/// How often one product was offered to one segment at one price on one day, and how often it was sold. Importing a
/// record with the same day, product type, segment, currency and price replaces it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DayOffers {
    /// The day of the offers in UTC, such as `2026-11-22`.
    pub day: Day,
    /// The type of the product.
    pub product_type: ProductType,
    /// The fans to whom the price was offered: `all`, or the name of a group, such as `loyal`. Default: `all`.
    #[serde(default = "everybody")]
    pub segment: Segment,
    /// The currency of the price: a code of ISO 4217, such as `USD`.
    pub currency: Currency,
    /// The price, in the smallest unit of the currency: `999` in `USD` is $9.99.
    pub price_cents: Cents,
    /// The number of times that the product was offered. Send 0 to take back a record that was wrong.
    pub offered: Count,
    /// The number of times that it was sold; at most `offered`.
    pub sold: Count,
}
