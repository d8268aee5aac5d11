use std::borrow::Cow;

use futures_util::future::BoxFuture;
use serde::de::DeserializeOwned;

use super::{Dynamo, DynamoError, Item, Table, text};

const PAGE_ITEMS: u32 = 250;

/// Items of one partition, in the order of their sort keys.
#[derive(Debug, Clone)]
pub struct Query {
    table: Table,
    index: Option<&'static str>,
    pk: String,
    /// The partition of the table that the items of an index query lie in.
    table_pk: Option<String>,
    sk_prefix: Option<Cow<'static, str>>,
    limit: Option<u32>,
    after_sk: Option<String>,
    newest_first: bool,
    consistent: bool,
}

/// A part of what a query finds.
#[derive(Debug)]
pub struct ItemPage<T> {
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
            table_pk: None,
            sk_prefix: None,
            limit: None,
            after_sk: None,
            newest_first: false,
            consistent: false,
        }
    }

    /// A partition of its index `GSI1`. Lags behind the table by moments.
    pub fn tenant_index(pk: impl Into<String>) -> Self {
        Self { index: Some("GSI1"), ..Self::tenant(pk) }
    }

    /// All items lie in this partition of the table, under the sort keys that they have in the index. What pages of an
    /// index need.
    #[must_use]
    pub fn within(mut self, table_pk: String) -> Self {
        self.table_pk = Some(table_pk);
        self
    }

    /// Only sort keys that begin so.
    #[must_use]
    pub fn beginning(mut self, prefix: impl Into<Cow<'static, str>>) -> Self {
        self.sk_prefix = Some(prefix.into());
        self
    }

    /// With everything that was written before. Of the table, at twice the price.
    #[must_use]
    pub fn consistent(mut self) -> Self {
        self.consistent = true;
        self
    }

    /// At most so many items.
    #[must_use]
    pub fn limit(mut self, limit: u32) -> Self {
        self.limit = Some(limit);
        self
    }

    /// From the end of the partition.
    #[must_use]
    pub fn newest_first(mut self) -> Self {
        self.newest_first = true;
        self
    }

    /// Only what comes after this sort key.
    #[must_use]
    pub fn after(mut self, sk: Option<String>) -> Self {
        self.after_sk = sk;
        self
    }
}

impl Query {
    /// Where a page that ended at this sort key goes on.
    fn position(&self, after: &str) -> Item {
        let pk = self.table_pk.as_ref().unwrap_or(&self.pk);
        let mut position = Item::from([("PK".to_owned(), text(pk)), ("SK".to_owned(), text(after))]);
        if self.index.is_some() {
            position.insert("GSI1PK".to_owned(), text(&self.pk));
            position.insert("GSI1SK".to_owned(), text(after));
        }
        position
    }
}

impl Dynamo {
    /// One page of a query of a table.
    ///
    /// # Errors
    /// [`DynamoError`]
    pub async fn page<T: DeserializeOwned>(&self, query: &Query) -> Result<ItemPage<T>, DynamoError> {
        let start = query.after_sk.as_ref().map(|after| query.position(after));
        // One more than asked for tells whether there are more without a second, empty page.
        let wanted = query.limit.unwrap_or(PAGE_ITEMS) as usize;
        let mut found = self.query(query, wanted + 1, start).await?;
        let is_last = found.items.len() <= wanted && found.next.is_none();
        found.items.truncate(wanted);
        let last = found.items.last().filter(|_| !is_last);
        let last_sk = last.and_then(|item| item.get("SK")?.as_s().ok().cloned());
        Ok(ItemPage { items: serde_dynamo::from_items(found.items)?, last_sk })
    }

    /// Everything a query finds, page by page, but no more than its limit. Without one for partitions whose size is
    /// bounded by what they hold.
    ///
    /// # Errors
    /// [`DynamoError`]
    pub async fn all<T: DeserializeOwned>(&self, query: Query) -> Result<Vec<T>, DynamoError> {
        let (mut all, mut start) = (Vec::new(), None);
        let most = query.limit.map_or(usize::MAX, |limit| limit as usize);
        loop {
            let found = self.query(&query, most.min(PAGE_ITEMS as usize), start).await?;
            all.extend(found.items);
            start = found.next;
            if start.is_none() || all.len() >= most {
                all.truncate(most);
                return Ok(serde_dynamo::from_items(all)?);
            }
        }
    }

    fn query<'a>(
        &'a self,
        query: &'a Query,
        limit: usize,
        start: Option<Item>,
    ) -> BoxFuture<'a, Result<QueryPage, DynamoError>> {
        let (pk, sk) = if query.index.is_some() { ("GSI1PK", "GSI1SK") } else { ("PK", "SK") };
        let mut request = self
            .client
            .query()
            .table_name(self.name(query.table))
            .set_index_name(query.index.map(str::to_owned))
            .expression_attribute_names("#pk", pk)
            .expression_attribute_values(":pk", text(&query.pk))
            .limit(i32::try_from(limit).unwrap_or(i32::MAX))
            .scan_index_forward(!query.newest_first)
            .consistent_read(query.consistent)
            .set_exclusive_start_key(start);
        let mut condition = "#pk = :pk".to_owned();
        if let Some(prefix) = &query.sk_prefix {
            condition.push_str(" AND begins_with(#sk, :prefix)");
            request = request
                .expression_attribute_names("#sk", sk)
                .expression_attribute_values(":prefix", text(prefix));
        }
        let request = request.key_condition_expression(condition);
        let call = async move {
            let output = request.send().await?;
            Ok(QueryPage { items: output.items.unwrap_or_default(), next: output.last_evaluated_key })
        };
        Box::pin(super::counted(call, |_| true))
    }
}

/// What one call found, and where the next one goes on.
struct QueryPage {
    items: Vec<Item>,
    next: Option<Item>,
}
