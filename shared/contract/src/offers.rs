//! What was offered to fans at which price, and how much of it was sold: what price advice learns from.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::bounded::Day;
use super::creators::CreatorPath;
use super::currency::Currency;
use super::lines::{ImportResult, Lines};
use super::page::{Page, PageQuery};
use super::posts::{ImportPosts, ListPosts};
use super::price_advice::{Cents, Count, ProductType, Segment, everybody};
use super::{Contract, Nothing, Route, SomeCaller};

const PATH: &str = "/api/creators/{id}/offers";

/// `GET /api/creators/{id}/offers`
pub struct ListOffers;

impl Contract for ListOffers {
    const ROUTE: Route = Route {
        function: "offers",
        path: PATH,
        operation: "listOffers",
        summary: "A creator's offers, day by day, product by product.",
        ..ListPosts::ROUTE
    };
    type Caller = SomeCaller;
    type Path = CreatorPath;
    type Query = PageQuery;
    type Body = Nothing;
    type Reply = Page<DayOffers>;
}

/// `POST /api/creators/{id}/offers`
pub struct ImportOffers;

impl Contract for ImportOffers {
    const ROUTE: Route = Route {
        function: "offers",
        path: PATH,
        operation: "importOffers",
        summary: "Import a creator's offers, one day of one price a line: JSON Lines or CSV with a header. A line that is there is replaced.",
        ..ImportPosts::ROUTE
    };
    type Caller = SomeCaller;
    type Path = CreatorPath;
    type Query = Nothing;
    type Body = Lines;
    type Reply = ImportResult;
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
