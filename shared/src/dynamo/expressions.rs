//! The expressions of a write: what DynamoDB reads in place of conditions and changes.

use std::borrow::Cow;
use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;
use serde::Serialize;

use super::{Item, attribute};

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
    WithoutOrBelow(Cow<'static, str>, u64),
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

/// The attributes that an update sets, increases and removes.
#[derive(Debug, Clone, Default)]
pub(super) struct Changes {
    pub(super) set: Vec<(Name, AttributeValue)>,
    pub(super) add: Vec<(Name, i64)>,
    pub(super) remove: Vec<Name>,
}

/// The name of an attribute.
pub(super) type Name = Cow<'static, str>;

/// The expressions of a write, with every name and value behind a placeholder.
#[derive(Default)]
pub(super) struct Expressions {
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

    pub(super) fn condition(&mut self, conditions: Vec<Condition>) -> Option<String> {
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
                    let name = self.name(&name);
                    format!("(attribute_not_exists({name}) OR {name} < {})", self.value(attribute(number)))
                }
            });
        }
        (!terms.is_empty()).then(|| terms.join(" AND "))
    }

    pub(super) fn update(&mut self, changes: Changes) -> String {
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

    pub(super) fn names(&self) -> Option<HashMap<String, String>> {
        (!self.names.is_empty()).then(|| self.names.clone())
    }

    pub(super) fn values(self) -> Option<Item> {
        (!self.values.is_empty()).then_some(self.values)
    }
}
