//! The pages in which all lists are answered, and the query that asks for one.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::bounded::{Text, Whole};

/// The query parameters of a list.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PageQuery {
    /// The largest number of items on the page. Default: 20.
    #[serde(default = "default_limit")]
    pub limit: Whole<1, 100>,
    /// The `nextCursor` of the page before. It is opaque, and valid only for the same list of the same tenant.
    /// Default: the first page.
    pub cursor: Option<Text<1, 512>>,
}

fn default_limit() -> Whole<1, 100> {
    Whole::clamped(20)
}

/// One page of a list.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "{T}Page")]
#[serde(rename_all = "camelCase")]
pub struct Page<T> {
    /// The items of the page.
    pub data: Vec<T>,
    /// Whether there are more items after this page.
    pub has_more: bool,
    /// The value of `cursor` that gets the next page. Null on the last page.
    pub next_cursor: Option<String>,
}
