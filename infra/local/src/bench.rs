//! What a request and a start cost, measured on this machine in one run: medians, and ratios between them.

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
mod fleet;

const STARTS: usize = 30;
const CALLS: usize = 50;
const PATIENCE: Duration = Duration::from_secs(10);

fn failed(why: impl std::fmt::Display) -> LocalError {
    LocalError::Part { part: "the benchmark", why: why.to_string() }
}

/// Measures everything and returns the tables as Markdown.
///
/// # Errors
/// [`LocalError`] when a part does not start or answer.
pub async fn run(binaries: &Path) -> Result<String, LocalError> {
    let options = Options { binaries: Some(binaries.to_owned()), never_freeze: true, ..Options::default() };
    let stack = Stack::start(options).await?;
    // A tenant for each part, so that neither meets the limits of the other.
    let caller = Demo::create(&stack.url(), "calls@example.com").await?;
    let starter = Demo::create(&stack.url(), "starts@example.com").await?;
    let calls = calls(&stack, &caller).await?;
    let starts = starts(&stack, binaries, &starter).await?;
    let fleet = fleet::run().await?;
    let ai = ai::run(binaries).await?;
    Ok(format!("{starts}\n{calls}\n{fleet}\n{ai}"))
}

const ROUNDS: usize = 20;
const TOGETHER: usize = 25;
/// What [`interleave`] measures of each.
const CALLS_EACH: u128 = (ROUNDS * TOGETHER) as u128;

/// What calls of one kind took.
struct Row {
    name: &'static str,
    times: Vec<Duration>,
    cpu: Duration,
}

/// The CPU time of this thread.
fn cpu() -> Duration {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    Duration::from_nanos(text.split(' ').next().and_then(|nanos| nanos.parse().ok()).unwrap_or(0))
}

/// Calls of several kinds in turn, so that what disturbs one disturbs the others.
async fn interleave<const N: usize>(
    names: [&'static str; N],
    call: impl AsyncFn(usize) -> Result<(), LocalError>,
) -> Result<[Row; N], LocalError> {
    let mut rows = names.map(|name| Row { name, times: Vec::new(), cpu: Duration::ZERO });
    for round in 0..=ROUNDS {
        for (which, row) in rows.iter_mut().enumerate() {
            // Reading the CPU time takes some itself, so several calls share it. The first round warms up.
            let (used, mut times) = (cpu(), Vec::new());
            for _ in 0..TOGETHER {
                let begun = Instant::now();
                call(which).await?;
                times.push(begun.elapsed());
            }
            if round > 0 {
                row.cpu += cpu() - used;
                row.times.append(&mut times);
            }
        }
    }
    Ok(rows)
}

/// Runs on a thread of its own, whose time is then the CPU of what runs.
fn on_own_thread<T: Send>(work: impl AsyncFnOnce() -> Result<T, LocalError> + Send) -> Result<T, LocalError> {
    tokio::task::block_in_place(|| {
        std::thread::scope(|scope| {
            let on_own_thread = scope.spawn(|| {
                let runtime = tokio::runtime::Builder::new_current_thread()
                    .enable_all()
                    .build()
                    .map_err(LocalError::io("starting a runtime"))?;
                runtime.block_on(work())
            });
            on_own_thread.join().map_err(|_| failed("the client's thread panicked"))?
        })
    })
}

fn median(values: &mut [Duration]) -> Duration {
    values.sort();
    values.get(values.len() / 2).copied().unwrap_or_default()
}

fn percentile(values: &[Duration], percent: usize) -> Duration {
    values
        .get((values.len() * percent / 100).min(values.len().saturating_sub(1)))
        .copied()
        .unwrap_or_default()
}

fn ms(duration: Duration) -> String {
    format!("{:.1}", duration.as_secs_f64() * 1000.0)
}

/// A Runtime API that tells when it is asked and answered.
struct Runtime {
    event: Value,
    told: mpsc::UnboundedSender<Instant>,
    served: Mutex<bool>,
}

async fn next(State(runtime): State<Arc<Runtime>>) -> Response {
    let asked = Instant::now();
    let again = std::mem::replace(&mut *runtime.served.lock().unwrap_or_else(PoisonError::into_inner), true);
    if again {
        return std::future::pending().await;
    }
    let _ = runtime.told.send(asked);
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

async fn done(State(runtime): State<Arc<Runtime>>) -> StatusCode {
    let _ = runtime.told.send(Instant::now());
    StatusCode::ACCEPTED
}

/// One start: to the first `/next`, to the first answer, and the memory then in KiB.
async fn start(
    binary: &Path,
    variables: &BTreeMap<String, String>,
    event: &Value,
) -> Result<(Duration, Duration, u64), LocalError> {
    let (told, mut times) = mpsc::unbounded_channel();
    let runtime = Arc::new(Runtime { event: event.clone(), told, served: Mutex::new(false) });
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
    let mut wait = async || tokio::time::timeout(PATIENCE, times.recv()).await.ok().flatten();
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

fn resident_kib(process: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
    line.split_whitespace().next().and_then(|kib| kib.parse().ok()).unwrap_or_default()
}

/// The size of what is uploaded, in KiB.
fn zipped_kib(binary: &Path) -> u64 {
    let zipped = Command::new("gzip").arg("-c").arg(binary).output();
    zipped.map_or(0, |output| output.stdout.len() as u64 / 1024)
}

async fn starts(stack: &Stack, binaries: &Path, demo: &Demo) -> Result<String, LocalError> {
    let mut table = String::from(
        "| function | zip KiB | to first /next ms | to first answer ms | RSS MiB |\n|---|---:|---:|---:|---:|\n",
    );
    for function in stack.template.functions.values() {
        let binary = binaries.join(&function.name);
        let event = event_for(function, demo);
        let (mut asked, mut answered, mut memory) = (Vec::new(), Vec::new(), 0);
        for _ in 0..STARTS {
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

/// A request that goes as far as it can without a body of its own kind.
fn event_for(function: &crate::template::Function, demo: &Demo) -> Value {
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

fn ideas() -> Value {
    json!({"profile": {"niche": "home cooking"}, "options": {"count": 5, "seed": 1}})
}

async fn calls(stack: &Stack, demo: &Demo) -> Result<String, LocalError> {
    let http = shared::outbound::client("http://", PATIENCE).map_err(failed)?;
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
        for _ in 0..CALLS {
            let begun = Instant::now();
            once().await?;
            times.push(begun.elapsed());
        }
        let p50 = median(&mut times);
        if health.is_zero() {
            health = p50;
        }
        let each = |after: u64, before: u64| format!("{:.2}", (after - before) as f64 / CALLS as f64);
        table.push_str(&format!(
            "| {name} | {} | {} | {:.1} | {} | {} |\n",
            ms(p50),
            ms(percentile(&times, 95)),
            p50.as_secs_f64() / health.as_secs_f64(),
            each(stack.upstash.requests(), redis),
            each(stack.dynamo.requests(), dynamo),
        ));
    }
    Ok(table)
}
