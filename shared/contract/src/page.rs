//! Lists come in pages.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::bounded::{Text, Whole};

/// Which part of a list.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PageQuery {
    /// How many items at most; 20 where nothing is said.
    #[serde(default = "default_limit")]
    pub limit: Whole<1, 100>,
    /// `nextCursor` of the page before. Opaque; valid for the same list of the same tenant only.
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
    /// The items.
    pub data: Vec<T>,
    /// Whether there are more.
    pub has_more: bool,
    /// What to pass as `cursor` to get them; null on the last page.
    pub next_cursor: Option<String>,
}
