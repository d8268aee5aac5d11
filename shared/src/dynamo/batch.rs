//! Puts and deletes of many items at once, without conditions, in batches of the size that DynamoDB accepts.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use aws_sdk_dynamodb::error::BuildError;
use aws_sdk_dynamodb::types::{DeleteRequest, PutRequest, WriteRequest};
use futures_util::future::BoxFuture;

use super::write::Write;
use super::{Dynamo, DynamoError, ItemKey, Query, Table, text};

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
        let puts = writes
            .into_iter()
            .filter_map(Write::into_item)
            .map(|item| PutRequest::builder().set_item(Some(item)).build())
            .map(|put| put.map(|put| WriteRequest::builder().put_request(put).build()));
        self.send_all(puts.collect()).await
    }

    /// Deletes items of the tenants' table, whether they are there or not.
    ///
    /// # Errors
    /// [`DynamoError`]; some of the items may be deleted.
    pub async fn delete_all(&self, keys: &[ItemKey]) -> Result<(), DynamoError> {
        // A batch that names an item twice is refused.
        let distinct: BTreeSet<_> = keys.iter().map(|key| (&key.pk, &key.sk)).collect();
        let deletes = distinct
            .into_iter()
            .map(|(pk, sk)| DeleteRequest::builder().key("PK", text(pk)).key("SK", text(sk)).build())
            .map(|delete| delete.map(|delete| WriteRequest::builder().delete_request(delete).build()));
        self.send_all(deletes.collect()).await
    }

    /// Deletes everything that a query finds in the tenants' table, and returns how many items that were. What is
    /// written meanwhile may stay.
    ///
    /// # Errors
    /// [`DynamoError`]; some of the items may be deleted.
    pub async fn delete_found(&self, query: &Query) -> Result<usize, DynamoError> {
        let (mut count, mut after) = (0, None);
        loop {
            let page = self.keys(query, after).await?;
            self.delete_all(&page.keys).await?;
            count += page.keys.len();
            after = page.next;
            if after.is_none() {
                return Ok(count);
            }
        }
    }

    async fn send_all(&self, requests: Result<Vec<WriteRequest>, BuildError>) -> Result<(), DynamoError> {
        let mut requests = requests
            .map_err(|error| DynamoError::Refused { code: "build".to_owned(), message: error.to_string() })?;
        while !requests.is_empty() {
            let rest = requests.split_off(requests.len().min(BATCH_ITEMS));
            self.send_batch(requests).await?;
            requests = rest;
        }
        Ok(())
    }

    async fn send_batch(&self, mut requests: Vec<WriteRequest>) -> Result<(), DynamoError> {
        for attempt in 0..ATTEMPTS_MAX {
            if attempt > 0 {
                tokio::time::sleep(PAUSE_FIRST * 2_u32.pow(attempt - 1)).await;
            }
            requests = super::count_call(self.send_once(requests), |_| true).await?;
            if requests.is_empty() {
                return Ok(());
            }
        }
        Err(DynamoError::Unavailable { code: "unprocessed items".to_owned() })
    }

    /// Sends one batch and returns what DynamoDB did not write.
    fn send_once(
        &self,
        requests: Vec<WriteRequest>,
    ) -> BoxFuture<'_, Result<Vec<WriteRequest>, DynamoError>> {
        let table = self.name(Table::Tenant).to_owned();
        let call = self.client.batch_write_item().set_request_items(Some(HashMap::from([(table, requests)])));
        Box::pin(async move {
            let output = call.send().await?;
            Ok(output.unprocessed_items.unwrap_or_default().into_values().flatten().collect())
        })
    }
}
