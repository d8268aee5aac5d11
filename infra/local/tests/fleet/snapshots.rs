//! Metrics of environments that come and go.

use shared::fleet::breaker::Breakers;
use shared::fleet::gate::METRICS_KEY;
use shared::fleet::scrape::FleetMetrics;
use shared::metrics::MetricTotals;

use crate::{Database, soon};

fn snapshot(at_secs: u64, count: u64) -> String {
    let mut totals = MetricTotals::default();
    totals.add("requests,getMe,2xx", &[count]);
    totals.text(shared::clock::Millis(at_secs * 1000))
}

async fn counted(fleet: &FleetMetrics) -> u64 {
    let text = fleet.text(soon()).await.unwrap();
    let line = "huntaze_requests_total{route=\"getMe\",status=\"2xx\"} ";
    text.lines().find_map(|found| found.strip_prefix(line)).unwrap().parse().unwrap()
}

#[tokio::test]
async fn silent_environments_are_folded_once_whoever_scrapes_and_however_often() {
    let database = Database::start().await;
    let redis = database.environment();
    let now = shared::clock::Millis::now().secs();
    for i in 0..250 {
        let at = if i % 5 == 0 { now } else { now - 4_000 };
        redis.command("HSET", &[METRICS_KEY, &format!("env{i}"), &snapshot(at, 2)], soon()).await.unwrap();
    }
    let fleets: Vec<_> =
        (0..5).map(|_| FleetMetrics::new(database.environment(), Breakers::default())).collect();
    for _ in 0..4 {
        let scrapes = futures_util::future::join_all(fleets.iter().map(counted)).await;
        assert_eq!(scrapes, [500; 5]);
    }
    let left = redis.command("HLEN", &[METRICS_KEY], soon()).await.unwrap().int().unwrap();
    assert_eq!(left, 51, "fifty that are alive, and the retired total");
    assert!(redis.command("TTL", &[METRICS_KEY], soon()).await.unwrap().int().unwrap() > 0);
}

#[tokio::test]
async fn a_snapshot_that_is_written_again_counts_once() {
    let database = Database::start().await;
    let redis = database.environment();
    let fleet = FleetMetrics::new(database.environment(), Breakers::default());
    let now = shared::clock::Millis::now().secs();
    for count in [3, 3, 4] {
        redis.command("HSET", &[METRICS_KEY, "env", &snapshot(now, count)], soon()).await.unwrap();
        assert_eq!(counted(&fleet).await, count);
    }
}
