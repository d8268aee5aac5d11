use serde::de::DeserializeOwned;

use super::{Dynamo, DynamoError, Table, text};

/// Items of one partition, in the order of their sort keys.
#[derive(Debug, Clone)]
pub struct Query {
    table: Table,
    index: Option<&'static str>,
    pk: String,
    sk_prefix: Option<&'static str>,
    limit: Option<u32>,
    after_sk: Option<String>,
}

/// A part of what a query finds.
#[derive(Debug)]
pub struct Page<T> {
    /// The items.
    pub items: Vec<T>,
    /// The sort key of the last item, when there are more.
    pub last_sk: Option<String>,
}

impl Query {
    /// A partition of the tenants' table.
    pub fn tenant(pk: impl Into<String>) -> Self {
        Self {
            table: Table::Tenant,
            index: None,
            pk: pk.into(),
            sk_prefix: None,
            limit: None,
            after_sk: None,
        }
    }

    /// A partition of its index `GSI1`. Lags behind the table by moments.
    pub fn tenant_index(pk: impl Into<String>) -> Self {
        Self { index: Some("GSI1"), ..Self::tenant(pk) }
    }

    /// Only sort keys that begin so.
    #[must_use]
    pub fn beginning(mut self, prefix: &'static str) -> Self {
        self.sk_prefix = Some(prefix);
        self
    }

    /// At most so many items.
    #[must_use]
    pub fn limit(mut self, limit: u32) -> Self {
        self.limit = Some(limit);
        self
    }

    /// Only what comes after this sort key.
    #[must_use]
    pub fn after(mut self, sk: Option<String>) -> Self {
        self.after_sk = sk;
        self
    }
}

impl Dynamo {
    /// One page of a query.
    ///
    /// # Errors
    /// [`DynamoError`]
    pub async fn page<T: DeserializeOwned>(&self, query: &Query) -> Result<Page<T>, DynamoError> {
        let (pk, sk) = if query.index.is_some() { ("GSI1PK", "GSI1SK") } else { ("PK", "SK") };
        let mut request = self
            .client
            .query()
            .table_name(self.name(query.table))
            .set_index_name(query.index.map(str::to_owned))
            .expression_attribute_names("#pk", pk)
            .expression_attribute_values(":pk", text(&query.pk));
        let mut condition = "#pk = :pk".to_owned();
        if let Some(prefix) = query.sk_prefix {
            condition.push_str(" AND begins_with(#sk, :prefix)");
            request = request
                .expression_attribute_names("#sk", sk)
                .expression_attribute_values(":prefix", text(prefix));
        }
        if let Some(after) = &query.after_sk {
            request = request.exclusive_start_key(pk, text(&query.pk)).exclusive_start_key(sk, text(after));
        }
        // One more than asked for tells whether there are more without a second, empty page.
        let wanted = query.limit.map(|limit| limit as usize);
        let request =
            request.set_limit(query.limit.map(|limit| i32::try_from(limit).unwrap_or(i32::MAX - 1) + 1));
        let output = request.key_condition_expression(condition).send().await?;
        let more_behind = output.last_evaluated_key.is_some();
        let mut found = output.items.unwrap_or_default();
        let cut = wanted.is_some_and(|wanted| found.len() > wanted);
        if let Some(wanted) = wanted {
            found.truncate(wanted);
        }
        let last_sk = if cut || more_behind {
            found.last().and_then(|item| item.get(sk)).and_then(|value| value.as_s().ok()).cloned()
        } else {
            None
        };
        Ok(Page { items: serde_dynamo::from_items(found)?, last_sk })
    }

    /// Everything a query finds, page by page. For partitions whose size is bounded by what they hold.
    ///
    /// # Errors
    /// [`DynamoError`]
    pub async fn all<T: DeserializeOwned>(&self, query: Query) -> Result<Vec<T>, DynamoError> {
        let mut query = query.limit(500);
        let mut found = Vec::new();
        loop {
            let page = self.page(&query).await?;
            found.extend(page.items);
            match page.last_sk {
                Some(last) => query.after_sk = Some(last),
                None => return Ok(found),
            }
        }
    }
}
