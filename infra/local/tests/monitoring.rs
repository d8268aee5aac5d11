//! A real Prometheus scrapes the running system under traffic, and every query of the dashboard and of the
//! alerts has to bring series.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a failed step is the failed test; the tests run on a server's runtime"
)]

use std::collections::BTreeSet;
use std::process::Stdio;
use std::time::Duration;

use local::demo::Demo;
use local::template::repository;
use local::wait::until;
use local::{Options, Stack};
use reqwest::Client;
use serde_json::{Value, json};
use tempfile::TempDir;

const PATIENCE: Duration = Duration::from_secs(60);
/// Traffic goes on for no longer than this; a few scrapes a second apart are enough.
const TRAFFIC_MAX: Duration = Duration::from_secs(40);

struct Prometheus {
    url: String,
    http: Client,
    _process: tokio::process::Child,
    _folder: TempDir,
}

impl Prometheus {
    async fn start(stack: &Stack) -> Self {
        let folder = TempDir::with_prefix("prometheus").unwrap();
        let port = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
        let config = format!(
            "global: {{scrape_interval: 1s, evaluation_interval: 1s}}\nrule_files: [{rules}]\nscrape_configs:\n  - job_name: huntaze\n    metrics_path: /api/metrics\n    authorization: {{credentials: {token}}}\n    static_configs: [{{targets: [\"{target}\"]}}]\n",
            rules = repository().join("infra/monitoring/alerts.yaml").display(),
            token = stack.scrape_token(),
            target = stack.gateway.address(),
        );
        let file = folder.path().join("prometheus.yaml");
        std::fs::write(&file, config).unwrap();
        let process = tokio::process::Command::new("prometheus")
            .arg(format!("--config.file={}", file.display()))
            .arg(format!("--storage.tsdb.path={}", folder.path().join("data").display()))
            .arg(format!("--web.listen-address=127.0.0.1:{port}"))
            .stdout(Stdio::null())
            .stderr(std::fs::File::create(folder.path().join("log")).unwrap())
            .kill_on_drop(true)
            .spawn()
            .expect("prometheus is missing: apt-get install prometheus");
        let http = shared::outbound::client("http://", PATIENCE).unwrap();
        let prometheus =
            Self { url: format!("http://127.0.0.1:{port}"), http, _process: process, _folder: folder };
        until("prometheus starts", async || {
            prometheus.http.get(format!("{}/-/ready", prometheus.url)).send().await.is_ok()
        })
        .await;
        prometheus
    }

    async fn get(&self, path: &str) -> Value {
        let answer = self.http.get(format!("{}{path}", self.url)).send().await.unwrap();
        serde_json::from_str(&answer.text().await.unwrap()).unwrap()
    }

    /// The series of a query now. An error of the query is the failed test.
    async fn query(&self, query: &str) -> Vec<Value> {
        let encoded: String = query.bytes().map(|byte| format!("%{byte:02X}")).collect();
        let answer = self.get(&format!("/api/v1/query?query={encoded}")).await;
        assert_eq!(answer["status"], "success", "{query}: {answer}");
        answer["data"]["result"].as_array().unwrap().clone()
    }
}

/// The metrics that a query names.
fn names(query: &str) -> BTreeSet<String> {
    let words = query.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    words.filter(|word| word.starts_with("huntaze_")).map(str::to_owned).collect()
}

/// The part of an alert's expression before the comparison, which must have series even when all is well.
fn compared(expression: &str) -> &str {
    let at = [" > ", " < "].into_iter().filter_map(|sign| expression.rfind(sign)).max();
    &expression[..at.expect("an alert that compares nothing")]
}

/// Every query of the dashboard, and what each alert compares.
fn queries() -> Vec<String> {
    let panels = local::dashboard::ROWS.iter().flat_map(|(_, panels)| *panels);
    let shown =
        panels.flat_map(|panel| panel.queries).map(|(_, query)| query.replace("$__rate_interval", "1m"));
    shown.chain(alerts().iter().map(|rule| compared(rule["expr"].as_str().unwrap()).to_owned())).collect()
}

/// Every rule of the alerts.
fn alerts() -> Vec<Value> {
    let text = std::fs::read_to_string(repository().join("infra/monitoring/alerts.yaml")).unwrap();
    let rules: Value = serde_yaml_ng::from_str(&text).unwrap();
    rules["groups"][0]["rules"].as_array().unwrap().clone()
}

/// Traffic until every query finds series: `rate` needs two scrapes, and something that differs between them.
async fn traffic(stack: &Stack, demo: &Demo, prometheus: &Prometheus) {
    let http = shared::outbound::client("http://", PATIENCE).unwrap();
    let send = async |path: &str, body: Option<Value>, key: &str| {
        let url = format!("{}{path}", stack.url());
        let request = match body {
            Some(body) => http.post(url).header("content-type", "application/json").body(body.to_string()),
            None => http.get(url),
        };
        let request = request.header("idempotency-key", key);
        let answer = request.header("authorization", format!("Bearer {}", demo.key)).send().await.unwrap();
        answer.status().as_u16()
    };
    let ideas = json!({"profile": {"niche": "travel"}, "options": {"count": 2}});
    http.post(format!("{}/_local/schedules/breaker-probe", stack.url())).send().await.unwrap();
    let (mut round, mut empty) = (0, queries());
    let all_found = until("every query finds series", async || {
        round += 1;
        send("/api/users/me", None, "").await;
        send("/api/usage", None, "").await;
        send("/api/content-ideas/generate", Some(ideas.clone()), &format!("k{}", round / 2)).await;
        send("/api/nothing", None, "").await;
        let mut left = Vec::new();
        for query in std::mem::take(&mut empty) {
            if prometheus.query(&query).await.is_empty() {
                left.push(query);
            }
        }
        empty = left;
        empty.is_empty()
    });
    // What finds nothing even then is told by name in the assertions that follow.
    let _ = tokio::time::timeout(TRAFFIC_MAX, all_found).await;
}

/// Checks the scrape with Prometheus' own check of the format and the names.
async fn lint(stack: &Stack, http: &Client) {
    use tokio::io::AsyncWriteExt as _;
    let request = http.get(format!("{}/api/metrics", stack.url()));
    let request = request.header("authorization", format!("Bearer {}", stack.scrape_token()));
    let text = request.send().await.unwrap().text().await.unwrap();
    let command = tokio::process::Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut command = command.expect("promtool is missing: it comes with prometheus");
    command.stdin.take().unwrap().write_all(text.as_bytes()).await.unwrap();
    let output = command.wait_with_output().await.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[tokio::test]
async fn every_panel_and_every_alert_finds_its_series_in_a_system_under_traffic() {
    // A model that refuses connections: its breaker has something to do.
    let parameters = vec![
        ("RedisTripMs", "2000".to_owned()),
        ("MetricsFlushMs", "0".to_owned()),
        ("AiBaseUrl", "http://127.0.0.1:9/v1".to_owned()),
        ("AiModel", "any".to_owned()),
    ];
    let stack = Stack::start(Options { parameters, ..Options::default() }).await.unwrap();
    let demo = Demo::create(&stack.url(), "demo@example.com").await.unwrap();
    let prometheus = Prometheus::start(&stack).await;
    traffic(&stack, &demo, &prometheus).await;
    lint(&stack, &prometheus.http).await;
    let known = prometheus.get("/api/v1/label/__name__/values").await;
    let known: BTreeSet<String> = serde_json::from_value(known["data"].clone()).unwrap();
    let mut used = BTreeSet::new();
    let mut checked = 0;
    for panel in local::dashboard::ROWS.iter().flat_map(|(_, panels)| *panels) {
        for (_, query) in panel.queries {
            let query = query.replace("$__rate_interval", "1m");
            let series = prometheus.query(&query).await;
            assert!(!series.is_empty(), "{}: {query} finds nothing", panel.title);
            assert!(names(&query).is_subset(&known), "{}: {query} names what nobody counts", panel.title);
            used.extend(names(&query));
            checked += 1;
        }
    }
    for rule in alerts() {
        let expression = rule["expr"].as_str().unwrap();
        prometheus.query(expression).await;
        assert!(!prometheus.query(compared(expression)).await.is_empty(), "{expression} finds nothing");
        assert!(names(expression).is_subset(&known), "{expression} names what nobody counts");
        assert!(rule["annotations"]["action"].is_string(), "{expression} does not say what to do");
        checked += 1;
    }
    assert!(checked >= 35, "{checked}");
    let base = |name: &String| {
        let ending = ["_bucket", "_sum", "_count"].into_iter().find_map(|ending| name.strip_suffix(ending));
        ending.map_or_else(|| name.clone(), str::to_owned)
    };
    let shown: BTreeSet<String> = used.iter().map(base).collect();
    let counted: BTreeSet<String> = known.iter().filter(|n| n.starts_with("huntaze_")).map(base).collect();
    assert_eq!(counted, shown, "what is counted is shown, and the other way round");
    let evaluated = prometheus.get("/api/v1/rules").await;
    let rules = evaluated["data"]["groups"][0]["rules"].as_array().unwrap().clone();
    assert!(!rules.is_empty() && rules.iter().all(|rule| rule["health"] == "ok"), "{evaluated}");
}
