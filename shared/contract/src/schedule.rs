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

/// The function that looks after work that nothing else would finish.
pub const BACKLOG_SWEEP: Schedule =
    Schedule { function: "backlog-sweep", expression: "rate(2 minutes)", deadline_ms: 50_000 };

/// All schedules.
pub const SCHEDULES: [&Schedule; 2] = [&BREAKER_PROBE, &BACKLOG_SWEEP];

/// The names of the functions of all schedules.
pub const NAMES: [&str; SCHEDULES.len()] = names_of!(SCHEDULES, |schedule| schedule.function);
