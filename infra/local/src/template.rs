//! `template.yaml`, as far as the stack needs it: functions with their routes, variables and permissions, and
//! tables, all references resolved.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_yaml_ng::{Mapping, Value};

use crate::LocalError;

/// The template with its parameters filled in.
#[derive(Debug, Clone)]
pub struct Template {
    /// The functions by name of folder, package and binary.
    pub functions: BTreeMap<String, Function>,
    /// The tables by logical name.
    pub tables: BTreeMap<String, Table>,
    /// The names of the secrets.
    pub secrets: Vec<String>,
}

/// A function.
#[derive(Debug, Clone)]
pub struct Function {
    /// Folder, package and binary.
    pub name: String,
    /// The name in the template.
    pub logical_id: String,
    /// The time a run has, in seconds.
    pub timeout_secs: u64,
    /// In MB.
    pub memory_mb: u32,
    /// Its variables.
    pub variables: BTreeMap<String, String>,
    /// Its routes.
    pub routes: Vec<Route>,
    /// Its schedules.
    pub schedules: Vec<String>,
    /// Whether it has a URL of its own, on which answers arrive piece by piece.
    pub has_url: bool,
    /// What of the stream of the tenants' table starts it.
    pub stream: Option<Stream>,
    /// What it may do.
    pub permissions: Vec<Permission>,
}

/// How a stream starts a function.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stream {
    /// A change that fits any of these patterns.
    pub filters: Vec<serde_json::Value>,
    /// So many changes at a time.
    pub batch: usize,
    /// How often a batch that failed is tried again.
    pub retries: u32,
}

/// A route of the HTTP API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// `ANY`, or an HTTP method.
    pub method: String,
    /// With `{parameters}`; `$default` for what no other route takes.
    pub path: String,
}

/// A statement of a policy. All of ours allow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Permission {
    /// Such as `dynamodb:GetItem`.
    pub actions: Vec<String>,
    /// Physical names; an index as `<table>/index/<index>`.
    pub resources: Vec<String>,
}

/// A table.
#[derive(Debug, Clone)]
pub struct Table {
    /// Its physical name.
    pub name: String,
    /// The request that creates it, in DynamoDB's JSON.
    pub create: serde_json::Value,
    /// The attribute that lets items go.
    pub ttl_attribute: Option<String>,
}

struct Resolver {
    parameters: BTreeMap<String, String>,
    names: BTreeMap<String, String>,
}

fn malformed(what: impl Into<String>) -> LocalError {
    LocalError::Template(what.into())
}

/// The repository that this package is part of.
pub fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").components().collect()
}

impl Template {
    /// Reads `template.yaml` of this repository. `parameters` replace the defaults.
    ///
    /// # Errors
    /// [`LocalError`] that names what is missing or malformed.
    pub fn read(parameters: &[(&str, &str)]) -> Result<Self, LocalError> {
        let path = repository().join("template.yaml");
        let text =
            std::fs::read_to_string(&path).map_err(LocalError::io(format!("reading {}", path.display())))?;
        Self::parse(&text, parameters)
    }

    fn parse(text: &str, parameters: &[(&str, &str)]) -> Result<Self, LocalError> {
        let document: Mapping =
            serde_yaml_ng::from_str(text).map_err(|error| malformed(error.to_string()))?;
        let mut resolver = Resolver { parameters: BTreeMap::new(), names: BTreeMap::new() };
        for (name, parameter) in entries(document.get("Parameters")) {
            let default = parameter.get("Default").map(scalar).unwrap_or_default();
            resolver.parameters.insert(name.to_owned(), default);
        }
        for (name, value) in parameters {
            let known = resolver.parameters.insert((*name).to_owned(), (*value).to_owned());
            known.ok_or_else(|| malformed(format!("there is no parameter {name}")))?;
        }
        let resources = document.get("Resources");
        for (logical, resource) in entries(resources) {
            for property in ["TableName", "Name"] {
                if let Some(name) = resource.get("Properties").and_then(|p| p.get(property)) {
                    let name = resolver.text(name)?;
                    resolver.names.insert(logical.to_owned(), name);
                }
            }
        }
        let globals = document.get("Globals").and_then(|globals| globals.get("Function"));
        let mut template = Self { functions: BTreeMap::new(), tables: BTreeMap::new(), secrets: Vec::new() };
        for (logical, resource) in entries(resources) {
            let properties = resource.get("Properties").unwrap_or(&Value::Null);
            match resource.get("Type").map(scalar).unwrap_or_default().as_str() {
                "AWS::Serverless::Function" => {
                    let function = resolver.function(logical, properties, globals)?;
                    template.functions.insert(function.name.clone(), function);
                }
                "AWS::DynamoDB::Table" => {
                    template.tables.insert(logical.to_owned(), resolver.table(properties)?);
                }
                "AWS::SecretsManager::Secret" => template.secrets.push(resolver.names[logical].clone()),
                _ => {}
            }
        }
        Ok(template)
    }
}

fn entries(value: Option<&Value>) -> impl Iterator<Item = (&str, &Value)> {
    value
        .and_then(Value::as_mapping)
        .into_iter()
        .flatten()
        .filter_map(|(name, value)| Some((name.as_str()?, value)))
}

fn scalar(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        Value::Bool(flag) => flag.to_string(),
        _ => String::new(),
    }
}

fn items(value: Option<&Value>) -> impl Iterator<Item = &Value> {
    value.and_then(Value::as_sequence).into_iter().flatten()
}

fn stream_of(logical: &str, event: &Value) -> Result<Stream, LocalError> {
    let properties = event.get("Properties").unwrap_or(&Value::Null);
    let number = |name: &str| {
        let number = properties.get(name).and_then(Value::as_u64);
        number.ok_or_else(|| malformed(format!("the stream of {logical} has no {name}")))
    };
    let filters = items(properties.get("FilterCriteria").and_then(|criteria| criteria.get("Filters")));
    let pattern = |filter: &Value| {
        let text = filter.get("Pattern").map(scalar).unwrap_or_default();
        serde_json::from_str(&text)
            .map_err(|error| malformed(format!("a filter of {logical} is no JSON: {error}")))
    };
    Ok(Stream {
        filters: filters.map(pattern).collect::<Result<_, _>>()?,
        batch: usize::try_from(number("BatchSize")?).unwrap_or(1),
        retries: u32::try_from(number("MaximumRetryAttempts")?).unwrap_or(u32::MAX),
    })
}

impl Resolver {
    /// A text with `!Ref`, `!Sub` and `!GetAtt ... .Arn` resolved. An ARN is the bare name here.
    fn text(&self, value: &Value) -> Result<String, LocalError> {
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

    fn named(&self, name: &str) -> Result<String, LocalError> {
        let known = self.parameters.get(name).or_else(|| self.names.get(name));
        known.cloned().ok_or_else(|| malformed(format!("`{name}` names nothing that the local stack has")))
    }

    fn function(
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
                "Schedule" => schedules.push(property("Schedule").unwrap_or_default()),
                "DynamoDB" => stream = Some(stream_of(logical, event)?),
                other => return Err(malformed(format!("{logical} has an event of type {other}"))),
            }
        }
        let mut permissions = Vec::new();
        for statement in items(properties.get("Policies")).flat_map(|policy| items(policy.get("Statement"))) {
            permissions.push(Permission {
                actions: items(statement.get("Action")).map(scalar).collect(),
                resources: items(statement.get("Resource"))
                    .map(|r| self.text(r))
                    .collect::<Result<_, _>>()?,
            });
        }
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
            permissions,
        })
    }

    fn table(&self, properties: &Value) -> Result<Table, LocalError> {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reference_to_nothing_is_named() {
        let text = "Resources:\n  T:\n    Type: AWS::DynamoDB::Table\n    Properties:\n      TableName: !Ref Nobody\n";
        let error = Template::parse(text, &[]).unwrap_err().to_string();
        assert!(error.contains("`Nobody` names nothing"), "{error}");
    }

    #[test]
    fn an_unknown_parameter_is_refused() {
        assert!(Template::read(&[("Stgae", "x")]).is_err());
    }
}
