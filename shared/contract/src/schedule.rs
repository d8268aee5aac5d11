//! The schedules: functions that no caller reaches.

/// A function that EventBridge starts.
#[derive(Debug, Clone, Copy)]
pub struct Schedule {
    /// The folder, package, binary and Lambda function.
    pub function: &'static str,
    /// When, as in `template.yaml`.
    pub expression: &'static str,
    /// The time a run has, in milliseconds.
    pub deadline_ms: u64,
}

/// Adds up what every tenant used this month.
pub const USAGE_ROLLUP: Schedule =
    Schedule { function: "usage-rollup", expression: "cron(10 * * * ? *)", deadline_ms: 50_000 };

/// Tries dependencies whose breaker is due, so that users rarely pay for it.
pub const BREAKER_PROBE: Schedule =
    Schedule { function: "breaker-probe", expression: "rate(1 minute)", deadline_ms: 20_000 };

/// Every schedule.
pub const SCHEDULES: [&Schedule; 2] = [&USAGE_ROLLUP, &BREAKER_PROBE];

/// The functions of all schedules.
pub const NAMES: [&str; SCHEDULES.len()] = names_of!(SCHEDULES, |schedule| schedule.function);
