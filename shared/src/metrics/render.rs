//! The text of a scrape, in Prometheus' text format, version 0.0.4.
//!
//! Every series that is possible is in it from the beginning, as zero, so that queries and alerts find it before its
//! first event.

use std::fmt::Write as _;

use super::{BUCKETS, FAMILIES, HISTOGRAM_CELLS, MetricFamily, MetricTotals};

/// A metric whose values are those of this moment, and not counts.
#[derive(Debug)]
pub struct Gauge {
    /// The name without the prefix `huntaze_`.
    pub name: &'static str,
    /// The meaning of the metric, as the scrape shows it.
    pub help: &'static str,
    /// The labels and the value of each series.
    pub values: Vec<(Vec<(&'static str, String)>, f64)>,
}

/// The text for a scrape: all families, with zero where nothing was counted, then the gauges.
pub fn render(totals: &MetricTotals, gauges: &[Gauge]) -> String {
    let mut text = String::with_capacity(64 * 1024);
    for family in &FAMILIES {
        counters(&mut text, family, totals);
    }
    for gauge in gauges {
        let name = gauge.name;
        let _ = writeln!(text, "# HELP huntaze_{name} {}\n# TYPE huntaze_{name} gauge", gauge.help);
        for (labels, value) in &gauge.values {
            let labels: Vec<_> = labels.iter().map(|(name, value)| (*name, value.as_str())).collect();
            let _ = writeln!(text, "huntaze_{name}{} {value}", braces(&labels, None));
        }
    }
    text
}

/// Writes all series of a family.
fn counters(text: &mut String, family: &MetricFamily, totals: &MetricTotals) {
    let (ending, kind) = if family.is_histogram { ("_seconds", "histogram") } else { ("_total", "counter") };
    let name = format!("huntaze_{}{ending}", family.name);
    let _ = writeln!(text, "# HELP {name} {}\n# TYPE {name} {kind}", family.help);
    let of_this_version = (0..family.cells() / family.width()).map(|series| family.series(series));
    let mut all: Vec<String> = of_this_version.collect();
    // During a deployment, environments of another version count series that this version does not have.
    let of_family = |series: &str| series.split(',').next() == Some(family.name);
    all.extend(totals.iter().map(|(series, _)| series.to_owned()).filter(|series| of_family(series)));
    all.sort();
    all.dedup();
    for series in all {
        let values: Vec<&str> = series.split(',').skip(1).collect();
        if values.len() != family.labels.len() {
            continue;
        }
        let labels: Vec<_> = family.labels.iter().map(|(label, _)| *label).zip(values).collect();
        let cells = totals.get(&series).unwrap_or_default();
        if family.is_histogram {
            histogram(text, &name, &labels, cells);
        } else {
            let value = cells.first().copied().unwrap_or(0);
            let _ = writeln!(text, "{name}{} {value}", braces(&labels, None));
        }
    }
}

/// Writes one series of a histogram: cumulative buckets, then sum and count.
fn histogram(text: &mut String, name: &str, labels: &[(&str, &str)], cells: &[u64]) {
    let cell = |i: usize| cells.get(i).copied().unwrap_or(0);
    let mut sum = 0;
    for (i, bound) in BUCKETS.iter().enumerate() {
        sum += cell(i);
        let _ = writeln!(text, "{name}_bucket{} {sum}", braces(labels, Some(&bound.to_string())));
    }
    sum += cell(BUCKETS.len());
    let _ = writeln!(text, "{name}_bucket{} {sum}", braces(labels, Some("+Inf")));
    let seconds = cell(HISTOGRAM_CELLS - 1) as f64 / 1e6;
    let _ = writeln!(
        text,
        "{name}_sum{} {seconds}\n{name}_count{} {sum}",
        braces(labels, None),
        braces(labels, None)
    );
}

/// Labels as Prometheus writes them, with the bound of a bucket as the label `le`.
fn braces(labels: &[(&str, &str)], bound: Option<&str>) -> String {
    let bound = bound.map(|bound| ("le", bound));
    let all: Vec<String> = labels
        .iter()
        .copied()
        .chain(bound)
        .map(|(name, value)| {
            let value = value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
            format!("{name}=\"{value}\"")
        })
        .collect();
    if all.is_empty() { String::new() } else { format!("{{{}}}", all.join(",")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_series_is_there_from_zero() {
        let text = render(&MetricTotals::default(), &[]);
        assert!(text.contains("huntaze_requests_total{route=\"listKeys\",status=\"5xx\"} 0\n"));
        assert!(text.contains("huntaze_breaker_transitions_total{breaker=\"ai\",to=\"open\"} 0\n"));
        assert!(text.contains("huntaze_redis_billed_commands_total 0\n"));
        assert!(text.contains("huntaze_request_duration_seconds_bucket{route=\"listKeys\",le=\"+Inf\"} 0\n"));
    }

    #[test]
    fn buckets_are_cumulative_and_sums_are_seconds() {
        let mut totals = MetricTotals::default();
        let mut cells = vec![0; HISTOGRAM_CELLS];
        (cells[0], cells[2], cells[HISTOGRAM_CELLS - 1]) = (1, 2, 1_500_000);
        totals.add("request_duration,listKeys", &cells);
        let text = render(&totals, &[]);
        let line = |rest: &str| format!("huntaze_request_duration_seconds_{rest}\n");
        assert!(text.contains(&line("bucket{route=\"listKeys\",le=\"0.01\"} 1")));
        assert!(text.contains(&line("bucket{route=\"listKeys\",le=\"0.025\"} 3")));
        assert!(text.contains(&line("sum{route=\"listKeys\"} 1.5")));
        assert!(text.contains(&line("count{route=\"listKeys\"} 3")));
    }

    #[test]
    fn a_series_of_another_version_is_not_lost() {
        let mut totals = MetricTotals::default();
        totals.add("requests,aRouteOfTomorrow,2xx", &[4]);
        assert!(render(&totals, &[]).contains("{route=\"aRouteOfTomorrow\",status=\"2xx\"} 4"));
    }
}
