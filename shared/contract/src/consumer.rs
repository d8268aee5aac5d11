//! The functions that the stream of the tenants' table starts; no API client can call them.

/// A function that is started by new items in the tenants' table.
#[derive(Debug, Clone, Copy)]
pub struct Consumer {
    /// The name of the Lambda function, and of its folder, package and binary.
    pub function: &'static str,
    /// The prefix of the sort keys of the items that start it, as in the stream's filter in `template.yaml`.
    pub sort_key_prefix: &'static str,
    /// Whether the stream waits for a run to end before it goes on with the partition keys that share its lane. Where it
    /// does not, a pipe starts the function, and Lambda tries a run that failed again.
    pub is_awaited: bool,
    /// The time that the function has for one item, in milliseconds.
    pub deadline_ms: u64,
}

/// The function that does jobs.
pub const GENERATION_WORKER: Consumer = Consumer {
    function: "generation-worker",
    sort_key_prefix: "job_",
    is_awaited: false,
    deadline_ms: 280_000,
};

/// The function that deletes what belonged to something that was deleted.
pub const DELETION_WORKER: Consumer =
    Consumer { function: "deletion-worker", sort_key_prefix: "DEL#", is_awaited: true, deadline_ms: 280_000 };

/// All consumers.
pub const CONSUMERS: [&Consumer; 2] = [&GENERATION_WORKER, &DELETION_WORKER];

/// The names of the functions of all consumers.
pub const NAMES: [&str; CONSUMERS.len()] = names_of!(CONSUMERS, |consumer| consumer.function);
