//! Bulk imports: records, one a line.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Records, one a line.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct Lines {
    /// How they are written.
    pub format: LineFormat,
    /// All of them.
    pub text: String,
}

/// How lines are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
pub enum LineFormat {
    /// `application/x-ndjson`
    JsonLines,
    /// `text/csv`
    Csv,
}

/// What became of an import.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ImportResult {
    /// Records that are stored now.
    pub imported: usize,
    /// Lines that are not, and why. Mend and send them again.
    pub failed: Vec<FailedLine>,
}

/// A line that is no record.
#[derive(Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct FailedLine {
    /// Its number, from 1; a CSV's header is line 1.
    pub line: u64,
    /// What is wrong with it.
    pub message: String,
}
