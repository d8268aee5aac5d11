//! DynamoDB: an embedded engine behind its HTTP API, with the tables and the permissions of `template.yaml`.
//!
//! In front of the engine stands a proxy that knows which function calls, by the access key that its
//! environment was given. It refuses what the function's policy does not allow, as IAM would on a deployed
//! stage, records which permissions are used, and can throttle.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use dynoxide::Database;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::LocalError;
use crate::permissions::{AwsCaller, PartitionAttributes, Permissions};
use crate::template::SamTemplate;

/// How long the proxy may take to connect to the engine, which runs in the same process.
const CONNECT_WITHIN: Duration = Duration::from_secs(1);

/// A DynamoDB on loopback; it stops when this is dropped.
pub struct LocalDynamo {
    address: SocketAddr,
    serving: [JoinHandle<()>; 2],
    proxy: Arc<Proxy>,
}

/// What stands between the callers and the engine: permissions, throttling and a count of what was asked.
struct Proxy {
    /// The URL of the engine.
    engine: String,
    http: reqwest::Client,
    permissions: Arc<Permissions>,
    partitions: PartitionAttributes,
    throttling: AtomicBool,
    requests: AtomicU64,
    /// How many bytes the engine has answered with.
    bytes_read: AtomicU64,
    units: Mutex<CapacityUnits>,
    database: Database,
}

/// The units of capacity that calls have consumed, as the engine counts them.
#[derive(Debug, Clone, Copy, Default)]
pub struct CapacityUnits {
    /// Units of reads: half a unit for 4 KB that are read eventually consistent.
    pub read: f64,
    /// Units of writes: one unit for 1 KB, and for the same in an index.
    pub write: f64,
}

fn failed(why: impl std::fmt::Display) -> LocalError {
    LocalError::Part { part: "DynamoDB", why: why.to_string() }
}

impl LocalDynamo {
    /// Starts the engine and creates the tables of the template, in `file`, or in memory without one.
    ///
    /// # Errors
    /// [`LocalError`] when the engine does not start or a table cannot be created.
    pub async fn start(
        template: &SamTemplate,
        permissions: Arc<Permissions>,
        file: Option<&Path>,
    ) -> Result<Self, LocalError> {
        let database = match file {
            Some(file) => Database::new(&file.to_string_lossy()),
            None => Database::memory(),
        };
        let database = database.map_err(failed)?;
        create_tables(&database, template)?;
        let engine =
            TcpListener::bind(("127.0.0.1", 0)).await.map_err(LocalError::io("opening DynamoDB's port"))?;
        let listener =
            TcpListener::bind(("127.0.0.1", 0)).await.map_err(LocalError::io("opening DynamoDB's port"))?;
        let address = listener.local_addr().map_err(LocalError::io("opening DynamoDB's port"))?;
        let engine_address = engine.local_addr().map_err(LocalError::io("opening DynamoDB's port"))?;
        let proxy = Arc::new(Proxy {
            engine: format!("http://{engine_address}/"),
            http: shared::outbound::client("http://", CONNECT_WITHIN).map_err(failed)?,
            permissions,
            partitions: PartitionAttributes::of(template),
            throttling: AtomicBool::new(false),
            requests: AtomicU64::new(0),
            bytes_read: AtomicU64::new(0),
            units: Mutex::default(),
            database: database.clone(),
        });
        let router = Router::new().fallback(forward).with_state(Arc::clone(&proxy));
        let serving = [
            tokio::spawn(dynoxide::server::serve_on(engine, database)),
            tokio::spawn(async move {
                let _ = axum::serve(listener, router).await;
            }),
        ];
        Ok(Self { address, serving, proxy })
    }

    /// The address that the proxy listens on.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Switches throttling on or off. While it is on, every call is refused as if its table were too busy.
    pub fn throttle(&self, on: bool) {
        self.proxy.throttling.store(on, Ordering::Relaxed);
    }

    /// How many calls there have been since the start; each is one trip of a function.
    pub fn requests(&self) -> u64 {
        self.proxy.requests.load(Ordering::Relaxed)
    }

    /// How many bytes the functions have read since the start.
    pub fn bytes_read(&self) -> u64 {
        self.proxy.bytes_read.load(Ordering::Relaxed)
    }

    /// The units of capacity that all calls have consumed since the start.
    pub fn units(&self) -> CapacityUnits {
        *self.proxy.units.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The engine itself, for reading the stream of a table without permissions.
    pub(crate) fn database(&self) -> Database {
        self.proxy.database.clone()
    }

    /// Every item of a table, for tests that look behind the API.
    ///
    /// # Errors
    /// When the engine refuses.
    pub fn items(&self, table: &str) -> Result<Vec<Value>, LocalError> {
        let mut items = Vec::new();
        let mut request = json!({"TableName": table});
        // A scan answers in pages of at most a megabyte.
        loop {
            let scan = serde_json::from_value(request.clone()).map_err(failed)?;
            let page = self.proxy.database.scan(scan).map_err(failed)?;
            let mut page = serde_json::to_value(page).map_err(failed)?;
            items.extend(page["Items"].as_array().cloned().unwrap_or_default());
            match page["LastEvaluatedKey"].take() {
                Value::Null => return Ok(items),
                last => request["ExclusiveStartKey"] = last,
            }
        }
    }
}

impl Drop for LocalDynamo {
    fn drop(&mut self) {
        for task in &self.serving {
            task.abort();
        }
    }
}

impl Proxy {
    /// Adds the units that an answer of the engine tells.
    fn count_units(&self, operation: &str, answer: &[u8]) {
        let answer: Value = serde_json::from_slice(answer).unwrap_or_default();
        let capacity = &answer["ConsumedCapacity"];
        // Calls about several tables tell a list.
        let parts = capacity.as_array().cloned().unwrap_or_else(|| vec![capacity.clone()]);
        let sum: f64 = parts.iter().filter_map(|part| part["CapacityUnits"].as_f64()).sum();
        let mut units = self.units.lock().unwrap_or_else(PoisonError::into_inner);
        let is_read = matches!(operation, "GetItem" | "BatchGetItem" | "TransactGetItems" | "Query");
        *(if is_read { &mut units.read } else { &mut units.write }) += sum;
    }
}

/// Creates the tables that the database does not have yet.
fn create_tables(database: &Database, template: &SamTemplate) -> Result<(), LocalError> {
    for table in template.tables.values() {
        let describe = serde_json::from_value(json!({"TableName": table.name})).map_err(failed)?;
        if database.describe_table(describe).is_ok() {
            continue;
        }
        let create = serde_json::from_value(table.create.clone()).map_err(failed)?;
        database.create_table(create).map_err(failed)?;
        if let Some(attribute) = &table.ttl_attribute {
            let ttl = json!({
                "TableName": table.name,
                "TimeToLiveSpecification": {"AttributeName": attribute, "Enabled": true},
            });
            database.update_time_to_live(serde_json::from_value(ttl).map_err(failed)?).map_err(failed)?;
        }
    }
    Ok(())
}

/// An error answer in DynamoDB's JSON, of which `code` is the kind that its clients act upon.
fn refuse(code: &str, message: &str) -> Response {
    let body = json!({"__type": format!("com.amazonaws.dynamodb.v20120810#{code}"), "message": message});
    (StatusCode::BAD_REQUEST, [("content-type", "application/x-amz-json-1.0")], body.to_string())
        .into_response()
}

/// Passes one call on to the engine, unless the proxy throttles or the caller may not make it.
async fn forward(State(proxy): State<Arc<Proxy>>, headers: HeaderMap, body: Bytes) -> Response {
    proxy.requests.fetch_add(1, Ordering::Relaxed);
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let operation = text("x-amz-target").rsplit('.').next().unwrap_or_default();
    if proxy.throttling.load(Ordering::Relaxed) {
        return refuse(
            "ProvisionedThroughputExceededException",
            "The level of configured throughput was exceeded.",
        );
    }
    let caller = AwsCaller::of(&headers);
    let mut request: Value = serde_json::from_slice(&body).unwrap_or_default();
    if let Err(denied) = proxy.permissions.check(caller, &proxy.partitions.needs(operation, &request)) {
        tracing::warn!(function = caller.name, denied, "a policy of template.yaml does not allow this");
        return refuse("AccessDeniedException", &denied);
    }
    if request.is_object() {
        request["ReturnConsumedCapacity"] = json!("TOTAL");
    }
    let mut call = proxy.http.post(&proxy.engine).body(request.to_string());
    for name in ["x-amz-target", "content-type", "authorization", "x-amz-date"] {
        if let Some(value) = headers.get(name) {
            call = call.header(name, value);
        }
    }
    match call.send().await {
        Ok(answer) => {
            let status = answer.status();
            let headers: HeaderMap = answer
                .headers()
                .iter()
                .filter(|(name, _)| {
                    matches!(name.as_str(), "content-type" | "x-amz-crc32" | "x-amzn-requestid")
                })
                .map(|(name, value)| (name.clone(), value.clone()))
                .collect();
            let bytes = answer.bytes().await.unwrap_or_default();
            proxy.bytes_read.fetch_add(bytes.len() as u64, Ordering::Relaxed);
            proxy.count_units(operation, &bytes);
            (status, headers, bytes).into_response()
        }
        Err(error) => (StatusCode::BAD_GATEWAY, error.to_string()).into_response(),
    }
}
