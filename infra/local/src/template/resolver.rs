//! Reads the functions and tables of a template, and resolves every reference in them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_yaml_ng::{Mapping, Value};

use super::{
    FailedRuns, LeadingKeys, Permission, TemplateFunction, TemplatePipe, TemplateRoute, TemplateSchedule,
    TemplateStream, TemplateTable, malformed,
};
use crate::LocalError;

/// What AWS gives every template beside its own parameters, as it is here.
pub(super) const PSEUDO_PARAMETERS: [(&str, &str); 3] =
    [("AWS::Partition", "aws"), ("AWS::Region", "eu-west-1"), ("AWS::AccountId", "000000000000")];

/// Everything that a reference of the template can name, with what it stands for.
pub(super) struct Resolver {
    /// The value of each parameter of the template.
    parameters: BTreeMap<String, String>,
    /// The physical name of each resource that has one, by logical name.
    names: BTreeMap<String, String>,
    /// What each managed policy allows, by logical name.
    managed_policies: BTreeMap<String, Vec<Permission>>,
}

impl Resolver {
    /// Collects the parameters, resources and managed policies of a template; `parameters` replace its defaults.
    pub(super) fn new(document: &Mapping, parameters: &[(&str, &str)]) -> Result<Self, LocalError> {
        let mut resolver =
            Self { parameters: BTreeMap::new(), names: BTreeMap::new(), managed_policies: BTreeMap::new() };
        for (name, value) in PSEUDO_PARAMETERS {
            resolver.parameters.insert(name.to_owned(), value.to_owned());
        }
        for (name, parameter) in entries(document.get("Parameters")) {
            let default = parameter.get("Default").map(scalar).unwrap_or_default();
            resolver.parameters.insert(name.to_owned(), default);
        }
        for (name, value) in parameters {
            let default = resolver.parameters.insert((*name).to_owned(), (*value).to_owned());
            default.ok_or_else(|| malformed(format!("there is no parameter {name}")))?;
        }
        let is_of_type =
            |resource: &Value, kind: &str| resource.get("Type").is_some_and(|found| found == kind);
        for (logical, resource) in entries(document.get("Resources")) {
            for property in ["TableName", "Name", "LogGroupName"] {
                if let Some(name) = at(resource, &["Properties", property]) {
                    let name = resolver.text(name)?;
                    resolver.names.insert(logical.to_owned(), name);
                }
            }
            // Queues have no physical names in the template, and nothing here sends to them, so the logical name serves. It
            // does for the functions that a pipe starts, too.
            if ["AWS::SQS::Queue", "AWS::Serverless::Function"].iter().any(|kind| is_of_type(resource, kind))
            {
                resolver.names.insert(logical.to_owned(), logical.to_owned());
            }
        }
        for (logical, resource) in entries(document.get("Resources")) {
            if is_of_type(resource, "AWS::IAM::ManagedPolicy") {
                let document = at(resource, &["Properties", "PolicyDocument"]);
                let permissions = resolver.statements(logical, document.unwrap_or(&Value::Null))?;
                resolver.managed_policies.insert(logical.to_owned(), permissions);
            }
        }
        Ok(resolver)
    }

    /// Resolves `!Ref`, `!Sub` and `!GetAtt ... .Arn` in a text. An ARN becomes the bare name of its resource.
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

    /// The value of the parameter, or the physical name of the resource, that `name` refers to.
    pub(super) fn named(&self, name: &str) -> Result<String, LocalError> {
        let found = self.parameters.get(name).or_else(|| self.names.get(name));
        found.cloned().ok_or_else(|| malformed(format!("`{name}` names nothing that the local stack has")))
    }

    /// Reads a function from its properties, which win over those of the template's globals.
    pub(super) fn function(
        &self,
        logical: &str,
        properties: &Value,
        globals: Option<&Value>,
    ) -> Result<TemplateFunction, LocalError> {
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
        let mut routes = Vec::new();
        let mut schedules = Vec::new();
        let mut stream = None;
        for (_, event) in entries(properties.get("Events")) {
            let property = |name: &str| event.get("Properties").and_then(|p| p.get(name)).map(scalar);
            match event.get("Type").map(scalar).unwrap_or_default().as_str() {
                "HttpApi" => routes.push(TemplateRoute {
                    method: property("Method").unwrap_or_else(|| "ANY".to_owned()),
                    path: property("Path").unwrap_or_else(|| "$default".to_owned()),
                }),
                "Schedule" => schedules.push(TemplateSchedule {
                    expression: property("Schedule").unwrap_or_default(),
                    dead_letters: self.optional(at(event, &["Properties", "DeadLetterConfig", "Arn"]))?,
                }),
                "DynamoDB" => stream = Some(self.stream(logical, event)?),
                other => return Err(malformed(format!("{logical} has an event of type {other}"))),
            }
        }
        let failed_runs = match properties.get("EventInvokeConfig") {
            None => None,
            Some(config) => {
                let retries = config.get("MaximumRetryAttempts").and_then(Value::as_u64);
                let retries = retries.and_then(|retries| u32::try_from(retries).ok());
                let queue = at(config, &["DestinationConfig", "OnFailure", "Destination"]);
                let retries = retries.ok_or_else(|| missing("MaximumRetryAttempts"))?;
                Some(FailedRuns { retries, dead_letters: self.optional(queue)? })
            }
        };
        let (policies, permissions) = self.policies(logical, properties)?;
        Ok(TemplateFunction {
            name: name.to_owned(),
            logical_id: logical.to_owned(),
            timeout_secs: number("Timeout")?,
            memory_mb: u32::try_from(number("MemorySize")?).map_err(|_| missing("MemorySize"))?,
            variables,
            routes,
            schedules,
            failed_runs,
            has_url: properties.get("FunctionUrlConfig").is_some(),
            stream,
            log_group: self
                .optional(property("LoggingConfig").and_then(|logging| logging.get("LogGroup")))?,
            policies,
            permissions,
        })
    }

    /// The logical names of the managed policies that a function refers to, and everything that it may do.
    fn policies(
        &self,
        logical: &str,
        properties: &Value,
    ) -> Result<(Vec<String>, Vec<Permission>), LocalError> {
        let mut policies = Vec::new();
        let mut permissions = Vec::new();
        for policy in items(properties.get("Policies")) {
            match policy {
                Value::Tagged(reference) if reference.tag == "!Ref" => {
                    let name = scalar(&reference.value);
                    let managed = self.managed_policies.get(&name).ok_or_else(|| {
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

    /// The resolved text of a property that may be missing.
    fn optional(&self, value: Option<&Value>) -> Result<Option<String>, LocalError> {
        value.map(|value| self.text(value)).transpose()
    }

    /// Reads the statements of a policy. One that says more than which actions it allows on which resources, and with
    /// which leading keys, is an error: it would be enforced here otherwise than by AWS.
    fn statements(&self, logical: &str, document: &Value) -> Result<Vec<Permission>, LocalError> {
        let mut permissions = Vec::new();
        for statement in items(document.get("Statement")) {
            let mut names: BTreeSet<&str> = entries(Some(statement)).map(|(name, _)| name).collect();
            names.remove("Condition");
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
                leading_keys: statement.get("Condition").map(|c| leading_keys(logical, c)).transpose()?,
            });
        }
        // A new function's list is empty until its permissions are written; a test sees to that.
        let is_empty_list = document.get("Statement").and_then(Value::as_sequence).is_some_and(Vec::is_empty);
        if permissions.is_empty() && !is_empty_list {
            return Err(malformed(format!("a policy of {logical} has no statement that is understood here")));
        }
        Ok(permissions)
    }

    /// Reads an event of type `DynamoDB`: which changes of a table start the function, and how it is retried.
    fn stream(&self, logical: &str, event: &Value) -> Result<TemplateStream, LocalError> {
        let properties = event.get("Properties").unwrap_or(&Value::Null);
        let queue = at(properties, &["DestinationConfig", "OnFailure", "Destination"]);
        self.stream_of(logical, properties, properties, queue)
    }

    /// Reads a pipe from a stream to a function: the function's logical name, and how the pipe starts it.
    pub(super) fn pipe(
        &self,
        logical: &str,
        resource: &Value,
        resources: Option<&Value>,
    ) -> Result<(String, TemplateStream), LocalError> {
        let property =
            |path: &[&str]| at(resource, &["Properties"]).and_then(|properties| at(properties, path));
        let missing = |what: &str| malformed(format!("{logical} has no {what}"));
        let target = self.optional(property(&["Target"]))?.ok_or_else(|| missing("Target"))?;
        let source = property(&["SourceParameters"]).ok_or_else(|| missing("SourceParameters"))?;
        let numbers = at(source, &["DynamoDBStreamParameters"]).unwrap_or(&Value::Null);
        let role = match property(&["RoleArn"]) {
            Some(Value::Tagged(reference)) => scalar(&reference.value),
            _ => return Err(missing("RoleArn")),
        };
        let role = role.split('.').next().unwrap_or_default();
        let policies = resources.and_then(|resources| at(resources, &[role, "Properties", "Policies"]));
        let mut permissions = Vec::new();
        for policy in items(policies) {
            let document = policy.get("PolicyDocument").unwrap_or(&Value::Null);
            permissions.extend(self.statements(role, document)?);
        }
        let invocation = property(&["TargetParameters", "LambdaFunctionParameters", "InvocationType"]);
        let mut stream =
            self.stream_of(logical, numbers, source, at(numbers, &["DeadLetterConfig", "Arn"]))?;
        stream.pipe = Some(TemplatePipe {
            is_awaited: invocation.map(scalar).as_deref() != Some("FIRE_AND_FORGET"),
            input_template: property(&["TargetParameters", "InputTemplate"]).map(scalar),
            permissions,
        });
        Ok((target, stream))
    }

    /// Reads what mappings and pipes call by the same names: `numbers` has the sizes, `source` the filters.
    fn stream_of(
        &self,
        logical: &str,
        numbers: &Value,
        source: &Value,
        queue: Option<&Value>,
    ) -> Result<TemplateStream, LocalError> {
        let number = |name: &str| {
            let number = numbers.get(name).and_then(Value::as_u64);
            number.ok_or_else(|| malformed(format!("the stream of {logical} has no {name}")))
        };
        let pattern = |filter: &Value| {
            let text = filter.get("Pattern").map(scalar).unwrap_or_default();
            serde_json::from_str(&text)
                .map_err(|error| malformed(format!("a filter of {logical} is no JSON: {error}")))
        };
        let filters = items(at(source, &["FilterCriteria", "Filters"]));
        Ok(TemplateStream {
            filters: filters.map(pattern).collect::<Result<_, _>>()?,
            batch: usize::try_from(number("BatchSize")?).unwrap_or(1),
            retries: u32::try_from(number("MaximumRetryAttempts")?).unwrap_or(u32::MAX),
            dead_letters: self.optional(queue)?,
            pipe: None,
        })
    }

    /// Reads a table from its properties, as the request that creates it.
    pub(super) fn table(&self, properties: &Value) -> Result<TemplateTable, LocalError> {
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
        Ok(TemplateTable { name, create: create.into(), ttl_attribute: ttl })
    }
}

/// Reads the condition of a statement, which can only be one on `dynamodb:LeadingKeys`.
fn leading_keys(logical: &str, condition: &Value) -> Result<LeadingKeys, LocalError> {
    const KEY: &str = "dynamodb:LeadingKeys";
    const LIKE: &str = "ForAllValues:StringLike";
    let unknown =
        || malformed(format!("a condition of {logical} is not {LIKE} of {KEY}, with or without Null: false"));
    let mut found = LeadingKeys::default();
    if condition.as_mapping().is_none_or(|operators| !operators.keys().all(Value::is_string)) {
        return Err(unknown());
    }
    for (operator, keys) in entries(Some(condition)) {
        if !entries(Some(keys)).map(|(name, _)| name).eq([KEY]) {
            return Err(unknown());
        }
        match operator {
            LIKE => found.patterns = items(keys.get(KEY)).map(scalar).collect(),
            "Null" if keys.get(KEY).map(scalar).as_deref() == Some("false") => found.is_required = true,
            _ => return Err(unknown()),
        }
    }
    // IAM would put another text in the place of a variable.
    let is_plain = |pattern: &String| !pattern.is_empty() && !pattern.contains('$');
    if found.patterns.is_empty() || !found.patterns.iter().all(is_plain) {
        return Err(unknown());
    }
    Ok(found)
}

/// The named members of a mapping; nothing where the value is no mapping.
pub(super) fn entries(value: Option<&Value>) -> impl Iterator<Item = (&str, &Value)> {
    value
        .and_then(Value::as_mapping)
        .into_iter()
        .flatten()
        .filter_map(|(name, value)| Some((name.as_str()?, value)))
}

/// The text of a string, number or truth value; empty for anything else.
pub(super) fn scalar(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        Value::Bool(flag) => flag.to_string(),
        _ => String::new(),
    }
}

/// The items of a list, or the single value that stands for a list of one item.
fn items(value: Option<&Value>) -> impl Iterator<Item = &Value> {
    let items = match value {
        None => &[],
        Some(Value::Sequence(items)) => items.as_slice(),
        Some(single) => std::slice::from_ref(single),
    };
    items.iter()
}

/// The value that a path of member names leads to, if every step is there.
fn at<'a>(value: &'a Value, path: &[&str]) -> Option<&'a Value> {
    path.iter().try_fold(value, |value, name| value.get(name))
}
