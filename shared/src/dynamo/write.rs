//! Writes: puts, updates and deletes of single items, each with conditions, alone or in a transaction.

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::types::{
    AttributeValue, ConditionCheck, Delete, Put, ReturnValuesOnConditionCheckFailure, TransactWriteItem,
    Update,
};
use futures_util::future::BoxFuture;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::expressions::{Changes, Condition, Expressions, Name};
use super::{Dynamo, DynamoError, Item, ItemKey, attribute, text};

/// A change of one item that happens if its conditions are true.
#[derive(Debug, Clone)]
pub struct Write {
    key: ItemKey,
    change: ItemChange,
    conditions: Vec<Condition>,
}

#[derive(Debug, Clone)]
enum ItemChange {
    Put(Item),
    Delete,
    Update(Changes),
    /// No change: only the conditions count.
    Check,
}

/// Why a write did not happen.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// A condition was not true, and nothing was written.
    #[error("the condition of write {index} did not hold")]
    Conflict {
        /// The position of the first such write in its transaction; 0 for a write alone.
        index: usize,
        /// The item that is stored under the key of that write; `None` if there is none.
        current: Option<CurrentItem>,
    },
    /// The call of DynamoDB failed. Whether it wrote is not known if it did not answer.
    #[error(transparent)]
    Dynamo(#[from] DynamoError),
}

/// The stored item for which a condition was not true.
#[derive(Debug)]
pub struct CurrentItem(Item);

impl CurrentItem {
    /// Reads the item as a type of ours.
    ///
    /// # Errors
    /// [`DynamoError::Malformed`]
    pub fn read<T: DeserializeOwned>(self) -> Result<T, DynamoError> {
        Ok(serde_dynamo::from_item(self.0)?)
    }
}

impl Write {
    /// Writes a whole item in the place of what is stored under its key. `entity` gives the attributes beside the
    /// keys; those that are null are left out.
    ///
    /// # Errors
    /// [`DynamoError::Malformed`] if `entity` is not serialised as an object.
    pub fn put(key: ItemKey, entity: &impl Serialize) -> Result<Self, DynamoError> {
        let mut item: Item = serde_dynamo::to_item(entity)?;
        item.retain(|_, value| !matches!(value, AttributeValue::Null(_)));
        item.insert("PK".to_owned(), text(&key.pk));
        item.insert("SK".to_owned(), text(&key.sk));
        Ok(Self { key, change: ItemChange::Put(item), conditions: Vec::new() })
    }

    /// Changes some attributes of an item, which is made if it is not there.
    pub fn update(key: ItemKey) -> Self {
        Self { key, change: ItemChange::Update(Changes::default()), conditions: Vec::new() }
    }

    /// Deletes an item, which need not be there.
    pub fn delete(key: ItemKey) -> Self {
        Self { key, change: ItemChange::Delete, conditions: Vec::new() }
    }

    /// Changes nothing, and lets a transaction happen only if the conditions about this item are true.
    pub fn check(key: ItemKey) -> Self {
        Self { key, change: ItemChange::Check, conditions: Vec::new() }
    }

    /// Gives the item of a put or an update its keys in the index `GSI1`.
    #[must_use]
    pub fn indexed(self, pk: &str, sk: &str) -> Self {
        self.set("GSI1PK", pk).set("GSI1SK", sk)
    }

    /// Sets an attribute of a put or an update. A delete ignores it.
    #[must_use]
    pub fn set(mut self, name: impl Into<Name>, value: impl Serialize) -> Self {
        match &mut self.change {
            ItemChange::Put(item) => {
                item.insert(name.into().into_owned(), attribute(value));
            }
            ItemChange::Update(changes) => changes.set.push((name.into(), attribute(value))),
            ItemChange::Delete | ItemChange::Check => {}
        }
        self
    }

    /// Adds to a number in an update. An attribute that is not there counts as 0. Other writes ignore it.
    #[must_use]
    pub fn add(mut self, name: impl Into<Name>, amount: i64) -> Self {
        if let ItemChange::Update(changes) = &mut self.change {
            changes.add.push((name.into(), amount));
        }
        self
    }

    /// Removes an attribute in an update. Other writes ignore it.
    #[must_use]
    pub fn remove(mut self, name: impl Into<Name>) -> Self {
        if let ItemChange::Update(changes) = &mut self.change {
            changes.remove.push(name.into());
        }
        self
    }

    /// The item of a put; `None` for any other write.
    pub(super) fn into_item(self) -> Option<Item> {
        match self.change {
            ItemChange::Put(item) => Some(item),
            ItemChange::Delete | ItemChange::Update(_) | ItemChange::Check => None,
        }
    }

    /// Adds a condition without which nothing is written.
    #[must_use]
    pub fn when(mut self, condition: Condition) -> Self {
        self.conditions.push(condition);
        self
    }
}

impl Dynamo {
    /// Makes one write on its own.
    ///
    /// # Errors
    /// [`WriteError`]
    pub fn write(&self, write: Write) -> BoxFuture<'_, Result<(), WriteError>> {
        Box::pin(super::count_call(self.single(&self.client, write), is_failure))
    }

    /// Makes one write on its own and never repeats it: for an addition without a condition, which a repetition whose
    /// first attempt had arrived would make twice.
    ///
    /// # Errors
    /// [`WriteError`]; whether it was made is not known if DynamoDB did not answer.
    pub fn write_once(&self, write: Write) -> BoxFuture<'_, Result<(), WriteError>> {
        Box::pin(super::count_call(self.single(&self.client_without_retries, write), is_failure))
    }

    /// Makes all of these writes in one transaction, or none of them.
    ///
    /// # Errors
    /// [`WriteError`]; the index of a conflict is the position in `writes`.
    pub fn transact(&self, writes: Vec<Write>) -> BoxFuture<'_, Result<(), WriteError>> {
        Box::pin(super::count_call(self.all_or_none(writes), is_failure))
    }

    async fn all_or_none(&self, writes: Vec<Write>) -> Result<(), WriteError> {
        let items =
            writes.into_iter().map(|write| self.transact_item(write)).collect::<Result<Vec<_>, _>>()?;
        let request = self.client.transact_write_items().set_transact_items(Some(items));
        match request.send().await {
            Ok(_) => Ok(()),
            Err(SdkError::ServiceError(error)) => {
                if let TransactWriteItemsError::TransactionCanceledException(canceled) = error.err() {
                    let reasons = canceled.cancellation_reasons();
                    let failed = |reason: &aws_sdk_dynamodb::types::CancellationReason| {
                        reason.code() == Some("ConditionalCheckFailed")
                    };
                    if let Some(index) = reasons.iter().position(failed) {
                        let current = reasons[index].item().cloned().map(CurrentItem);
                        return Err(WriteError::Conflict { index, current });
                    }
                    let code = reasons.iter().filter_map(|reason| reason.code()).find(|code| *code != "None");
                    let code = code.unwrap_or("TransactionCanceled").to_owned();
                    return Err(DynamoError::Unavailable { code }.into());
                }
                Err(DynamoError::from(SdkError::ServiceError(error)).into())
            }
            Err(error) => Err(DynamoError::from(error).into()),
        }
    }

    async fn single(&self, client: &Client, write: Write) -> Result<(), WriteError> {
        if matches!(write.change, ItemChange::Check) {
            // DynamoDB knows checks only as parts of transactions.
            return self.all_or_none(vec![write]).await;
        }
        let table = self.name(write.key.table);
        let mut expressions = Expressions::default();
        let condition = expressions.condition(write.conditions);
        let all_old = condition.is_some().then_some(ReturnValuesOnConditionCheckFailure::AllOld);
        macro_rules! send {
            ($request:expr) => {
                $request
                    .table_name(table)
                    .set_condition_expression(condition)
                    .set_return_values_on_condition_check_failure(all_old)
                    .set_expression_attribute_names(expressions.names())
                    .set_expression_attribute_values(expressions.values())
                    .send()
                    .await
                    .map(|_| ())
                    .map_err(|error| match error.as_service_error() {
                        Some(service) if service.is_conditional_check_failed_exception() => {
                            WriteError::Conflict { index: 0, current: current_of(error.into_service_error()) }
                        }
                        _ => DynamoError::from(error).into(),
                    })
            };
        }
        let (pk, sk) = (text(&write.key.pk), text(&write.key.sk));
        match write.change {
            ItemChange::Put(item) => send!(client.put_item().set_item(Some(item))),
            ItemChange::Delete => send!(client.delete_item().key("PK", pk).key("SK", sk)),
            ItemChange::Update(changes) => {
                let update = expressions.update(changes);
                send!(client.update_item().key("PK", pk).key("SK", sk).update_expression(update))
            }
            ItemChange::Check => Ok(()),
        }
    }

    fn transact_item(&self, write: Write) -> Result<TransactWriteItem, DynamoError> {
        let table = self.name(write.key.table);
        let mut expressions = Expressions::default();
        let condition = expressions.condition(write.conditions);
        let all_old = condition.is_some().then_some(ReturnValuesOnConditionCheckFailure::AllOld);
        macro_rules! part {
            ($builder:expr) => {
                $builder
                    .table_name(table)
                    .set_condition_expression(condition)
                    .set_return_values_on_condition_check_failure(all_old)
                    .set_expression_attribute_names(expressions.names())
                    .set_expression_attribute_values(expressions.values())
                    .build()
                    .map_err(|error| DynamoError::Refused {
                        code: "build".to_owned(),
                        message: error.to_string(),
                    })
            };
        }
        let (pk, sk) = (text(&write.key.pk), text(&write.key.sk));
        let item = TransactWriteItem::builder();
        Ok(match write.change {
            ItemChange::Put(attributes) => item.put(part!(Put::builder().set_item(Some(attributes)))?),
            ItemChange::Delete => item.delete(part!(Delete::builder().key("PK", pk).key("SK", sk))?),
            ItemChange::Update(changes) => {
                let update = expressions.update(changes);
                item.update(part!(Update::builder().key("PK", pk).key("SK", sk).update_expression(update))?)
            }
            ItemChange::Check => {
                item.condition_check(part!(ConditionCheck::builder().key("PK", pk).key("SK", sk))?)
            }
        }
        .build())
    }
}

/// The stored item that the error of a single write carries.
fn current_of(error: impl Into<aws_sdk_dynamodb::Error>) -> Option<CurrentItem> {
    match error.into() {
        aws_sdk_dynamodb::Error::ConditionalCheckFailedException(failed) => failed.item.map(CurrentItem),
        _ => None,
    }
}

/// Whether an error is a failure of DynamoDB. A condition that is not true is an answer.
const fn is_failure(error: &WriteError) -> bool {
    matches!(error, WriteError::Dynamo(_))
}
