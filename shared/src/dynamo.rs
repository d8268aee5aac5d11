//! DynamoDB: two tables, single-item reads, queries by partition, conditional and transactional writes.
//!
//! Invariant: nothing outside this module sees the SDK. Never a scan.

mod batch;
mod query;
mod write;

pub use query::{ItemPage, Query};
pub use write::{Condition, CurrentItem, Write, WriteError};

use std::collections::HashMap;
use std::time::{Duration, Instant};

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::timeout::TimeoutConfig;
use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::types::AttributeValue;
use futures_util::future::BoxFuture;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::metrics::{self, CallOutcome, CalledDependency};
use crate::settings::Settings;
use crate::telemetry;

type Item = HashMap<String, AttributeValue>;

/// The SDK has no timeout of its own.
const ATTEMPT_TIMEOUT: Duration = Duration::from_millis(800);
const OPERATION_TIMEOUT: Duration = Duration::from_secs(2);

/// Which table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Table {
    /// Global look-ups.
    Identity,
    /// What belongs to a tenant; every partition key begins with `T#<tenant>`.
    Tenant,
}

/// Where an item is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ItemKey {
    /// The table.
    pub table: Table,
    /// The partition key.
    pub pk: String,
    /// The sort key.
    pub sk: String,
}

impl ItemKey {
    /// An item of `identity`.
    pub fn identity(pk: impl Into<String>, sk: impl Into<String>) -> Self {
        Self { table: Table::Identity, pk: pk.into(), sk: sk.into() }
    }

    /// An item of `tenant`.
    pub fn tenant(pk: impl Into<String>, sk: impl Into<String>) -> Self {
        Self { table: Table::Tenant, pk: pk.into(), sk: sk.into() }
    }
}

/// Why DynamoDB gave no answer that could be used.
#[derive(Debug, thiserror::Error)]
pub enum DynamoError {
    /// Away, slow or throttling: the same call may succeed later.
    #[error("DynamoDB is unavailable ({code})")]
    Unavailable {
        /// The service's code, or what the SDK saw.
        code: String,
    },
    /// Refused: permissions, a missing table, a malformed request.
    #[error("DynamoDB refused the call ({code}: {message})")]
    Refused {
        /// The service's code.
        code: String,
        /// The service's words.
        message: String,
    },
    /// An item is not what the code expects.
    #[error("an item of DynamoDB cannot be read")]
    Malformed(#[from] serde_dynamo::Error),
}

impl<E: ProvideErrorMetadata, R> From<SdkError<E, R>> for DynamoError {
    fn from(error: SdkError<E, R>) -> Self {
        let code = |fallback: &str| error.code().unwrap_or(fallback).to_owned();
        match &error {
            SdkError::TimeoutError(_) => Self::Unavailable { code: "timeout".to_owned() },
            SdkError::DispatchFailure(_) => Self::Unavailable { code: "connection".to_owned() },
            SdkError::ResponseError(_) => Self::Unavailable { code: "unreadable response".to_owned() },
            SdkError::ServiceError(_) if is_temporary(&code("")) => Self::Unavailable { code: code("") },
            _ => Self::Refused {
                code: code("unknown"),
                message: error.message().unwrap_or("no message").to_owned(),
            },
        }
    }
}

fn is_temporary(code: &str) -> bool {
    // An answer without a code is a gateway's or a proxy's, not DynamoDB's.
    const TEMPORARY: [&str; 8] = [
        "",
        "ProvisionedThroughputExceededException",
        "ThrottlingException",
        "RequestLimitExceeded",
        "InternalServerError",
        "ServiceUnavailable",
        "TransactionInProgressException",
        "TransactionConflictException",
    ];
    TEMPORARY.contains(&code)
}

/// Both tables, through one client.
#[derive(Clone)]
pub struct Dynamo {
    client: Client,
    identity: String,
    tenant: String,
}

impl Dynamo {
    /// Connects to the tables that the settings name. Opens no connection yet.
    pub fn new(aws: &aws_config::SdkConfig, settings: &Settings) -> Self {
        let timeouts = TimeoutConfig::builder()
            .operation_attempt_timeout(ATTEMPT_TIMEOUT)
            .operation_timeout(OPERATION_TIMEOUT)
            .build();
        let config = aws_sdk_dynamodb::config::Builder::from(aws).timeout_config(timeouts).build();
        Self {
            client: Client::from_conf(config),
            identity: settings.identity_table.clone(),
            tenant: settings.tenant_table.clone(),
        }
    }

    fn name(&self, table: Table) -> &str {
        match table {
            Table::Identity => &self.identity,
            Table::Tenant => &self.tenant,
        }
    }

    /// Reads one item, up to date.
    ///
    /// # Errors
    /// [`DynamoError`]; a missing item is `None`.
    pub async fn get<T: DeserializeOwned>(&self, key: &ItemKey) -> Result<Option<T>, DynamoError> {
        let item = self.get_item(key).await?;
        item.map(serde_dynamo::from_item).transpose().map_err(Into::into)
    }

    fn get_item<'a>(&'a self, key: &'a ItemKey) -> BoxFuture<'a, Result<Option<Item>, DynamoError>> {
        let request = self.client.get_item().table_name(self.name(key.table)).consistent_read(true);
        let request = request.key("PK", text(&key.pk)).key("SK", text(&key.sk));
        Box::pin(counted(async move { Ok(request.send().await?.item) }, |_| true))
    }

    /// Whether the table can be read, at the price of one small read.
    ///
    /// # Errors
    /// [`DynamoError`]
    pub async fn ping(&self, table: Table) -> Result<(), DynamoError> {
        self.get::<serde::de::IgnoredAny>(&ItemKey { table, pk: "PING".to_owned(), sk: "PING".to_owned() })
            .await?;
        Ok(())
    }
}

/// Counts a call and what it took. An answer that says no is an answer.
async fn counted<T, E>(call: impl Future<Output = Result<T, E>>, is_failure: fn(&E) -> bool) -> Result<T, E> {
    let started = Instant::now();
    telemetry::dynamo_trip();
    let result = call.await;
    let ended = if result.as_ref().is_err_and(is_failure) { CallOutcome::Error } else { CallOutcome::Ok };
    metrics::dependency(CalledDependency::Dynamodb, ended, started.elapsed());
    result
}

fn text(value: &str) -> AttributeValue {
    AttributeValue::S(value.to_owned())
}

fn attribute(value: impl Serialize) -> AttributeValue {
    // Values of conditions and updates are texts, numbers and flags of our own: they always convert.
    serde_dynamo::to_attribute_value(value).unwrap_or(AttributeValue::Null(true))
}
