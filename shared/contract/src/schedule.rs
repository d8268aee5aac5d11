//! The functions that EventBridge starts on a schedule; no API client can call them.

/// A function that EventBridge starts on a schedule.
#[derive(Debug, Clone, Copy)]
pub struct Schedule {
    /// The name of the Lambda function, and of its folder, package and binary.
    pub function: &'static str,
    /// The schedule in the syntax of EventBridge, as in `template.yaml`.
    pub expression: &'static str,
    /// The time that one run has, in milliseconds.
    pub deadline_ms: u64,
}

/// The function that probes the models whose breaker is due for a trial, so that users' requests rarely have to be it.
pub const BREAKER_PROBE: Schedule =
    Schedule { function: "breaker-probe", expression: "rate(1 minute)", deadline_ms: 20_000 };

/// All schedules.
pub const SCHEDULES: [&Schedule; 1] = [&BREAKER_PROBE];

/// The names of the functions of all schedules.
pub const NAMES: [&str; SCHEDULES.len()] = names_of!(SCHEDULES, |schedule| schedule.function);
