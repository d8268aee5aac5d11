//! Queries of one partition of a table or of its index, page by page or whole.

use std::borrow::Cow;

use futures_util::future::BoxFuture;
use serde::de::DeserializeOwned;

use super::{Dynamo, DynamoError, Item, ItemKey, Table, text};

/// How many items are read in one call if the query has no limit.
const PAGE_ITEMS: u32 = 250;
/// How many keys are read in one call at most.
const KEYS_AT_ONCE: usize = 500;

/// A question for the items of one partition, in the order of their sort keys.
#[derive(Debug, Clone)]
pub struct Query {
    table: Table,
    index: Option<&'static str>,
    pk: String,
    /// The partition of the table in which the items of an index query lie; see [`Query::within`].
    table_pk: Option<String>,
    sk_prefix: Option<Cow<'static, str>>,
    /// The sort key before which all items lie; DynamoDB takes it or a prefix, and not both.
    sk_before: Option<String>,
    limit: Option<u32>,
    after_sk: Option<String>,
    newest_first: bool,
    consistent: bool,
    keys_only: bool,
}

/// One page of what a query finds.
#[derive(Debug)]
pub struct ItemPage<T> {
    pub items: Vec<T>,
    /// The sort key of the last item if there are more items after it. The next page begins [`after`](Query::after)
    /// it.
    pub last_sk: Option<String>,
}

/// The keys of some of the items that a query finds.
#[derive(Debug)]
pub struct KeyPage {
    pub keys: Vec<ItemKey>,
    /// Where the next keys begin; `None` if there are no more.
    pub next: Option<KeyPosition>,
}

/// A position among the keys that a query finds, as DynamoDB tells it.
#[derive(Debug)]
pub struct KeyPosition(Item);

impl Query {
    /// A query of one partition of the tenants' table.
    pub fn tenant(pk: impl Into<String>) -> Self {
        Self {
            table: Table::Tenant,
            index: None,
            pk: pk.into(),
            table_pk: None,
            sk_prefix: None,
            sk_before: None,
            limit: None,
            after_sk: None,
            newest_first: false,
            consistent: false,
            keys_only: false,
        }
    }

    /// A query of one partition of the index `GSI1` of the tenants' table, which lags behind the table by moments.
    pub fn tenant_index(pk: impl Into<String>) -> Self {
        Self { index: Some("GSI1"), ..Self::tenant(pk) }
    }

    /// Names the partition of the table in which all items of an index query lie. Each must have the same sort key
    /// there as in the index. An index query needs this to go on [`after`](Query::after) a page, because DynamoDB
    /// asks for both keys.
    #[must_use]
    pub fn within(mut self, table_pk: String) -> Self {
        self.table_pk = Some(table_pk);
        self
    }

    /// Finds only items whose sort key begins with this prefix.
    #[must_use]
    pub fn beginning(mut self, prefix: impl Into<Cow<'static, str>>) -> Self {
        self.sk_prefix = Some(prefix.into());
        self
    }

    /// Finds only items whose sort key is less than this one, in place of those with a prefix.
    #[must_use]
    pub fn before(mut self, sk: String) -> Self {
        (self.sk_before, self.sk_prefix) = (Some(sk), None);
        self
    }

    /// Reads everything that was written before, at twice the price. Not possible for an index.
    #[must_use]
    pub fn consistent(mut self) -> Self {
        self.consistent = true;
        self
    }

    /// Finds at most this many items.
    #[must_use]
    pub fn limit(mut self, limit: u32) -> Self {
        self.limit = Some(limit);
        self
    }

    /// Begins at the end of the partition, so that the greatest sort key comes first.
    #[must_use]
    pub fn newest_first(mut self) -> Self {
        self.newest_first = true;
        self
    }

    /// Finds only what comes after this sort key, which the last page ended at.
    #[must_use]
    pub fn after(mut self, sk: Option<String>) -> Self {
        self.after_sk = sk;
        self
    }
}

impl Query {
    /// The key that DynamoDB wants as the start of the page after this sort key.
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
    /// Reads one page of a query.
    ///
    /// # Errors
    /// [`DynamoError`]
    pub async fn page<T: DeserializeOwned>(&self, query: &Query) -> Result<ItemPage<T>, DynamoError> {
        let start = query.after_sk.as_ref().map(|after| query.position(after));
        let limit = query.limit.unwrap_or(PAGE_ITEMS) as usize;
        // One item more than the page holds is asked for: only so do we know whether this is the last page.
        // DynamoDB's own position says that there may be more, also where there is nothing.
        let mut found = self.query(query, limit + 1, start).await?;
        let is_last = found.items.len() <= limit && found.next.is_none();
        found.items.truncate(limit);
        let last = found.items.last().filter(|_| !is_last);
        let last_sk = last.and_then(|item| item.get("SK")?.as_s().ok().cloned());
        Ok(ItemPage { items: serde_dynamo::from_items(found.items)?, last_sk })
    }

    /// Reads everything that a query finds up to its limit, in as many calls as it takes. A query without a limit
    /// is only for partitions that cannot grow large.
    ///
    /// # Errors
    /// [`DynamoError`]
    pub async fn all<T: DeserializeOwned>(&self, query: Query) -> Result<Vec<T>, DynamoError> {
        let mut all = Vec::new();
        let mut start = None;
        let limit = query.limit.map_or(usize::MAX, |limit| limit as usize);
        loop {
            let found = self.query(&query, limit.min(PAGE_ITEMS as usize), start).await?;
            all.extend(found.items);
            start = found.next;
            if start.is_none() || all.len() >= limit {
                all.truncate(limit);
                return Ok(serde_dynamo::from_items(all)?);
            }
        }
    }

    /// Reads the keys in the table of what a query finds, in one call of DynamoDB, beginning behind the keys that
    /// ended with `after`. The limit and the position of the query itself do not count.
    ///
    /// # Errors
    /// [`DynamoError`]
    pub async fn keys(&self, query: &Query, after: Option<KeyPosition>) -> Result<KeyPage, DynamoError> {
        let mut query = query.clone();
        query.keys_only = true;
        let found = self.query(&query, KEYS_AT_ONCE, after.map(|position| position.0)).await?;
        let key = |item: &Item| {
            let [pk, sk] = ["PK", "SK"].map(|name| item.get(name)?.as_s().ok().cloned());
            Some(ItemKey { table: query.table, pk: pk?, sk: sk? })
        };
        Ok(KeyPage { keys: found.items.iter().filter_map(key).collect(), next: found.next.map(KeyPosition) })
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
        if let Some(before) = &query.sk_before {
            condition.push_str(" AND #sk < :before");
            request = request
                .expression_attribute_names("#sk", sk)
                .expression_attribute_values(":before", text(before));
        }
        if query.keys_only {
            request = request.projection_expression("PK, SK");
        }
        let request = request.key_condition_expression(condition);
        let call = async move {
            let output = request.send().await?;
            Ok(QueryPage { items: output.items.unwrap_or_default(), next: output.last_evaluated_key })
        };
        Box::pin(super::count_call(call, |_| true))
    }
}

/// What one call of DynamoDB found, and the key at which the next call goes on if there may be more.
struct QueryPage {
    items: Vec<Item>,
    next: Option<Item>,
}
