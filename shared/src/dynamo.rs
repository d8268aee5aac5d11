//! DynamoDB: two tables, reads of single items, queries of one partition, conditional and transactional writes.
//!
//! Invariant: nothing outside this module sees the SDK. Never a scan.

mod batch;
mod expressions;
mod query;
mod write;

pub use expressions::Condition;
pub use query::{ItemPage, KeyPage, KeyPosition, Query};
pub use write::{CurrentItem, Write, WriteError};

use std::collections::HashMap;
use std::time::{Duration, Instant};

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::retry::RetryConfig;
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

/// How long one attempt of a call may take. The SDK sets no limit of its own.
const ATTEMPT_TIMEOUT: Duration = Duration::from_millis(800);
/// How long a call may take together with the SDK's retries.
const OPERATION_TIMEOUT: Duration = Duration::from_secs(2);

/// One of the two tables of a stage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Table {
    /// What belongs to no tenant, or must be found before the tenant of a call is known: users, sessions, API keys.
    Identity,
    /// What belongs to a tenant, where every partition key begins with `T#<tenant>`, or with `TT#<tenant>` in test mode;
    /// and what models cost the whole stage in a day.
    Tenant,
}

/// The full primary key of an item: its table, partition key and sort key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ItemKey {
    pub table: Table,
    pub pk: String,
    pub sk: String,
}

impl ItemKey {
    /// The key of an item of the identity table.
    pub fn identity(pk: impl Into<String>, sk: impl Into<String>) -> Self {
        Self { table: Table::Identity, pk: pk.into(), sk: sk.into() }
    }

    /// The key of an item of the tenants' table.
    pub fn tenant(pk: impl Into<String>, sk: impl Into<String>) -> Self {
        Self { table: Table::Tenant, pk: pk.into(), sk: sk.into() }
    }
}

/// Why a call of DynamoDB gave no answer that can be used.
#[derive(Debug, thiserror::Error)]
pub enum DynamoError {
    /// DynamoDB could not be reached, was too slow, or throttled us. The same call may succeed later.
    #[error("DynamoDB is unavailable ({code})")]
    Unavailable {
        /// The error code of the service, or a word for what the SDK met on the way to it.
        code: String,
    },
    /// DynamoDB refused the call: a permission or a table is missing, or the request is malformed. A repetition
    /// fails, too.
    #[error("DynamoDB refused the call ({code}: {message})")]
    Refused {
        /// The error code of the service.
        code: String,
        /// The explanation of the service.
        message: String,
    },
    /// An item does not have the attributes that the code expects.
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
    // DynamoDB's own answers have a code. One without comes from a gateway or proxy that could not reach it.
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

/// The two tables of a stage, through the SDK.
#[derive(Clone)]
pub struct Dynamo {
    client: Client,
    client_without_retries: Client,
    identity: String,
    tenant: String,
}

impl Dynamo {
    /// A client for the tables that the settings name. The first call opens the connection.
    pub fn new(aws: &aws_config::SdkConfig, settings: &Settings) -> Self {
        let timeouts = TimeoutConfig::builder()
            .operation_attempt_timeout(ATTEMPT_TIMEOUT)
            .operation_timeout(OPERATION_TIMEOUT)
            .build();
        let config = aws_sdk_dynamodb::config::Builder::from(aws).timeout_config(timeouts).build();
        let without_retries = config.to_builder().retry_config(RetryConfig::disabled()).build();
        Self {
            client: Client::from_conf(config),
            client_without_retries: Client::from_conf(without_retries),
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

    /// Reads one item with everything that was written before; `None` if there is no such item.
    ///
    /// # Errors
    /// [`DynamoError`]
    pub async fn get<T: DeserializeOwned>(&self, key: &ItemKey) -> Result<Option<T>, DynamoError> {
        let item = self.get_item(key).await?;
        item.map(serde_dynamo::from_item).transpose().map_err(Into::into)
    }

    fn get_item<'a>(&'a self, key: &'a ItemKey) -> BoxFuture<'a, Result<Option<Item>, DynamoError>> {
        let request = self.client.get_item().table_name(self.name(key.table)).consistent_read(true);
        let request = request.key("PK", text(&key.pk)).key("SK", text(&key.sk));
        Box::pin(count_call(async move { Ok(request.send().await?.item) }, |_| true))
    }

    /// Checks that the table can be read, at the price of one small read.
    ///
    /// # Errors
    /// [`DynamoError`]
    pub async fn ping(&self, table: Table) -> Result<(), DynamoError> {
        self.get::<serde::de::IgnoredAny>(&ItemKey { table, pk: "PING".to_owned(), sk: "PING".to_owned() })
            .await?;
        Ok(())
    }
}

/// Makes a call and counts it in metrics and in the log line, with its duration and outcome. `is_failure` says
/// which errors are DynamoDB's: a condition that does not hold, for example, is an answer and no failure.
async fn count_call<T, E>(
    call: impl Future<Output = Result<T, E>>,
    is_failure: fn(&E) -> bool,
) -> Result<T, E> {
    let started = Instant::now();
    telemetry::dynamo_trip();
    let result = call.await;
    let outcome = if result.as_ref().is_err_and(is_failure) { CallOutcome::Error } else { CallOutcome::Ok };
    metrics::dependency(CalledDependency::Dynamodb, outcome, started.elapsed());
    result
}

fn text(value: &str) -> AttributeValue {
    AttributeValue::S(value.to_owned())
}

fn attribute(value: impl Serialize) -> AttributeValue {
    // The values of conditions and updates are our own texts, numbers, flags and structs of them, which always
    // convert.
    serde_dynamo::to_attribute_value(value).unwrap_or(AttributeValue::Null(true))
}
