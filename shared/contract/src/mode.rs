//! The two modes of a tenant, and the header that names one.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The header with which a session looks at the tenant's test data. With an API key, it can only say what the key is.
pub const MODE_HEADER: &str = "huntaze-mode";

/// The mode of a call: live work or tests. Each mode has its own creators, generations, jobs and usage, and sees
/// nothing of the other's.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Mode {
    /// Calls are live: language models answer, and their answers cost credits.
    #[default]
    Live,
    /// Calls are tests: they have data of their own, and AI answers come from the builtin provider and cost nothing.
    Test,
}

impl Mode {
    /// All modes, for those who go through them.
    pub const ALL: [Self; 2] = [Self::Live, Self::Test];

    /// The mode as requests and answers write it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Test => "test",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mode_is_written_in_json_as_in_its_header() {
        for mode in Mode::ALL {
            assert_eq!(serde_json::json!(mode), mode.as_str());
        }
    }
}
