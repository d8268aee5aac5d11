//! The body and the answer of bulk imports, which have one record on each line.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The records of an import, one on each line.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct Lines {
    /// The format of the lines.
    pub format: LineFormat,
    /// All lines, not parsed yet.
    pub text: String,
}

/// The format of the lines of an import.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
pub enum LineFormat {
    /// One JSON object on each line (`application/x-ndjson`).
    JsonLines,
    /// Comma-separated values with a header (`text/csv`).
    Csv,
}

/// The result of an import.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ImportResult {
    /// The number of records that were stored.
    pub imported: usize,
    /// The lines that were not stored, and why. Correct them and send them again. Empty where all were stored.
    pub failed: Vec<FailedLine>,
}

/// A line of an import that is not a valid record.
#[derive(Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct FailedLine {
    /// The number of the line, starting at 1; the header of a CSV is line 1.
    pub line: u64,
    /// What is wrong with the line.
    pub message: String,
}
