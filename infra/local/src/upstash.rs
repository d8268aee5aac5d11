//! Upstash's REST protocol in front of a `redis-server`.
//!
//! Like Upstash, it takes a bearer token, answers every error of Redis with HTTP 400 and `{"error"}`, encodes
//! answers in base64 when it is asked to (a plain `OK` stays plain), gives a sync token, has no blocking commands
//! and no WATCH, and lets a script with `flags=allow-key-locking` touch declared keys only.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use axum::routing::post;
use axum::{Json, Router};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use redis::aio::MultiplexedConnection;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::LocalError;
use crate::redis_server;

/// The first line of a script that locks only the keys it declares. Redis itself does not know the flag.
const FLAG: &str = "#!lua flags=allow-key-locking\n";
/// The commands that need a connection of their own, and so do not exist over REST.
const UNAVAILABLE: [&str; 14] = [
    "WATCH",
    "UNWATCH",
    "MULTI",
    "EXEC",
    "DISCARD",
    "BLPOP",
    "BRPOP",
    "BLMOVE",
    "BZPOPMIN",
    "BZPOPMAX",
    "SUBSCRIBE",
    "PSUBSCRIBE",
    "MONITOR",
    "CLIENT",
];

/// Upstash's REST API on loopback; it stops when this is dropped.
pub struct Upstash {
    address: SocketAddr,
    serving: JoinHandle<()>,
    front: Arc<Front>,
}

/// The state behind the REST API.
struct Front {
    socket: PathBuf,
    /// The connection to Redis that all requests share; `None` before the first and after it broke.
    connection: tokio::sync::Mutex<Option<MultiplexedConnection>>,
    token: String,
    /// A Lua table of the key positions of each command: first, last and step, as `COMMAND` describes them.
    key_positions: tokio::sync::OnceCell<String>,
    /// The SHA-1 under which Redis has a script, by the SHA-1 that clients compute from its source.
    scripts: Mutex<HashMap<String, String>>,
    /// How many requests have come, each of them one trip of a client.
    requests: AtomicU64,
    /// How many answers have been given; the number of an answer is its sync token.
    answers: AtomicU64,
    /// The sync token that came with the last request.
    sync_token: Mutex<Option<String>>,
}

impl Upstash {
    /// Serves the `redis-server` behind `socket` to everybody who has `token`.
    ///
    /// # Errors
    /// When no port can be had.
    pub async fn start(socket: PathBuf, token: &str) -> Result<Self, LocalError> {
        let listener =
            TcpListener::bind(("127.0.0.1", 0)).await.map_err(LocalError::io("opening Upstash's port"))?;
        let address = listener.local_addr().map_err(LocalError::io("opening Upstash's port"))?;
        let front = Arc::new(Front {
            socket,
            connection: tokio::sync::Mutex::new(None),
            token: token.to_owned(),
            key_positions: tokio::sync::OnceCell::new(),
            scripts: Mutex::default(),
            requests: AtomicU64::new(0),
            answers: AtomicU64::new(0),
            sync_token: Mutex::default(),
        });
        let router = Router::new()
            .route("/", post(single))
            .route("/pipeline", post(pipeline))
            .route("/multi-exec", post(multi_exec))
            .with_state(Arc::clone(&front));
        let serving = tokio::spawn(async move {
            let _ = axum::serve(listener, router).await;
        });
        Ok(Self { address, serving, front })
    }

    /// The address that the REST API listens on.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// How many HTTP requests there have been since the start; each is one trip of a client.
    pub fn requests(&self) -> u64 {
        self.front.requests.load(Ordering::Relaxed)
    }

    /// The sync token that came with the last request.
    pub fn sync_token(&self) -> Option<String> {
        self.front.sync_token.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Commands that Upstash would bill since Redis started: what ran there, inside scripts and pipelines too, and what was
    /// refused. Not what this stack asked for itself: `INFO` here, `COMMAND` for the keys of commands, `HELLO` and
    /// `CLIENT SETINFO` of each connection, `DBSIZE` until the server is up. No function sends any of these.
    ///
    /// # Errors
    /// When Redis does not answer.
    pub async fn billed(&self) -> Result<u64, String> {
        const OWN_COMMANDS: [&str; 5] = ["info", "command", "hello", "client|setinfo", "dbsize"];
        let mut cmd = redis::cmd("INFO");
        cmd.arg("commandstats");
        let info: String = self.front.ask(&cmd).await?;
        let calls = |line: &str| {
            let (name, rest) = line.strip_prefix("cmdstat_")?.split_once(":calls=")?;
            if OWN_COMMANDS.contains(&name) { None } else { rest.split(',').next()?.parse::<u64>().ok() }
        };
        Ok(info.lines().filter_map(calls).sum())
    }
}

impl Drop for Upstash {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

/// The HTTP status and the `error` member of an answer that has no result.
type RestError = (StatusCode, String);

fn refused(message: impl Into<String>) -> RestError {
    (StatusCode::BAD_REQUEST, message.into())
}

/// `POST /`: one command, whose errors have a status of their own.
async fn single(State(front): State<Arc<Front>>, headers: HeaderMap, body: Json<Vec<Value>>) -> Response {
    let encode = wants_base64(&headers);
    let result = async {
        front.authorize(&headers)?;
        let prepared = front.prepare(&body).await?;
        let answers = front.run(&[prepared], false).await?;
        answers.into_iter().next().ok_or_else(|| refused("ERR no answer"))?.map_err(refused)
    };
    match result.await {
        Ok(answer) => front.respond(&json!({"result": to_json(answer, encode, true)})),
        Err(refusal) => refuse(refusal),
    }
}

/// `POST /pipeline`: several commands, each with its own result or error.
async fn pipeline(
    State(front): State<Arc<Front>>,
    headers: HeaderMap,
    body: Json<Vec<Vec<Value>>>,
) -> Response {
    several(&front, &headers, &body, false).await
}

/// `POST /multi-exec`: several commands in one transaction.
async fn multi_exec(
    State(front): State<Arc<Front>>,
    headers: HeaderMap,
    body: Json<Vec<Vec<Value>>>,
) -> Response {
    several(&front, &headers, &body, true).await
}

async fn several(front: &Front, headers: &HeaderMap, commands: &[Vec<Value>], atomic: bool) -> Response {
    let encode = wants_base64(headers);
    let result = async {
        front.authorize(headers)?;
        let mut prepared = Vec::new();
        for command in commands {
            prepared.push(front.prepare(command).await?);
        }
        front.run(&prepared, atomic).await
    };
    match result.await {
        Ok(answers) => {
            let slot = |answer: Result<redis::Value, String>| match answer {
                Ok(value) => json!({"result": to_json(value, encode, false)}),
                Err(error) => json!({"error": error}),
            };
            front.respond(&Value::Array(answers.into_iter().map(slot).collect()))
        }
        Err(refusal) => refuse(refusal),
    }
}

fn wants_base64(headers: &HeaderMap) -> bool {
    headers.get("upstash-encoding").is_some_and(|value| value == "base64")
}

fn refuse((status, error): RestError) -> Response {
    (status, Json(json!({"error": error}))).into_response()
}

/// An answer of Redis in Upstash's JSON. With `encode`, strings are base64, except for an `OK` that is the whole answer
/// to a single command (`is_single`).
fn to_json(value: redis::Value, encode: bool, is_single: bool) -> Value {
    let bytes = |bytes: &[u8]| {
        if encode { json!(STANDARD.encode(bytes)) } else { json!(String::from_utf8_lossy(bytes)) }
    };
    match value {
        redis::Value::Nil => Value::Null,
        redis::Value::Int(int) => json!(int),
        redis::Value::BulkString(text) => bytes(&text),
        redis::Value::Okay if is_single => json!("OK"),
        redis::Value::Okay => bytes(b"OK"),
        redis::Value::SimpleString(text) => bytes(text.as_bytes()),
        redis::Value::Array(items) => items.into_iter().map(|item| to_json(item, encode, false)).collect(),
        redis::Value::ServerError(error) => json!({"error": error_text(&error)}),
        other => json!(format!("{other:?}")),
    }
}

/// The error as Redis wrote it: its code, then its message.
fn error_text(error: &redis::ServerError) -> String {
    format!("{} {}", error.code(), error.details().unwrap_or_default()).trim_end().to_owned()
}

impl Front {
    /// Counts the request, notes its sync token, and refuses it without the right bearer token.
    fn authorize(&self, headers: &HeaderMap) -> Result<(), RestError> {
        self.requests.fetch_add(1, Ordering::Relaxed);
        let sync_token =
            headers.get("upstash-sync-token").and_then(|value| value.to_str().ok()).map(str::to_owned);
        *self.sync_token.lock().unwrap_or_else(PoisonError::into_inner) = sync_token;
        let given = headers.get("authorization").and_then(|value| value.to_str().ok()).unwrap_or_default();
        if given.strip_prefix("Bearer ") == Some(&self.token) {
            return Ok(());
        }
        Err((StatusCode::UNAUTHORIZED, "WRONGPASS invalid or missing auth token".to_owned()))
    }

    /// An answer with the next sync token.
    fn respond(&self, body: &Value) -> Response {
        let position = self.answers.fetch_add(1, Ordering::Relaxed);
        ([("upstash-sync-token", position.to_string())], Json(body)).into_response()
    }

    async fn connection(&self) -> Result<MultiplexedConnection, String> {
        let mut current = self.connection.lock().await;
        if let Some(connection) = current.as_ref() {
            return Ok(connection.clone());
        }
        let connection = redis_server::connect(&self.socket).await.map_err(|error| format!("ERR {error}"))?;
        *current = Some(connection.clone());
        Ok(connection)
    }

    /// Runs a command that this front needs for itself.
    async fn ask<T: redis::FromRedisValue>(&self, command: &redis::Cmd) -> Result<T, String> {
        command.query_async(&mut self.connection().await?).await.map_err(|error| error.to_string())
    }

    /// Runs commands in one trip to Redis, each with its own answer; as one transaction if `atomic`.
    async fn run(
        &self,
        commands: &[redis::Cmd],
        atomic: bool,
    ) -> Result<Vec<Result<redis::Value, String>>, RestError> {
        let mut pipe = redis::pipe();
        if atomic {
            pipe.atomic();
        }
        for command in commands {
            pipe.add_command(command.clone());
        }
        pipe.ignore_errors();
        let mut connection = self.connection().await.map_err(refused)?;
        match pipe.query_async::<Vec<redis::Value>>(&mut connection).await {
            Ok(values) => Ok(values
                .into_iter()
                .map(|value| match value {
                    redis::Value::ServerError(error) => Err(error_text(&error)),
                    value => Ok(value),
                })
                .collect()),
            Err(error) if error.is_io_error() || error.is_connection_dropped() => {
                *self.connection.lock().await = None;
                Err((StatusCode::BAD_GATEWAY, "ERR redis is away".to_owned()))
            }
            Err(error) => {
                let code = error.code().unwrap_or("ERR");
                Err(refused(format!("{code} {}", error.detail().unwrap_or("the transaction was discarded"))))
            }
        }
    }

    /// Turns a command of the REST API into one for Redis. A script with Upstash's flag is replaced by one that checks
    /// its keys.
    async fn prepare(&self, command: &[Value]) -> Result<redis::Cmd, RestError> {
        let mut words = Vec::new();
        for word in command {
            words.push(match word {
                Value::String(text) => text.clone(),
                Value::Number(number) => number.to_string(),
                _ => return Err(refused("ERR arguments must be strings or numbers")),
            });
        }
        let name = words.first().ok_or_else(|| refused("ERR empty command"))?.to_ascii_uppercase();
        if UNAVAILABLE.contains(&name.as_str()) {
            return Err(refused(format!("ERR Command is not available: '{name}'")));
        }
        match (name.as_str(), words.get(1).cloned()) {
            ("EVAL", Some(source)) => words[1] = self.script(&source).await?,
            ("EVALSHA", Some(sha)) => {
                if let Some(checked) = self.scripts().get(&sha.to_lowercase()) {
                    words[1].clone_from(checked);
                }
            }
            _ => {}
        }
        let mut prepared = redis::Cmd::new();
        for word in words {
            prepared.arg(word);
        }
        Ok(prepared)
    }

    fn scripts(&self) -> std::sync::MutexGuard<'_, HashMap<String, String>> {
        self.scripts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The script that Redis runs for `source`. For a script with the flag it checks the keys of every call against
    /// KEYS before the call is made.
    async fn script(&self, source: &str) -> Result<String, RestError> {
        let Some(body) = source.strip_prefix(FLAG) else { return Ok(source.to_owned()) };
        let positions =
            self.key_positions.get_or_try_init(|| self.read_key_positions()).await.map_err(refused)?;
        // The check replaces the flag's own line, so that the line numbers in Redis's errors stay those of the source.
        let checked = format!("{}\n{body}", CHECK_KEYS.replace("POSITIONS", positions));
        let sha = |text: &str| sha1_smol::Sha1::from(text).digest().to_string();
        self.scripts().insert(sha(source), sha(&checked));
        Ok(checked)
    }

    /// Asks Redis where each command has its keys, and writes the answer as a Lua table.
    async fn read_key_positions(&self) -> Result<String, String> {
        let commands: Vec<redis::Value> = self.ask(&redis::cmd("COMMAND")).await?;
        let mut table = String::from("{");
        for command in commands {
            if let redis::Value::Array(parts) = command
                && let [redis::Value::BulkString(name), _, _, first, last, step, ..] = parts.as_slice()
                && let (redis::Value::Int(first @ 1..), redis::Value::Int(last), redis::Value::Int(step)) =
                    (first, last, step)
            {
                table.push_str(&format!("['{}']={{{first},{last},{step}}},", String::from_utf8_lossy(name)));
            }
        }
        table.push('}');
        Ok(table)
    }
}

/// Lua that is put before a script, and replaces `redis.call` and `redis.pcall` by functions that refuse keys which the
/// script does not declare.
const CHECK_KEYS: &str = "local redis = (function(real) local declared, positions = {}, POSITIONS \
for _, key in ipairs(KEYS) do declared[key] = true end \
local function check(name, ...) local at, args = positions[string.lower(name)], {...} \
if at then local last = at[2] if last < 0 then last = #args + 1 + last end \
for i = at[1], last, at[3] do if not declared[tostring(args[i])] then \
error({err = 'ERR Script with allow-key-locking accessed undeclared key ' .. tostring(args[i])}) end end end end \
return setmetatable({call = function(...) check(...) return real.call(...) end, \
pcall = function(...) check(...) return real.pcall(...) end}, {__index = real}) end)(redis)";
