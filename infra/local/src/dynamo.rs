//! DynamoDB: an embedded engine behind its HTTP API, with the tables and the permissions of `template.yaml`.
//!
//! In front of the engine stands a door that knows which function calls, by the access key that its
//! environment was given. It refuses what the function's policy does not allow, as IAM would on a deployed
//! stage, records what is used of it, and can throttle.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
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
use crate::permissions::{Caller, Permissions, needs};
use crate::template::Template;

/// The engine is in this process.
const CONNECT_WITHIN: Duration = Duration::from_secs(1);

/// A DynamoDB that is running.
pub struct Dynamo {
    address: SocketAddr,
    serving: [JoinHandle<()>; 2],
    door: Arc<Door>,
}

struct Door {
    engine: String,
    http: reqwest::Client,
    permissions: Arc<Permissions>,
    throttling: AtomicBool,
    requests: AtomicU64,
    database: Database,
}

fn failed(why: impl std::fmt::Display) -> LocalError {
    LocalError::Part { part: "DynamoDB", why: why.to_string() }
}

impl Dynamo {
    /// Starts with the tables of the template, in `file` or in memory.
    ///
    /// # Errors
    /// [`LocalError`] when the engine or a table cannot be had.
    pub async fn start(
        template: &Template,
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
        let door =
            TcpListener::bind(("127.0.0.1", 0)).await.map_err(LocalError::io("opening DynamoDB's port"))?;
        let address = door.local_addr().map_err(LocalError::io("opening DynamoDB's port"))?;
        let behind = engine.local_addr().map_err(LocalError::io("opening DynamoDB's port"))?;
        let shared = Arc::new(Door {
            engine: format!("http://{behind}/"),
            http: shared::outbound::client("http://", CONNECT_WITHIN).map_err(failed)?,
            permissions,
            throttling: AtomicBool::new(false),
            requests: AtomicU64::new(0),
            database: database.clone(),
        });
        let router = Router::new().fallback(pass).with_state(Arc::clone(&shared));
        let serving = [
            tokio::spawn(dynoxide::server::serve_on(engine, database)),
            tokio::spawn(async move {
                let _ = axum::serve(door, router).await;
            }),
        ];
        Ok(Self { address, serving, door: shared })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Refuses every call as DynamoDB does when a table is too busy.
    pub fn throttle(&self, on: bool) {
        self.door.throttling.store(on, Ordering::Relaxed);
    }

    /// Calls taken since the start: trips.
    pub fn requests(&self) -> u64 {
        self.door.requests.load(Ordering::Relaxed)
    }

    /// The database, for the stream that follows it.
    pub(crate) fn database(&self) -> Database {
        self.door.database.clone()
    }

    /// Every item of a table, for tests that look behind the API.
    ///
    /// # Errors
    /// When the engine refuses.
    pub fn items(&self, table: &str) -> Result<Vec<Value>, LocalError> {
        let (mut items, mut request) = (Vec::new(), json!({"TableName": table}));
        // A page holds a megabyte.
        loop {
            let scan = serde_json::from_value(request.clone()).map_err(failed)?;
            let page = self.door.database.scan(scan).map_err(failed)?;
            let mut page = serde_json::to_value(page).map_err(failed)?;
            items.extend(page["Items"].as_array().cloned().unwrap_or_default());
            match page["LastEvaluatedKey"].take() {
                Value::Null => return Ok(items),
                last => request["ExclusiveStartKey"] = last,
            }
        }
    }
}

impl Drop for Dynamo {
    fn drop(&mut self) {
        for task in &self.serving {
            task.abort();
        }
    }
}

fn create_tables(database: &Database, template: &Template) -> Result<(), LocalError> {
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

fn refuse(code: &str, message: &str) -> Response {
    let body = json!({"__type": format!("com.amazonaws.dynamodb.v20120810#{code}"), "message": message});
    (StatusCode::BAD_REQUEST, [("content-type", "application/x-amz-json-1.0")], body.to_string())
        .into_response()
}

async fn pass(State(door): State<Arc<Door>>, headers: HeaderMap, body: Bytes) -> Response {
    door.requests.fetch_add(1, Ordering::Relaxed);
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let operation = text("x-amz-target").rsplit('.').next().unwrap_or_default();
    if door.throttling.load(Ordering::Relaxed) {
        return refuse(
            "ProvisionedThroughputExceededException",
            "The level of configured throughput was exceeded.",
        );
    }
    let caller = Caller::of(&headers);
    let request: Value = serde_json::from_slice(&body).unwrap_or_default();
    if let Err(denied) = door.permissions.check(caller, &needs(operation, &request)) {
        tracing::warn!(function = caller.name, denied, "a policy of template.yaml does not allow this");
        return refuse("AccessDeniedException", &denied);
    }
    let mut forward = door.http.post(&door.engine).body(body.clone());
    for name in ["x-amz-target", "content-type", "authorization", "x-amz-date"] {
        if let Some(value) = headers.get(name) {
            forward = forward.header(name, value);
        }
    }
    match forward.send().await {
        Ok(answer) => {
            let status = answer.status();
            let kept: HeaderMap = answer
                .headers()
                .iter()
                .filter(|(name, _)| {
                    matches!(name.as_str(), "content-type" | "x-amz-crc32" | "x-amzn-requestid")
                })
                .map(|(name, value)| (name.clone(), value.clone()))
                .collect();
            (status, kept, answer.bytes().await.unwrap_or_default()).into_response()
        }
        Err(error) => (StatusCode::BAD_GATEWAY, error.to_string()).into_response(),
    }
}
