//! `template.yaml` as far as the stack needs it: functions with their routes, variables and permissions, and
//! tables, with all references resolved.

mod resolver;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde_yaml_ng::{Mapping, Value};

use crate::LocalError;
use resolver::{Resolver, entries, scalar};

/// The template with its parameters filled in; SAM is the AWS Serverless Application Model that it is written in.
#[derive(Debug, Clone, Default)]
pub struct SamTemplate {
    /// The functions, by the name that folder, package and binary have in common.
    pub functions: BTreeMap<String, TemplateFunction>,
    /// The tables, by logical name.
    pub tables: BTreeMap<String, TemplateTable>,
    /// The log groups by name, each with the days that it keeps its lines; `None` keeps them for ever.
    pub log_groups: BTreeMap<String, Option<u32>>,
    /// The logical names of the queues.
    pub queues: BTreeSet<String>,
}

/// An `AWS::Serverless::Function` of the template.
#[derive(Debug, Clone, Default)]
pub struct TemplateFunction {
    /// The name that the function's folder, package and binary have in common.
    pub name: String,
    /// The name of the resource in the template.
    pub logical_id: String,
    /// How long one run may take, in seconds.
    pub timeout_secs: u64,
    /// The memory of an environment, in MB.
    pub memory_mb: u32,
    /// The environment variables, those of the template's globals included.
    pub variables: BTreeMap<String, String>,
    /// The routes of the HTTP API that the function answers.
    pub routes: Vec<TemplateRoute>,
    /// The schedules that start the function.
    pub schedules: Vec<TemplateSchedule>,
    /// What happens where a run that nobody waits for fails; Lambda tries twice again and forgets it without this.
    pub failed_runs: Option<FailedRuns>,
    /// Whether the function has a URL of its own, on which answers arrive piece by piece.
    pub has_url: bool,
    /// Which changes of the tenants' table start the function, if any do.
    pub stream: Option<TemplateStream>,
    /// The name of the log group that the function writes to.
    pub log_group: Option<String>,
    /// The logical names of the managed policies that the function refers to.
    pub policies: Vec<String>,
    /// What the function may do: its own statements and those of its managed policies.
    pub permissions: Vec<Permission>,
}

/// A rule by which EventBridge starts a function at certain times.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TemplateSchedule {
    /// When the function is started, such as `rate(1 minute)`.
    pub expression: String,
    /// The queue that receives an event which could not be delivered to Lambda. How a run ends is nothing to the rule.
    pub dead_letters: Option<String>,
}

/// What Lambda does where a run fails that nobody waits for, such as that of a schedule: `EventInvokeConfig`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FailedRuns {
    /// How many times the run is tried again.
    pub retries: u32,
    /// The queue that receives the event, with the error, when no run succeeded.
    pub dead_letters: Option<String>,
}

/// How the stream of a table starts a function.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TemplateStream {
    /// Patterns, of which a change has to fit one to start the function; without patterns every change starts it.
    pub filters: Vec<serde_json::Value>,
    /// The largest number of changes that one run receives.
    pub batch: usize,
    /// How many times a batch that failed is tried again.
    pub retries: u32,
    /// The queue that is notified of changes for which no run succeeded, or that a pipe could not hand over.
    pub dead_letters: Option<String>,
    /// The pipe that starts the function, if it is not an event source mapping.
    pub pipe: Option<TemplatePipe>,
}

/// What an `AWS::Pipes::Pipe` from the stream to a function says beside what an event source mapping says as well.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TemplatePipe {
    /// Whether the pipe waits for the run, and so the changes behind it in its lane do.
    pub is_awaited: bool,
    /// What the function gets of a change, with `<$.path>` for what the change has there.
    pub input_template: Option<String>,
    /// What the role of the pipe allows.
    pub permissions: Vec<Permission>,
}

/// A route of the HTTP API, as API Gateway knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TemplateRoute {
    /// An HTTP method, or `ANY`.
    pub method: String,
    /// The path with its `{parameters}`, or `$default` for every request that no other route takes.
    pub path: String,
}

/// A statement of a policy. All statements of this template allow something; none denies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Permission {
    /// The actions that are allowed, such as `dynamodb:GetItem`.
    pub actions: Vec<String>,
    /// The resources that they are allowed on, by physical name; an index is `<table>/index/<index>`. What the template
    /// names by an ARN is a pattern of ARNs.
    pub resources: Vec<String>,
    /// The items of a table that they are allowed on; `None` where the statement has no condition.
    pub leading_keys: Option<LeadingKeys>,
}

/// The condition of a statement on `dynamodb:LeadingKeys`, the partition keys that a request names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LeadingKeys {
    /// Patterns (`ForAllValues:StringLike`): each key of the request has to be like one of them.
    pub patterns: Vec<String>,
    /// Whether the request has to name a key (`Null: false`). Without this, one that names none passes, a scan too.
    pub is_required: bool,
}

/// A part of a permission: one action on one resource, and one pattern of leading keys where it has any.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Grant<'a> {
    pub action: &'a str,
    pub resource: &'a str,
    pub leading_key: Option<&'a str>,
}

impl std::fmt::Display for Grant<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} on {}", self.action, self.resource)?;
        self.leading_key.map_or(Ok(()), |key| write!(f, " with leading key {key}"))
    }
}

impl Permission {
    /// The permission taken apart: every action with every resource and every pattern of leading keys.
    pub fn grants(&self) -> Vec<Grant<'_>> {
        let patterns: Vec<Option<&str>> = match &self.leading_keys {
            None => vec![None],
            Some(keys) => keys.patterns.iter().map(|pattern| Some(pattern.as_str())).collect(),
        };
        let mut grants = Vec::new();
        for action in &self.actions {
            for resource in &self.resources {
                let grant = |leading_key| Grant { action, resource, leading_key };
                grants.extend(patterns.iter().copied().map(grant));
            }
        }
        grants
    }
}

/// An `AWS::DynamoDB::Table` of the template.
#[derive(Debug, Clone)]
pub struct TemplateTable {
    /// The physical name of the table.
    pub name: String,
    /// The `CreateTable` request for the table, in DynamoDB's JSON.
    pub create: serde_json::Value,
    /// The attribute that says when an item expires.
    pub ttl_attribute: Option<String>,
}

fn malformed(what: impl Into<String>) -> LocalError {
    LocalError::Template(what.into())
}

/// The root folder of the repository that this package is part of.
pub fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").components().collect()
}

impl SamTemplate {
    /// Reads `template.yaml` of this repository; `parameters` replace the template's defaults.
    ///
    /// # Errors
    /// [`LocalError`] that names what is missing or malformed, or a parameter that the template does not have.
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
        for (logical, resource) in entries(resources) {
            if resource.get("Type").is_some_and(|kind| kind == "AWS::Pipes::Pipe") {
                let (target, stream) = resolver.pipe(logical, resource, resources)?;
                let function = template.functions.values_mut().find(|f| f.logical_id == target);
                let function = function.ok_or_else(|| malformed(format!("{logical} starts no function")))?;
                if function.stream.replace(stream).is_some() {
                    return Err(malformed(format!("{target} is started by the stream twice")));
                }
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
        let error = SamTemplate::parse(text, &[]).unwrap_err().to_string();
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
        SamTemplate::parse(text, &[]).unwrap_err().to_string()
    }

    #[test]
    fn a_function_has_what_its_managed_policies_and_the_globals_say() {
        let template = SamTemplate::parse(POLICIES, &[]).unwrap();
        let function = &template.functions["f"];
        let permission = |actions: &[&str]| Permission {
            actions: actions.iter().map(|&action| action.to_owned()).collect(),
            resources: vec!["table".to_owned()],
            leading_keys: None,
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
        for other in ["Effect: Deny", "NotAction: x, Effect: Allow"] {
            let error = refused(
                &POLICIES.replace("{Effect: Allow, Action: [a:Put", &format!("{{{other}, Action: [a:Put")),
            );
            assert!(error.contains("a statement of F is not"), "{error}");
        }
        let error = refused(&POLICIES.replace("- !Ref Common", "- AdministratorAccess"));
        assert!(error.contains("a policy of F has no statement"), "{error}");
    }

    #[test]
    fn a_condition_names_leading_keys_and_any_other_is_refused() {
        let with = |condition: &str| {
            let statement = format!("{{Condition: {condition}, Effect: Allow, Action: [a:Put");
            SamTemplate::parse(&POLICIES.replace("{Effect: Allow, Action: [a:Put", &statement), &[])
        };
        let like = r#"{"ForAllValues:StringLike": {"dynamodb:LeadingKeys": [A#*, B]}"#;
        for (rest, is_required) in [("}", false), (r#", "Null": {"dynamodb:LeadingKeys": "false"}}"#, true)] {
            let template = with(&format!("{like}{rest}")).unwrap();
            let patterns = vec!["A#*".to_owned(), "B".to_owned()];
            let found = &template.functions["f"].permissions[1].leading_keys;
            assert_eq!(found.as_ref(), Some(&LeadingKeys { patterns, is_required }));
        }
        for other in [
            "{}",
            r#"{"Null": {"dynamodb:LeadingKeys": "false"}}"#,
            // Without quotes `Null` is no text in YAML, but nothing.
            r#"{"ForAllValues:StringLike": {"dynamodb:LeadingKeys": [A]}, Null: {"dynamodb:LeadingKeys": "false"}}"#,
            r#"{StringLike: {"dynamodb:LeadingKeys": [A]}}"#,
            r#"{"ForAllValues:StringLike": {"dynamodb:LeadingKeys": []}}"#,
            r#"{"ForAllValues:StringLike": {"dynamodb:LeadingKeys": ["${aws:username}"]}}"#,
            r#"{"ForAllValues:StringLike": {"dynamodb:Attributes": [A]}}"#,
            r#"{"ForAllValues:StringLike": {"dynamodb:LeadingKeys": [A]}, "Null": {"dynamodb:LeadingKeys": "true"}}"#,
        ] {
            let error = with(other).unwrap_err().to_string();
            assert!(error.contains("a condition of F is not"), "{other}: {error}");
        }
    }

    #[test]
    fn an_unknown_parameter_is_refused() {
        assert!(SamTemplate::read(&[("Stgae", "x")]).is_err());
    }
}
