//! The functions and tables of a template, with every reference in them resolved.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_yaml_ng::{Mapping, Value};

use super::{Function, Permission, Route, Schedule, Stream, Table, malformed};
use crate::LocalError;

/// What the references of a template can name.
pub(super) struct Resolver {
    parameters: BTreeMap<String, String>,
    names: BTreeMap<String, String>,
    managed: BTreeMap<String, Vec<Permission>>,
}

impl Resolver {
    pub(super) fn new(document: &Mapping, parameters: &[(&str, &str)]) -> Result<Self, LocalError> {
        let mut resolver =
            Self { parameters: BTreeMap::new(), names: BTreeMap::new(), managed: BTreeMap::new() };
        for (name, parameter) in entries(document.get("Parameters")) {
            let default = parameter.get("Default").map(scalar).unwrap_or_default();
            resolver.parameters.insert(name.to_owned(), default);
        }
        for (name, value) in parameters {
            let known = resolver.parameters.insert((*name).to_owned(), (*value).to_owned());
            known.ok_or_else(|| malformed(format!("there is no parameter {name}")))?;
        }
        let is = |resource: &Value, kind: &str| resource.get("Type").is_some_and(|found| found == kind);
        for (logical, resource) in entries(document.get("Resources")) {
            for property in ["TableName", "Name", "LogGroupName"] {
                if let Some(name) = at(resource, &["Properties", property]) {
                    let name = resolver.text(name)?;
                    resolver.names.insert(logical.to_owned(), name);
                }
            }
            // Queues have no names of their own: nothing here sends to them.
            if is(resource, "AWS::SQS::Queue") {
                resolver.names.insert(logical.to_owned(), logical.to_owned());
            }
        }
        for (logical, resource) in entries(document.get("Resources")) {
            if is(resource, "AWS::IAM::ManagedPolicy") {
                let document = at(resource, &["Properties", "PolicyDocument"]);
                let permissions = resolver.statements(logical, document.unwrap_or(&Value::Null))?;
                resolver.managed.insert(logical.to_owned(), permissions);
            }
        }
        Ok(resolver)
    }

    /// A text with `!Ref`, `!Sub` and `!GetAtt ... .Arn` resolved. An ARN is the bare name here.
    pub(super) fn text(&self, value: &Value) -> Result<String, LocalError> {
        let Value::Tagged(tagged) = value else { return Ok(scalar(value)) };
        let text = scalar(&tagged.value);
        match tagged.tag.to_string().as_str() {
            "!Ref" => self.named(&text),
            "!GetAtt" => self.named(text.split('.').next().unwrap_or_default()),
            "!Sub" => {
                let mut resolved = String::new();
                let mut rest = text.as_str();
                while let Some((before, after)) = rest.split_once("${") {
                    let (name, after) = after
                        .split_once('}')
                        .ok_or_else(|| malformed(format!("`{text}` has no closing brace")))?;
                    resolved.push_str(before);
                    resolved.push_str(&self.named(name.split('.').next().unwrap_or_default())?);
                    rest = after;
                }
                Ok(resolved + rest)
            }
            other => Err(malformed(format!("{other} is not understood here"))),
        }
    }

    pub(super) fn named(&self, name: &str) -> Result<String, LocalError> {
        let known = self.parameters.get(name).or_else(|| self.names.get(name));
        known.cloned().ok_or_else(|| malformed(format!("`{name}` names nothing that the local stack has")))
    }

    pub(super) fn function(
        &self,
        logical: &str,
        properties: &Value,
        globals: Option<&Value>,
    ) -> Result<Function, LocalError> {
        let property =
            |name: &str| properties.get(name).or_else(|| globals.and_then(|globals| globals.get(name)));
        let missing = |what: &str| malformed(format!("{logical} has no {what}"));
        let code = property("CodeUri").map(scalar).ok_or_else(|| missing("CodeUri"))?;
        let name =
            Path::new(&code).file_name().and_then(|name| name.to_str()).ok_or_else(|| missing("CodeUri"))?;
        let number = |what: &str| {
            property(what)
                .and_then(Value::as_u64)
                .ok_or_else(|| malformed(format!("{logical} has no {what}")))
        };
        let mut variables = BTreeMap::new();
        for source in [globals, Some(properties)].into_iter().flatten() {
            for (name, value) in entries(source.get("Environment").and_then(|e| e.get("Variables"))) {
                variables.insert(name.to_owned(), self.text(value)?);
            }
        }
        let (mut routes, mut schedules, mut stream) = (Vec::new(), Vec::new(), None);
        for (_, event) in entries(properties.get("Events")) {
            let property = |name: &str| event.get("Properties").and_then(|p| p.get(name)).map(scalar);
            match event.get("Type").map(scalar).unwrap_or_default().as_str() {
                "HttpApi" => routes.push(Route {
                    method: property("Method").unwrap_or_else(|| "ANY".to_owned()),
                    path: property("Path").unwrap_or_else(|| "$default".to_owned()),
                }),
                "Schedule" => schedules.push(Schedule {
                    expression: property("Schedule").unwrap_or_default(),
                    dead_letters: self.optional(at(event, &["Properties", "DeadLetterConfig", "Arn"]))?,
                }),
                "DynamoDB" => stream = Some(self.stream(logical, event)?),
                other => return Err(malformed(format!("{logical} has an event of type {other}"))),
            }
        }
        let (policies, permissions) = self.policies(logical, properties)?;
        Ok(Function {
            name: name.to_owned(),
            logical_id: logical.to_owned(),
            timeout_secs: number("Timeout")?,
            memory_mb: u32::try_from(number("MemorySize")?).map_err(|_| missing("MemorySize"))?,
            variables,
            routes,
            schedules,
            has_url: properties.get("FunctionUrlConfig").is_some(),
            stream,
            log_group: self
                .optional(property("LoggingConfig").and_then(|logging| logging.get("LogGroup")))?,
            policies,
            permissions,
        })
    }

    /// The managed policies that a function refers to, and all that it may do.
    fn policies(
        &self,
        logical: &str,
        properties: &Value,
    ) -> Result<(Vec<String>, Vec<Permission>), LocalError> {
        let (mut policies, mut permissions) = (Vec::new(), Vec::new());
        for policy in items(properties.get("Policies")) {
            match policy {
                Value::Tagged(reference) if reference.tag == "!Ref" => {
                    let name = scalar(&reference.value);
                    let managed = self.managed.get(&name).ok_or_else(|| {
                        malformed(format!("{logical} refers to {name}, which is no managed policy"))
                    })?;
                    permissions.extend(managed.iter().cloned());
                    policies.push(name);
                }
                document => permissions.extend(self.statements(logical, document)?),
            }
        }
        Ok((policies, permissions))
    }

    fn optional(&self, value: Option<&Value>) -> Result<Option<String>, LocalError> {
        value.map(|value| self.text(value)).transpose()
    }

    /// The statements of a policy. All of ours allow, and say no more than which actions on which resources.
    fn statements(&self, logical: &str, document: &Value) -> Result<Vec<Permission>, LocalError> {
        let mut permissions = Vec::new();
        for statement in items(document.get("Statement")) {
            let names: BTreeSet<&str> = entries(Some(statement)).map(|(name, _)| name).collect();
            let allows = statement.get("Effect").is_some_and(|effect| effect == "Allow");
            if !allows || names != BTreeSet::from(["Action", "Effect", "Resource"]) {
                return Err(malformed(format!(
                    "a statement of {logical} is not Effect: Allow, Action and Resource"
                )));
            }
            let resources = items(statement.get("Resource")).map(|resource| self.text(resource));
            permissions.push(Permission {
                actions: items(statement.get("Action")).map(scalar).collect(),
                resources: resources.collect::<Result<_, _>>()?,
            });
        }
        // A new function's list is empty until its permissions are written; a test sees to that.
        let is_empty_list = document.get("Statement").and_then(Value::as_sequence).is_some_and(Vec::is_empty);
        if permissions.is_empty() && !is_empty_list {
            return Err(malformed(format!("a policy of {logical} has no statement that is understood here")));
        }
        Ok(permissions)
    }

    fn stream(&self, logical: &str, event: &Value) -> Result<Stream, LocalError> {
        let property = |path: &[&str]| at(event, &["Properties"]).and_then(|properties| at(properties, path));
        let number = |name: &str| {
            let number = property(&[name]).and_then(Value::as_u64);
            number.ok_or_else(|| malformed(format!("the stream of {logical} has no {name}")))
        };
        let pattern = |filter: &Value| {
            let text = filter.get("Pattern").map(scalar).unwrap_or_default();
            serde_json::from_str(&text)
                .map_err(|error| malformed(format!("a filter of {logical} is no JSON: {error}")))
        };
        let filters = items(property(&["FilterCriteria", "Filters"]));
        Ok(Stream {
            filters: filters.map(pattern).collect::<Result<_, _>>()?,
            batch: usize::try_from(number("BatchSize")?).unwrap_or(1),
            retries: u32::try_from(number("MaximumRetryAttempts")?).unwrap_or(u32::MAX),
            dead_letters: self.optional(property(&["DestinationConfig", "OnFailure", "Destination"]))?,
        })
    }

    pub(super) fn table(&self, properties: &Value) -> Result<Table, LocalError> {
        let name = self.text(properties.get("TableName").unwrap_or(&Value::Null))?;
        let mut create = serde_json::Map::new();
        for property in ["AttributeDefinitions", "KeySchema", "GlobalSecondaryIndexes", "BillingMode"] {
            if let Some(value) = properties.get(property) {
                let value = serde_json::to_value(value).map_err(|error| malformed(error.to_string()))?;
                create.insert(property.to_owned(), value);
            }
        }
        if let Some(stream) = properties.get("StreamSpecification").and_then(|s| s.get("StreamViewType")) {
            let stream = serde_json::json!({"StreamEnabled": true, "StreamViewType": scalar(stream)});
            create.insert("StreamSpecification".to_owned(), stream);
        }
        create.insert("TableName".to_owned(), name.clone().into());
        let ttl =
            properties.get("TimeToLiveSpecification").and_then(|ttl| ttl.get("AttributeName")).map(scalar);
        Ok(Table { name, create: create.into(), ttl_attribute: ttl })
    }
}

pub(super) fn entries(value: Option<&Value>) -> impl Iterator<Item = (&str, &Value)> {
    value
        .and_then(Value::as_mapping)
        .into_iter()
        .flatten()
        .filter_map(|(name, value)| Some((name.as_str()?, value)))
}

pub(super) fn scalar(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        Value::Bool(flag) => flag.to_string(),
        _ => String::new(),
    }
}

/// The items of a list, or the one value that stands for a list of one.
fn items(value: Option<&Value>) -> impl Iterator<Item = &Value> {
    let items = match value {
        None => &[],
        Some(Value::Sequence(items)) => items.as_slice(),
        Some(one) => std::slice::from_ref(one),
    };
    items.iter()
}

/// The value at the end of a path of names.
fn at<'a>(value: &'a Value, path: &[&str]) -> Option<&'a Value> {
    path.iter().try_fold(value, |value, name| value.get(name))
}
