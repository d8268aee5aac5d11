//! `template.yaml`, as far as the stack needs it: functions with their routes, variables and permissions, and
//! tables, all references resolved.

mod resolver;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde_yaml_ng::{Mapping, Value};

use crate::LocalError;
use resolver::{Resolver, entries, scalar};

/// The template with its parameters filled in.
#[derive(Debug, Clone, Default)]
pub struct Template {
    /// The functions by name of folder, package and binary.
    pub functions: BTreeMap<String, Function>,
    /// The tables by logical name.
    pub tables: BTreeMap<String, Table>,
    /// The names of the secrets.
    pub secrets: Vec<String>,
    /// The log groups by name, each with the days that it keeps its lines.
    pub log_groups: BTreeMap<String, Option<u32>>,
    /// The logical names of the queues.
    pub queues: BTreeSet<String>,
}

/// A function.
#[derive(Debug, Clone, Default)]
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
    pub schedules: Vec<Schedule>,
    /// Whether it has a URL of its own, on which answers arrive piece by piece.
    pub has_url: bool,
    /// What of the stream of the tenants' table starts it.
    pub stream: Option<Stream>,
    /// The name of the log group that it writes to.
    pub log_group: Option<String>,
    /// The logical names of the managed policies that it refers to.
    pub policies: Vec<String>,
    /// What it may do: its own statements and those of the managed policies.
    pub permissions: Vec<Permission>,
}

/// A rule by which EventBridge starts a function.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schedule {
    /// When, such as `rate(1 minute)`.
    pub expression: String,
    /// The queue that takes events which no run took.
    pub dead_letters: Option<String>,
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
    /// The queue that is told of changes which no run took.
    pub dead_letters: Option<String>,
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

impl Permission {
    /// Every action with every resource.
    pub fn pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        let resources = self.resources.iter().map(String::as_str);
        self.actions.iter().flat_map(move |action| resources.clone().map(move |r| (action.as_str(), r)))
    }
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

    pub(crate) fn parse(text: &str, parameters: &[(&str, &str)]) -> Result<Self, LocalError> {
        let document: Mapping =
            serde_yaml_ng::from_str(text).map_err(|error| malformed(error.to_string()))?;
        let resources = document.get("Resources");
        let resolver = Resolver::new(&document, parameters)?;
        let globals = document.get("Globals").and_then(|globals| globals.get("Function"));
        let mut template = Self::default();
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
                "AWS::SecretsManager::Secret" => template.secrets.push(resolver.named(logical)?),
                "AWS::Logs::LogGroup" => {
                    let days =
                        properties.get("RetentionInDays").map(|days| resolver.text(days)).transpose()?;
                    let days = days.and_then(|days| days.parse().ok());
                    template.log_groups.insert(resolver.named(logical)?, days);
                }
                "AWS::SQS::Queue" => {
                    template.queues.insert(logical.to_owned());
                }
                _ => {}
            }
        }
        Ok(template)
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

    const POLICIES: &str = r"
Parameters: {T: {Default: table}}
Globals: {Function: {MemorySize: 256, LoggingConfig: {LogGroup: !Ref Lines}}}
Resources:
  Lines: {Type: AWS::Logs::LogGroup, Properties: {LogGroupName: /all, RetentionInDays: 7}}
  Common:
    Type: AWS::IAM::ManagedPolicy
    Properties: {PolicyDocument: {Statement: [{Effect: Allow, Action: [a:Get], Resource: !Ref T}]}}
  F:
    Type: AWS::Serverless::Function
    Properties:
      CodeUri: target/f/
      Timeout: 3
      Policies:
        - !Ref Common
        - Statement: {Effect: Allow, Action: [a:Put, a:Query], Resource: [!Ref T]}
";

    fn refused(text: &str) -> String {
        Template::parse(text, &[]).unwrap_err().to_string()
    }

    #[test]
    fn a_function_has_what_its_managed_policies_and_the_globals_say() {
        let template = Template::parse(POLICIES, &[]).unwrap();
        let function = &template.functions["f"];
        let permission = |actions: &[&str]| Permission {
            actions: actions.iter().map(|&action| action.to_owned()).collect(),
            resources: vec!["table".to_owned()],
        };
        assert_eq!(function.permissions, [permission(&["a:Get"]), permission(&["a:Put", "a:Query"])]);
        assert_eq!(
            (function.policies.as_slice(), function.memory_mb),
            (["Common".to_owned()].as_slice(), 256)
        );
        assert_eq!(function.log_group.as_deref(), Some("/all"));
        assert_eq!(template.log_groups, BTreeMap::from([("/all".to_owned(), Some(7))]));
    }

    #[test]
    fn what_a_policy_says_beyond_allowing_actions_on_resources_is_refused_and_not_overlooked() {
        let error = refused(&POLICIES.replace("- !Ref Common", "- !Ref Lines"));
        assert!(error.contains("F refers to Lines, which is no managed policy"), "{error}");
        for other in ["Effect: Deny", "Condition: {}, Effect: Allow"] {
            let error = refused(
                &POLICIES.replace("{Effect: Allow, Action: [a:Put", &format!("{{{other}, Action: [a:Put")),
            );
            assert!(error.contains("a statement of F is not"), "{error}");
        }
        let error = refused(&POLICIES.replace("- !Ref Common", "- AdministratorAccess"));
        assert!(error.contains("a policy of F has no statement"), "{error}");
    }

    #[test]
    fn an_unknown_parameter_is_refused() {
        assert!(Template::read(&[("Stgae", "x")]).is_err());
    }
}
