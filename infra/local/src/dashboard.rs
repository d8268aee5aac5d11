//! Generates the Grafana dashboard. Its queries are written here and nowhere else, and a test runs each of them
//! against a real Prometheus that scraped the running system.

use serde_json::{Value, json};

/// One graph of the dashboard.
#[derive(Debug)]
pub struct Panel {
    /// The heading above the graph.
    pub title: &'static str,
    /// Grafana's name for the unit of the values, such as `reqps` for requests per second.
    pub unit: &'static str,
    /// The lines of the graph, each with its legend and its query in PromQL.
    pub queries: &'static [(&'static str, &'static str)],
}

/// The rows of the dashboard from top to bottom, each with its heading and its panels.
pub const ROWS: [(&str, &[Panel]); 4] = [
    (
        "What callers see",
        &[
            Panel {
                title: "Requests by status",
                unit: "reqps",
                queries: &[(
                    "{{status}}",
                    "sum by (status) (rate(huntaze_requests_total[$__rate_interval]))",
                )],
            },
            Panel {
                title: "Share of 5xx",
                unit: "percentunit",
                queries: &[(
                    "5xx",
                    "sum(rate(huntaze_requests_total{status=\"5xx\"}[$__rate_interval])) / sum(rate(huntaze_requests_total[$__rate_interval]))",
                )],
            },
            Panel {
                title: "Duration",
                unit: "s",
                queries: &[
                    (
                        "p50",
                        "histogram_quantile(0.5, sum by (le) (rate(huntaze_request_duration_seconds_bucket[$__rate_interval])))",
                    ),
                    (
                        "p95",
                        "histogram_quantile(0.95, sum by (le) (rate(huntaze_request_duration_seconds_bucket[$__rate_interval])))",
                    ),
                    (
                        "p99",
                        "histogram_quantile(0.99, sum by (le) (rate(huntaze_request_duration_seconds_bucket[$__rate_interval])))",
                    ),
                ],
            },
            Panel {
                title: "Mean duration by route",
                unit: "s",
                queries: &[(
                    "{{route}}",
                    "sum by (route) (rate(huntaze_request_duration_seconds_sum[$__rate_interval])) / (sum by (route) (rate(huntaze_request_duration_seconds_count[$__rate_interval])) > 0)",
                )],
            },
            Panel {
                title: "Requests by route",
                unit: "reqps",
                queries: &[(
                    "{{route}}",
                    "sum by (route) (rate(huntaze_requests_total[$__rate_interval])) > 0",
                )],
            },
            Panel {
                title: "Cold starts",
                unit: "short",
                queries: &[(
                    "{{function}}",
                    "sum by (function) (increase(huntaze_cold_starts_total[$__rate_interval]))",
                )],
            },
        ],
    ),
    (
        "Limits, shared work, idempotency",
        &[
            Panel {
                title: "How limits were decided",
                unit: "reqps",
                queries: &[(
                    "{{decision}}",
                    "sum by (decision) (rate(huntaze_limit_decisions_total[$__rate_interval]))",
                )],
            },
            Panel {
                title: "Denials by limit",
                unit: "reqps",
                queries: &[(
                    "{{policy}}",
                    "sum by (policy) (rate(huntaze_limit_denials_total[$__rate_interval]))",
                )],
            },
            Panel {
                title: "Parts in shared work",
                unit: "reqps",
                queries: &[(
                    "{{role}}",
                    "sum by (role) (rate(huntaze_shared_requests_total[$__rate_interval]))",
                )],
            },
            Panel {
                title: "Idempotency keys",
                unit: "reqps",
                queries: &[(
                    "{{found}}",
                    "sum by (found) (rate(huntaze_idempotent_requests_total[$__rate_interval]))",
                )],
            },
        ],
    ),
    (
        "Breakers",
        &[
            Panel {
                title: "Where they stand",
                unit: "bool",
                queries: &[("{{breaker}} {{state}}", "max by (breaker, state) (huntaze_breaker_state)")],
            },
            Panel {
                title: "Transitions",
                unit: "short",
                queries: &[(
                    "{{breaker}} {{to}}",
                    "sum by (breaker, to) (increase(huntaze_breaker_transitions_total[$__rate_interval]))",
                )],
            },
            Panel {
                title: "Calls behind them",
                unit: "ops",
                queries: &[(
                    "{{breaker}} {{outcome}}",
                    "sum by (breaker, outcome) (rate(huntaze_breaker_calls_total[$__rate_interval]))",
                )],
            },
        ],
    ),
    (
        "What it rests on",
        &[
            Panel {
                title: "Calls of dependencies",
                unit: "ops",
                queries: &[(
                    "{{dependency}} {{ended}}",
                    "sum by (dependency, ended) (rate(huntaze_dependency_calls_total[$__rate_interval]))",
                )],
            },
            Panel {
                title: "Duration of those calls, p95",
                unit: "s",
                queries: &[(
                    "{{dependency}}",
                    "histogram_quantile(0.95, sum by (dependency, le) (rate(huntaze_dependency_duration_seconds_bucket[$__rate_interval])))",
                )],
            },
            Panel {
                title: "Trips to Redis",
                unit: "ops",
                queries: &[(
                    "{{outcome}}",
                    "sum by (outcome) (rate(huntaze_redis_trips_total[$__rate_interval]))",
                )],
            },
            Panel {
                title: "Billed commands a request",
                unit: "short",
                queries: &[(
                    "commands",
                    "sum(rate(huntaze_redis_billed_commands_total[$__rate_interval])) / sum(rate(huntaze_requests_total[$__rate_interval]))",
                )],
            },
            Panel {
                title: "Schedules",
                unit: "short",
                queries: &[(
                    "{{schedule}} {{ended}}",
                    "sum by (schedule, ended) (increase(huntaze_schedule_runs_total[$__rate_interval]))",
                )],
            },
            Panel {
                title: "Jobs that ended",
                unit: "short",
                queries: &[(
                    "{{kind}} {{ended}}",
                    "sum by (kind, ended) (increase(huntaze_jobs_total[$__rate_interval]))",
                )],
            },
            Panel {
                title: "Changes of the table that were worked on, by how that ended",
                unit: "short",
                queries: &[(
                    "{{consumer}} {{ended}}",
                    "sum by (consumer, ended) (increase(huntaze_stream_items_total[$__rate_interval]))",
                )],
            },
            Panel {
                title: "Environments, and snapshots that failed",
                unit: "short",
                queries: &[
                    ("environments", "max(huntaze_environments)"),
                    ("failed", "sum(increase(huntaze_metrics_flush_failures_total[$__rate_interval]))"),
                ],
            },
            Panel {
                title: "Version",
                unit: "short",
                queries: &[("{{version}}", "max by (version) (huntaze_build_info)")],
            },
        ],
    ),
];

/// The dashboard as JSON that Grafana imports.
pub fn dashboard() -> Value {
    const COLUMNS: usize = 3;
    const WIDTH: usize = 24 / COLUMNS;
    const HEIGHT: usize = 8;
    let mut panels = Vec::new();
    let mut y = 0;
    for (title, row) in &ROWS {
        let id = panels.len() + 1;
        panels.push(json!({
            "id": id, "type": "row", "title": title, "collapsed": false, "panels": [],
            "gridPos": {"h": 1, "w": 24, "x": 0, "y": y},
        }));
        y += 1;
        for (i, panel) in row.iter().enumerate() {
            let place =
                json!({"h": HEIGHT, "w": WIDTH, "x": i % COLUMNS * WIDTH, "y": y + i / COLUMNS * HEIGHT});
            panels.push(draw(panel, panels.len() + 1, &place));
        }
        y += row.len().div_ceil(COLUMNS) * HEIGHT;
    }
    json!({
        "title": "Huntaze", "uid": "huntaze", "schemaVersion": 39, "version": 1, "editable": false,
        "tags": ["huntaze"], "refresh": "30s", "time": {"from": "now-3h", "to": "now"},
        "templating": {"list": [{"name": "datasource", "type": "datasource", "query": "prometheus"}]},
        "panels": panels,
    })
}

/// A panel as JSON, at a place of the dashboard's grid.
fn draw(panel: &Panel, id: usize, place: &Value) -> Value {
    let source = json!({"type": "prometheus", "uid": "${datasource}"});
    let target = |(i, (legend, query)): (usize, &(&str, &str))| {
        json!({
            "refId": char::from(b'A' + u8::try_from(i).unwrap_or(0)).to_string(),
            "datasource": source, "expr": query, "legendFormat": legend,
        })
    };
    let targets: Vec<Value> = panel.queries.iter().enumerate().map(target).collect();
    json!({
        "id": id, "type": "timeseries", "title": panel.title, "gridPos": place, "datasource": source,
        "fieldConfig": {"defaults": {"unit": panel.unit, "min": 0}, "overrides": []},
        "targets": targets,
    })
}
