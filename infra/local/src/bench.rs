//! Measures what a request and a start of a function cost on this machine: medians, and ratios between them, all from
//! one run.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::mpsc;

use crate::demo::Demo;
use crate::gateway::sample_event;
use crate::{LocalError, Options, Stack};

mod ai;
mod cost;
mod fleet;

/// How many times each function is started.
const STARTS_PER_FUNCTION: usize = 30;
/// How many times each route is called through the gateway.
const CALLS_PER_CASE: usize = 50;
/// How long a function may take before the benchmark fails.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);

fn failed(why: impl std::fmt::Display) -> LocalError {
    LocalError::Part { part: "the benchmark", why: why.to_string() }
}

/// Measures everything, and returns the tables as Markdown.
///
/// # Errors
/// [`LocalError`] when a part does not start or answer.
pub async fn run(binaries: &Path) -> Result<String, LocalError> {
    let options = Options { binaries: Some(binaries.to_owned()), never_freeze: true, ..Options::default() };
    let stack = Stack::start(options).await?;
    // Each part has a tenant of its own, so that it does not use up the limits of the other.
    let caller = Demo::create(&stack.url(), "calls@example.com").await?;
    let starter = Demo::create(&stack.url(), "starts@example.com").await?;
    let calls = calls(&stack, &caller).await?;
    let starts = starts(&stack, binaries, &starter).await?;
    let fleet = fleet::run().await?;
    let ai = ai::run(binaries).await?;
    let cost = cost::run(binaries).await?;
    Ok(format!("{starts}\n{calls}\n{cost}\n{fleet}\n{ai}"))
}

/// Counts what requests cost, and returns the table as Markdown.
///
/// # Errors
/// [`LocalError`] when a part does not start or answer.
pub async fn cost(binaries: &Path) -> Result<String, LocalError> {
    cost::run(binaries).await
}

/// How many rounds of calls [`interleave`] measures, after one round that warms up.
const ROUNDS: usize = 20;
/// How many calls of a kind are made in one round.
const CALLS_PER_ROUND: usize = 25;
/// How many calls of each kind [`interleave`] measures in all.
const CALLS_PER_ROW: u128 = (ROUNDS * CALLS_PER_ROUND) as u128;

/// What the calls of one kind took.
struct Row {
    name: &'static str,
    /// How long each call took.
    times: Vec<Duration>,
    /// The CPU time of the calling thread over all calls.
    cpu: Duration,
}

/// The CPU time of this thread since its start; zero where the system is not Linux.
fn thread_cpu_time() -> Duration {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    Duration::from_nanos(text.split(' ').next().and_then(|nanos| nanos.parse().ok()).unwrap_or(0))
}

/// Makes calls of several kinds in turn, so that whatever disturbs the machine disturbs all kinds alike. `call` gets
/// the number of the kind.
async fn interleave<const N: usize>(
    names: [&'static str; N],
    call: impl AsyncFn(usize) -> Result<(), LocalError>,
) -> Result<[Row; N], LocalError> {
    let mut rows = names.map(|name| Row { name, times: Vec::new(), cpu: Duration::ZERO });
    for round in 0..=ROUNDS {
        for (which, row) in rows.iter_mut().enumerate() {
            // Reading the CPU time costs CPU time itself, so it is read once for several calls. The first round warms
            // up and is not counted.
            let cpu_before = thread_cpu_time();
            let mut times = Vec::new();
            for _ in 0..CALLS_PER_ROUND {
                let begun = Instant::now();
                call(which).await?;
                times.push(begun.elapsed());
            }
            if round > 0 {
                row.cpu += thread_cpu_time() - cpu_before;
                row.times.append(&mut times);
            }
        }
    }
    Ok(rows)
}

/// Runs `work` on a thread of its own, so that the CPU time of that thread is the CPU time of `work`.
fn on_own_thread<T: Send>(work: impl AsyncFnOnce() -> Result<T, LocalError> + Send) -> Result<T, LocalError> {
    tokio::task::block_in_place(|| {
        std::thread::scope(|scope| {
            let thread = scope.spawn(|| {
                let runtime = tokio::runtime::Builder::new_current_thread()
                    .enable_all()
                    .build()
                    .map_err(LocalError::io("starting a runtime"))?;
                runtime.block_on(work())
            });
            thread.join().map_err(|_| failed("the client's thread panicked"))?
        })
    })
}

/// The median, of the values as they come; afterwards they are sorted.
fn median(values: &mut [Duration]) -> Duration {
    values.sort();
    values.get(values.len() / 2).copied().unwrap_or_default()
}

/// A percentile of values that are sorted.
fn percentile(values: &[Duration], percent: usize) -> Duration {
    values
        .get((values.len() * percent / 100).min(values.len().saturating_sub(1)))
        .copied()
        .unwrap_or_default()
}

/// A duration in milliseconds with one decimal, for a table.
fn ms(duration: Duration) -> String {
    format!("{:.1}", duration.as_secs_f64() * 1000.0)
}

/// A Runtime API that gives out one event, and notes when the function asks for it and when it answers.
struct RecordingRuntimeApi {
    event: Value,
    /// Receives the moment of the first `/next`, then that of the answer.
    moments: mpsc::UnboundedSender<Instant>,
    /// Whether the event has been given out.
    is_given: Mutex<bool>,
}

/// `GET /invocation/next`: gives out the event once; a second request waits for ever.
async fn next(State(runtime): State<Arc<RecordingRuntimeApi>>) -> Response {
    let asked = Instant::now();
    let was_given =
        std::mem::replace(&mut *runtime.is_given.lock().unwrap_or_else(PoisonError::into_inner), true);
    if was_given {
        return std::future::pending().await;
    }
    let _ = runtime.moments.send(asked);
    let deadline = shared::clock::Millis::now().0 + 60_000;
    let mut headers = HeaderMap::new();
    for (name, value) in [
        ("lambda-runtime-aws-request-id", "bench".to_owned()),
        ("lambda-runtime-deadline-ms", deadline.to_string()),
        ("lambda-runtime-invoked-function-arn", "arn:bench".to_owned()),
    ] {
        if let Ok(value) = value.parse() {
            headers.insert(name, value);
        }
    }
    (headers, runtime.event.to_string()).into_response()
}

/// `POST /invocation/{id}/response` and `/error`: notes the moment of the answer.
async fn done(State(runtime): State<Arc<RecordingRuntimeApi>>) -> StatusCode {
    let _ = runtime.moments.send(Instant::now());
    StatusCode::ACCEPTED
}

/// Starts a function once: how long it takes to the first `/next` and to the first answer, and its memory after that in
/// KiB.
async fn start(
    binary: &Path,
    variables: &BTreeMap<String, String>,
    event: &Value,
) -> Result<(Duration, Duration, u64), LocalError> {
    let (moments, mut times) = mpsc::unbounded_channel();
    let runtime =
        Arc::new(RecordingRuntimeApi { event: event.clone(), moments, is_given: Mutex::new(false) });
    let router = Router::new()
        .route("/2018-06-01/runtime/invocation/next", get(next))
        .route("/2018-06-01/runtime/invocation/{id}/response", post(done))
        .route("/2018-06-01/runtime/invocation/{id}/error", post(done))
        .with_state(runtime);
    let listener = TcpListener::bind("127.0.0.1:0").await.map_err(LocalError::io("opening a port"))?;
    let address = listener.local_addr().map_err(LocalError::io("opening a port"))?;
    let serving = tokio::spawn(async move { axum::serve(listener, router).await });
    let mut command = Command::new(binary);
    command.env_clear().envs(variables).env("AWS_LAMBDA_RUNTIME_API", address.to_string());
    for (name, value) in [("NAME", "bench"), ("VERSION", "1"), ("MEMORY_SIZE", "256")] {
        command.env(format!("AWS_LAMBDA_FUNCTION_{name}"), value);
    }
    let begun = Instant::now();
    let mut process = command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .map_err(LocalError::io(format!("starting {}", binary.display())))?;
    let mut wait = async || tokio::time::timeout(ANSWER_WITHIN, times.recv()).await.ok().flatten();
    let asked = wait().await;
    let answered = wait().await;
    let memory = resident_kib(process.id());
    let _ = process.kill();
    let _ = process.wait();
    serving.abort();
    match (asked, answered) {
        (Some(asked), Some(answered)) => Ok((asked - begun, answered - begun, memory)),
        _ => Err(failed(format!("{} gave no answer", binary.display()))),
    }
}

/// The memory of a process that is not swapped out, in KiB; zero where the system is not Linux.
fn resident_kib(process: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
    line.split_whitespace().next().and_then(|kib| kib.parse().ok()).unwrap_or_default()
}

/// The size of a function as it is uploaded, in KiB.
fn zipped_kib(binary: &Path) -> u64 {
    let zipped = Command::new("gzip").arg("-c").arg(binary).output();
    zipped.map_or(0, |output| output.stdout.len() as u64 / 1024)
}

/// The table of what a start of each function takes.
async fn starts(stack: &Stack, binaries: &Path, demo: &Demo) -> Result<String, LocalError> {
    let mut table = String::from(
        "| function | zip KiB | to first /next ms | to first answer ms | RSS MiB |\n|---|---:|---:|---:|---:|\n",
    );
    for function in stack.template.functions.values() {
        let binary = binaries.join(&function.name);
        let event = event_for(function, demo);
        let mut asked = Vec::new();
        let mut answered = Vec::new();
        let mut memory = 0;
        for _ in 0..STARTS_PER_FUNCTION {
            let (to_next, to_answer, kib) = start(&binary, &stack.variables(&function.name), &event).await?;
            asked.push(to_next);
            answered.push(to_answer);
            memory = memory.max(kib);
        }
        table.push_str(&format!(
            "| {} | {} | {} | {} | {:.1} |\n",
            function.name,
            zipped_kib(&binary),
            ms(median(&mut asked)),
            ms(median(&mut answered)),
            memory as f64 / 1024.0,
        ));
    }
    Ok(table)
}

/// A request to the function that is signed in and goes as far as it can; only routes that make content get a body.
fn event_for(function: &crate::template::TemplateFunction, demo: &Demo) -> Value {
    let Some(route) = function.routes.first() else { return crate::gateway::scheduled_event() };
    let path = route.path.replace("{id}", "cr_01M81FWMPQ75XWQTJS706NQ0F8").replace("$default", "/nothing");
    let writes = path.contains("/auth/") || path.contains("generate") || path.contains("rotate");
    let mut event = sample_event(if writes { "POST" } else { "GET" }, &path);
    event["headers"]["authorization"] = json!(format!("Bearer {}", demo.key));
    if path.contains("generate") {
        event["headers"]["content-type"] = json!("application/json");
        event["body"] = json!(ideas().to_string());
    }
    event
}

/// A request for content ideas.
fn ideas() -> Value {
    json!({"profile": {"niche": "home cooking"}, "options": {"count": 5, "seed": 1}})
}

/// The table of what warm calls through the gateway take.
async fn calls(stack: &Stack, demo: &Demo) -> Result<String, LocalError> {
    let http = shared::outbound::client("http://", ANSWER_WITHIN).map_err(failed)?;
    let url = stack.url();
    let sign_in = json!({"email": demo.email, "password": demo.password}).to_string();
    let session = http.post(format!("{url}/api/auth/signin")).header("content-type", "application/json");
    let session = session.body(sign_in).send().await.map_err(failed)?.text().await.map_err(failed)?;
    let session: Value = serde_json::from_str(&session).map_err(failed)?;
    let token = session["accessToken"].as_str().unwrap_or_default().to_owned();
    let cases = [
        ("health", "/api/health", String::new(), Value::Null),
        ("users-me, session token", "/api/users/me", token, Value::Null),
        ("users-me, key", "/api/users/me", demo.key.clone(), Value::Null),
        ("content-ideas, builtin", "/api/content-ideas/generate", demo.key.clone(), ideas()),
    ];
    let mut table = String::from(
        "| warm call through the gateway | p50 ms | p95 ms | x health | trips to Redis | calls to DynamoDB |\n|---|---:|---:|---:|---:|---:|\n",
    );
    let mut health = Duration::ZERO;
    for (name, path, token, body) in cases {
        let once = async || -> Result<(), LocalError> {
            let method = if body.is_null() { reqwest::Method::GET } else { reqwest::Method::POST };
            let mut request = http.request(method, format!("{url}{path}"));
            request = request.header("authorization", format!("Bearer {token}"));
            if !body.is_null() {
                request = request.header("content-type", "application/json").body(body.to_string());
            }
            let answer = request.send().await.map_err(failed)?;
            if !answer.status().is_success() {
                return Err(failed(format!("{path} answered {}", answer.status())));
            }
            answer.bytes().await.map(|_| ()).map_err(failed)
        };
        once().await?;
        let (redis, dynamo) = (stack.upstash.requests(), stack.dynamo.requests());
        let mut times = Vec::new();
        for _ in 0..CALLS_PER_CASE {
            let begun = Instant::now();
            once().await?;
            times.push(begun.elapsed());
        }
        let p50 = median(&mut times);
        if health.is_zero() {
            health = p50;
        }
        let per_call =
            |after: u64, before: u64| format!("{:.2}", (after - before) as f64 / CALLS_PER_CASE as f64);
        table.push_str(&format!(
            "| {name} | {} | {} | {:.1} | {} | {} |\n",
            ms(p50),
            ms(percentile(&times, 95)),
            p50.as_secs_f64() / health.as_secs_f64(),
            per_call(stack.upstash.requests(), redis),
            per_call(stack.dynamo.requests(), dynamo),
        ));
    }
    Ok(table)
}
