//! Metrics of environments that come and go.

use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use shared::clock::Millis;
use shared::fleet::breaker::Breakers;
use shared::fleet::scrape::FleetMetrics;
use shared::fleet::snapshots::{METRICS_KEY, RETIRED, SILENT, fold, fold_sample};
use shared::metrics::{FAMILIES, MetricTotals};
use shared::redis::Redis;

use crate::rules::for_many;
use crate::{Database, soon};

fn now() -> u64 {
    Millis::now().secs()
}

fn snapshot(at_secs: u64, count: u64) -> String {
    let mut totals = MetricTotals::default();
    totals.add("requests,getMe,2xx", &[count]);
    totals.text(Millis(at_secs * 1000))
}

/// A snapshot as long as one of a busy environment: its one counted request, and a value in most series of a few
/// families.
fn long_snapshot(at_secs: u64) -> String {
    let mut totals = MetricTotals::default();
    for family in &FAMILIES[1..12] {
        let cells = vec![123_456; if family.is_histogram { 13 } else { 1 }];
        (0..6).for_each(|number| totals.add(&family.series(number), &cells));
    }
    totals.add("requests,getMe,2xx", &[1]);
    totals.text(Millis(at_secs * 1000))
}

/// Writes fields, many in one command.
async fn write(redis: &Redis, fields: impl Iterator<Item = (String, String)>) {
    let fields: Vec<String> = fields.flat_map(|(name, text)| [name, text]).collect();
    for some in fields.chunks(400) {
        let args: Vec<&str> = [METRICS_KEY].into_iter().chain(some.iter().map(String::as_str)).collect();
        redis.command("HSET", &args, soon()).await.unwrap();
    }
}

async fn field_count(redis: &Redis) -> i64 {
    redis.command("HLEN", &[METRICS_KEY], soon()).await.unwrap().int().unwrap()
}

fn fleet(redis: Arc<Redis>) -> FleetMetrics {
    FleetMetrics::new(redis, Breakers::default())
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
    let at = |i: u64| if i.is_multiple_of(5) { now() } else { now() - 4_000 };
    write(&redis, (0..250).map(|i| (format!("env{i}"), snapshot(at(i), 2)))).await;
    let fleets: Vec<_> = (0..5).map(|_| fleet(database.environment())).collect();
    for _ in 0..4 {
        let scrapes = futures_util::future::join_all(fleets.iter().map(counted)).await;
        assert_eq!(scrapes, [500; 5]);
    }
    assert_eq!(field_count(&redis).await, 51, "fifty that are alive, and the retired total");
    assert!(redis.command("TTL", &[METRICS_KEY], soon()).await.unwrap().int().unwrap() > 0);
}

#[tokio::test]
async fn a_snapshot_that_is_written_again_counts_once() {
    let database = Database::start().await;
    let redis = database.environment();
    let fleet = fleet(database.environment());
    for count in [3, 3, 4] {
        write(&redis, [("env".to_owned(), snapshot(now(), count))].into_iter()).await;
        assert_eq!(counted(&fleet).await, count);
    }
}

#[tokio::test]
async fn six_thousand_snapshots_are_read_in_trips_that_fit_their_time() {
    let database = Database::start().await;
    let redis = database.environment();
    let at = |i: u64| if i < 2_000 { now() } else { now() - 4_000 };
    write(&redis, (0..6_000).map(|i| (format!("env{i}"), long_snapshot(at(i))))).await;
    // The limit of a trip is that of a deployed stage.
    let url = format!("http://{}", database.wire.address());
    let fleet = fleet(Arc::new(Redis::new(&url, "token", Duration::from_millis(100)).unwrap()));
    for _ in 0..2 {
        assert_eq!(counted(&fleet).await, 6_000);
        assert_eq!(field_count(&redis).await, 2_001, "those that are alive, and the retired total");
    }
}

#[tokio::test]
async fn where_nobody_scrapes_environments_that_begin_fold_those_that_ended() {
    let database = Database::start().await;
    let redis = database.environment();
    write(&redis, (0..1_000).map(|i| (format!("old{i}"), snapshot(now() - 4_000, 1)))).await;
    // A thousand environments begin, and each looks at a few fields, as it does with its first snapshot.
    for i in 0..1_000 {
        write(&redis, [(format!("new{i}"), snapshot(now(), 1))].into_iter()).await;
        fold_sample(&redis, soon()).await.unwrap();
    }
    let silent = field_count(&redis).await - 1_001;
    assert!(silent <= 333, "{silent} are left; as many go as come when a quarter of all fields is silent");
    assert_eq!(counted(&fleet(redis)).await, 2_000);
}

#[tokio::test]
async fn a_scrape_counts_every_environment_once_while_others_fold_them() {
    let database = Database::start().await;
    let redis = database.environment();
    for round in 0..8 {
        redis.command("DEL", &[METRICS_KEY], soon()).await.unwrap();
        // Half are silent, the others will be in two seconds.
        let at = |i: u64| now() - if i.is_multiple_of(2) { 4_000 } else { SILENT.as_secs() - 2 };
        write(&redis, (0..2_000).map(|i| (format!("env{i}"), snapshot(at(i), 1)))).await;
        let others = async {
            let names: Vec<String> =
                (0..2_000).map(|i| format!("env{}", (i * 7 + round * 100) % 2_000)).collect();
            // The clock of the others is five seconds ahead, so for them all are silent.
            for some in names.chunks(50) {
                fold(&redis, some, Some(now() + 5), soon()).await.unwrap();
            }
        };
        let scraper = fleet(database.environment());
        let (scraped, ()) = tokio::join!(counted(&scraper), others);
        assert_eq!(scraped, 2_000, "round {round}");
        assert_eq!(counted(&scraper).await, 2_000);
    }
}

/// Snapshots as they are, and with lines that something has damaged.
fn any_text() -> impl Strategy<Value = String> {
    let line = prop_oneof![
        4 => "[a-z]{1,2}(,[a-z])?( [0-9]{1,15}){1,4}",
        1 => "[a-z ]{0,6}",
        1 => "[a-z]{1,2}( [0-9]{0,2}){1,3}( |x)?",
    ];
    (prop_oneof![3 => "[0-9]{4}", 1 => "[a-z0-9]{0,4}"], prop::collection::vec(line, 0..6))
        .prop_map(|(at, lines)| [at].into_iter().chain(lines).collect::<Vec<_>>().join("\n"))
}

#[test]
fn the_script_folds_what_the_model_folds() {
    const NOW: u64 = 9_999;
    for_many(prop::collection::vec(any_text(), 1..8), async |_, redis, _, texts| {
        redis.command("DEL", &[METRICS_KEY], soon()).await.unwrap();
        let mut retired = MetricTotals::default();
        retired.add("a", &[1, 2]);
        let total = retired.text(Millis(0));
        let fields: Vec<_> =
            texts.iter().enumerate().map(|(i, text)| (format!("f{i}"), text.clone())).collect();
        write(redis, fields.iter().cloned().chain([(RETIRED.to_owned(), total.clone())])).await;
        let mut silent = 0;
        for text in &texts {
            let (at, counts) = MetricTotals::parse(text);
            if NOW - at.secs() >= SILENT.as_secs() {
                silent += 1;
                retired.merge(&counts);
            }
        }
        let names = fields.iter().map(|(name, _)| name.clone());
        let names: Vec<String> = names.chain([RETIRED.to_owned(), "nothing".to_owned()]).collect();
        assert_eq!(fold(redis, &names, Some(NOW), soon()).await.unwrap(), silent, "{texts:?}");
        let stored = redis.command("HGET", &[METRICS_KEY, RETIRED], soon()).await.unwrap();
        let expected = if silent == 0 { total } else { retired.text(Millis(NOW * 1000)) };
        assert_eq!(stored.text().unwrap(), expected, "{texts:?}");
        assert_eq!(field_count(redis).await as u64, texts.len() as u64 - silent + 1);
    });
}
