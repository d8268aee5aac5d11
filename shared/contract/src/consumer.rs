//! The consumers of the table's stream: functions that no caller reaches.

/// A function that new items of the tenants' table start.
#[derive(Debug, Clone, Copy)]
pub struct Consumer {
    /// The folder, package, binary and Lambda function.
    pub function: &'static str,
    /// What the sort keys of those items begin with, as the filter in `template.yaml` says.
    pub sort_key_prefix: &'static str,
    /// The time one item has, in milliseconds.
    pub deadline_ms: u64,
}

/// Does jobs.
pub const GENERATION_WORKER: Consumer =
    Consumer { function: "generation-worker", sort_key_prefix: "job_", deadline_ms: 280_000 };

/// Every consumer.
pub const CONSUMERS: [&Consumer; 1] = [&GENERATION_WORKER];

/// The functions of all consumers.
pub const NAMES: [&str; CONSUMERS.len()] = names_of!(CONSUMERS, |consumer| consumer.function);
