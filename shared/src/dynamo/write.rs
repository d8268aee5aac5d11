//! Writes: puts, updates and deletes of single items, each with conditions, alone or in a transaction.

use std::borrow::Cow;
use std::collections::HashMap;

use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::types::{
    AttributeValue, Delete, Put, ReturnValuesOnConditionCheckFailure, TransactWriteItem, Update,
};
use futures_util::future::BoxFuture;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{Dynamo, DynamoError, Item, ItemKey, attribute, text};

/// What must be true of the stored item for a write to happen. If a write has several conditions, all must be true.
#[derive(Debug, Clone)]
pub enum Condition {
    /// There is no item under this key.
    Absent,
    /// There is an item under this key.
    Present,
    /// The attribute has this value.
    Equals(&'static str, ConditionValue),
    /// The item has no such attribute.
    Without(Cow<'static, str>),
    /// The item has such an attribute.
    With(Cow<'static, str>),
    /// The attribute is a number greater than this.
    Above(&'static str, u64),
    /// The item has no such attribute, or the attribute is a number less than this.
    WithoutOrBelow(&'static str, u64),
}

/// The value of an attribute, so that a [`Condition`] shows nothing of the SDK to the rest of the crate.
#[derive(Debug, Clone)]
pub struct ConditionValue(AttributeValue);

impl Condition {
    /// The condition that the attribute has this value.
    pub fn equals(name: &'static str, value: impl Serialize) -> Self {
        Self::Equals(name, ConditionValue(attribute(value)))
    }
}

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
}

/// The attributes that an update sets, increases and removes.
#[derive(Debug, Clone, Default)]
struct Changes {
    set: Vec<(Name, AttributeValue)>,
    add: Vec<(Name, i64)>,
    remove: Vec<Name>,
}

type Name = Cow<'static, str>;

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
            ItemChange::Delete => {}
        }
        self
    }

    /// Adds to a number in an update. An attribute that is not there counts as 0. Other writes ignore it.
    #[must_use]
    pub fn add(mut self, name: &'static str, amount: i64) -> Self {
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
            ItemChange::Delete | ItemChange::Update(_) => None,
        }
    }

    /// Adds a condition without which nothing is written.
    #[must_use]
    pub fn when(mut self, condition: Condition) -> Self {
        self.conditions.push(condition);
        self
    }
}

/// The expressions of a write, with every name and value behind a placeholder.
#[derive(Default)]
struct Expressions {
    names: HashMap<String, String>,
    values: Item,
}

impl Expressions {
    fn name(&mut self, name: &str) -> String {
        let existing =
            self.names.iter().find(|(_, other)| *other == name).map(|(placeholder, _)| placeholder.clone());
        existing.unwrap_or_else(|| {
            let placeholder = format!("#n{}", self.names.len());
            self.names.insert(placeholder.clone(), name.to_owned());
            placeholder
        })
    }

    fn value(&mut self, value: AttributeValue) -> String {
        let placeholder = format!(":v{}", self.values.len());
        self.values.insert(placeholder.clone(), value);
        placeholder
    }

    fn condition(&mut self, conditions: Vec<Condition>) -> Option<String> {
        let mut terms = Vec::new();
        for condition in conditions {
            terms.push(match condition {
                Condition::Absent => format!("attribute_not_exists({})", self.name("PK")),
                Condition::Present => format!("attribute_exists({})", self.name("PK")),
                Condition::Equals(name, ConditionValue(value)) => {
                    format!("{} = {}", self.name(name), self.value(value))
                }
                Condition::Without(name) => format!("attribute_not_exists({})", self.name(&name)),
                Condition::With(name) => format!("attribute_exists({})", self.name(&name)),
                Condition::Above(name, number) => {
                    format!("{} > {}", self.name(name), self.value(attribute(number)))
                }
                Condition::WithoutOrBelow(name, number) => {
                    let name = self.name(name);
                    format!("(attribute_not_exists({name}) OR {name} < {})", self.value(attribute(number)))
                }
            });
        }
        (!terms.is_empty()).then(|| terms.join(" AND "))
    }

    fn update(&mut self, changes: Changes) -> String {
        let set: Vec<_> = changes
            .set
            .into_iter()
            .map(|(name, value)| format!("{} = {}", self.name(&name), self.value(value)))
            .collect();
        let add: Vec<_> = changes
            .add
            .into_iter()
            .map(|(name, amount)| format!("{} {}", self.name(&name), self.value(attribute(amount))))
            .collect();
        let remove: Vec<_> = changes.remove.iter().map(|name| self.name(name)).collect();
        let clause = |word: &str, terms: Vec<String>| {
            (!terms.is_empty()).then(|| format!("{word} {}", terms.join(", ")))
        };
        let clauses = [clause("SET", set), clause("ADD", add), clause("REMOVE", remove)];
        clauses.into_iter().flatten().collect::<Vec<_>>().join(" ")
    }

    fn names(&self) -> Option<HashMap<String, String>> {
        (!self.names.is_empty()).then(|| self.names.clone())
    }

    fn values(self) -> Option<Item> {
        (!self.values.is_empty()).then_some(self.values)
    }
}

impl Dynamo {
    /// Makes one write on its own.
    ///
    /// # Errors
    /// [`WriteError`]
    pub fn write(&self, write: Write) -> BoxFuture<'_, Result<(), WriteError>> {
        Box::pin(super::count_call(self.single(write), is_failure))
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

    async fn single(&self, write: Write) -> Result<(), WriteError> {
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
            ItemChange::Put(item) => send!(self.client.put_item().set_item(Some(item))),
            ItemChange::Delete => send!(self.client.delete_item().key("PK", pk).key("SK", sk)),
            ItemChange::Update(changes) => {
                let update = expressions.update(changes);
                send!(self.client.update_item().key("PK", pk).key("SK", sk).update_expression(update))
            }
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
