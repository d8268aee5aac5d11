//! What was offered to fans at which price, and how much of it was sold: what price advice learns from.

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
        summary: "A creator's offers, day by day, product by product.",
        access: Access::Scoped(Scope::CreatorsRead),
        budget: Budget::LIGHT,
        deadline_ms: 15_000,
        body_bytes_max: BODY_BYTES_MAX,
        metered: false,
        sharing: Coalescing::Off,
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
        summary: "Import a creator's offers, one day of one price a line: JSON Lines or CSV with a header. A line that is there is replaced.",
        access: Access::Scoped(Scope::CreatorsWrite),
        budget: Budget::HEAVY,
        deadline_ms: 15_000,
        body_bytes_max: IMPORT_BYTES_MAX,
        metered: false,
        sharing: Coalescing::Off,
        depends_on: &[],
        may_queue: false,
    };
    type Caller = SomeCaller;
    type Path = CreatorPath;
    type Query = Nothing;
    type Body = Lines;
    type Reply = Json<ImportResult>;
}

/// The offers of one product to one segment at one price on one day. These five name it: imported again, it is replaced.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DayOffers {
    /// The day, UTC.
    pub day: Day,
    /// What was sold.
    pub product_type: ProductType,
    /// To whom.
    #[serde(default = "everybody")]
    pub segment: Segment,
    /// ISO 4217.
    pub currency: Currency,
    /// The price.
    pub price_cents: Cents,
    /// How often it was offered; 0 takes a wrong line back.
    pub offered: Count,
    /// How often it was sold; at most as often as offered.
    pub sold: Count,
}
