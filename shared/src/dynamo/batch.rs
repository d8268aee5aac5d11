//! Puts of many items at once, without conditions, in batches of the size that DynamoDB accepts.

use std::collections::HashMap;
use std::time::Duration;

use aws_sdk_dynamodb::types::{PutRequest, WriteRequest};
use futures_util::future::BoxFuture;

use super::write::Write;
use super::{Dynamo, DynamoError, Table};

/// How many items DynamoDB accepts in one call.
const BATCH_ITEMS: usize = 25;
/// How many times a batch is sent. DynamoDB may write a part of it and give back the rest, which is then sent again.
const ATTEMPTS_MAX: u32 = 6;
/// The pause before what was given back is sent again. Each further pause is twice as long.
const PAUSE_FIRST: Duration = Duration::from_millis(40);

impl Dynamo {
    /// Puts whole items into the tenants' table. Only puts are sent, and their conditions are not.
    ///
    /// # Errors
    /// [`DynamoError`]; some of the items may be written.
    pub async fn put_all(&self, writes: Vec<Write>) -> Result<(), DynamoError> {
        let mut requests = writes
            .into_iter()
            .filter_map(Write::into_item)
            .map(|item| PutRequest::builder().set_item(Some(item)).build())
            .map(|put| put.map(|put| WriteRequest::builder().put_request(put).build()))
            .collect::<Result<Vec<_>, _>>()
            .map_err(|error| DynamoError::Refused { code: "build".to_owned(), message: error.to_string() })?;
        while !requests.is_empty() {
            let rest = requests.split_off(requests.len().min(BATCH_ITEMS));
            self.put_batch(requests).await?;
            requests = rest;
        }
        Ok(())
    }

    async fn put_batch(&self, mut requests: Vec<WriteRequest>) -> Result<(), DynamoError> {
        for attempt in 0..ATTEMPTS_MAX {
            if attempt > 0 {
                tokio::time::sleep(PAUSE_FIRST * 2_u32.pow(attempt - 1)).await;
            }
            requests = super::count_call(self.put_once(requests), |_| true).await?;
            if requests.is_empty() {
                return Ok(());
            }
        }
        Err(DynamoError::Unavailable { code: "unprocessed items".to_owned() })
    }

    /// Sends one batch and returns what DynamoDB did not write.
    fn put_once(&self, requests: Vec<WriteRequest>) -> BoxFuture<'_, Result<Vec<WriteRequest>, DynamoError>> {
        let table = self.name(Table::Tenant).to_owned();
        let call = self.client.batch_write_item().set_request_items(Some(HashMap::from([(table, requests)])));
        Box::pin(async move {
            let output = call.send().await?;
            Ok(output.unprocessed_items.unwrap_or_default().into_values().flatten().collect())
        })
    }
}
