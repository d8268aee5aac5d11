//! Enforces the policies of `template.yaml`: a function that does what its policy does not list fails here
//! already, and not only on a deployed stage.

mod uses;

use std::collections::BTreeMap;

use axum::http::HeaderMap;
use serde_json::Value;

use crate::template::{Permission, SamTemplate};
pub use uses::{FOLDER, UseRecord, all_used};

/// An action that a request needs, and the resource that it needs the action on.
pub type Need = (String, String);

/// What each function may do. Callers that are no function (people, tests) may do everything.
pub struct Permissions {
    functions: BTreeMap<String, Vec<Permission>>,
    /// Where the use of a permission is recorded, if it is.
    uses: Option<UseRecord>,
}

/// The caller of an AWS service, as the signature of the request names it.
#[derive(Debug, Clone, Copy)]
pub struct AwsCaller<'a> {
    /// The access key, which is the name of a function for its environments, and any other text for people and tests.
    pub name: &'a str,
    /// Whether the credentials have a session token. Only those of an execution environment have one.
    pub is_environment: bool,
}

impl<'a> AwsCaller<'a> {
    /// Reads the caller from the headers of a request.
    pub fn of(headers: &'a HeaderMap) -> Self {
        let signature = headers.get("authorization").and_then(|value| value.to_str().ok());
        let credential = signature.and_then(|text| text.split("Credential=").nth(1)).unwrap_or_default();
        Self {
            name: credential.split('/').next().unwrap_or_default(),
            is_environment: headers.contains_key("x-amz-security-token"),
        }
    }
}

impl Permissions {
    /// The permissions of the template's functions. Their uses go to `uses`, where there is one.
    pub fn of(template: &SamTemplate, uses: Option<UseRecord>) -> Self {
        let functions = template.functions.values();
        Self { functions: functions.map(|f| (f.name.clone(), f.permissions.clone())).collect(), uses }
    }

    /// Checks whether `caller` may do all of `needs`, and records what an execution environment does as used.
    ///
    /// # Errors
    /// The first action and resource that are not allowed, in IAM's words.
    pub fn check(&self, caller: AwsCaller<'_>, needs: &[Need]) -> Result<(), String> {
        let AwsCaller { name, is_environment } = caller;
        let Some(allowed) = self.functions.get(name) else { return Ok(()) };
        for (action, resource) in needs {
            let covers = |p: &Permission| p.actions.contains(action) && p.resources.contains(resource);
            if !allowed.iter().any(covers) {
                return Err(format!("{name} is not authorized to perform: {action} on resource: {resource}"));
            }
        }
        // A test that signs with a function's name shows nothing about what the function itself does.
        if let Some(uses) = self.uses.as_ref().filter(|_| is_environment) {
            for (action, resource) in needs {
                uses.record(name, action, resource);
            }
        }
        Ok(())
    }
}

/// The permissions that a request to DynamoDB needs. A transaction needs those of all its parts.
pub fn needs(operation: &str, request: &Value) -> Vec<Need> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    match operation {
        // The members of `RequestItems` are named after the tables.
        "BatchWriteItem" | "BatchGetItem" => {
            let tables = request["RequestItems"].as_object().into_iter().flatten();
            tables.map(|(table, _)| (format!("dynamodb:{operation}"), table.clone())).collect()
        }
        "TransactWriteItems" | "TransactGetItems" => {
            let parts =
                request["TransactItems"].as_array().into_iter().flatten().filter_map(Value::as_object);
            parts
                .flatten()
                .map(|(kind, part)| {
                    let action = match kind.as_str() {
                        "ConditionCheck" => "ConditionCheckItem".to_owned(),
                        kind => format!("{kind}Item"),
                    };
                    (format!("dynamodb:{action}"), text(&part["TableName"]))
                })
                .collect()
        }
        operation => {
            let table = text(&request["TableName"]);
            let resource = match request["IndexName"].as_str() {
                Some(index) => format!("{table}/index/{index}"),
                None => table,
            };
            vec![(format!("dynamodb:{operation}"), resource)]
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_transaction_needs_what_its_parts_need() {
        let request = json!({"TransactItems": [{"Put": {"TableName": "a"}}, {"Delete": {"TableName": "b"}}]});
        let expected = [("dynamodb:PutItem", "a"), ("dynamodb:DeleteItem", "b")];
        let found = needs("TransactWriteItems", &request);
        assert!(found.iter().map(|(a, r)| (a.as_str(), r.as_str())).eq(expected));
    }

    #[test]
    fn a_batch_needs_its_action_on_each_of_its_tables() {
        let request = json!({"RequestItems": {"a": [], "b": []}});
        let needed = |table: &str| ("dynamodb:BatchWriteItem".to_owned(), table.to_owned());
        assert_eq!(needs("BatchWriteItem", &request), [needed("a"), needed("b")]);
    }

    #[test]
    fn an_index_is_a_resource_of_its_own() {
        let permission = Permission { actions: vec!["dynamodb:Query".into()], resources: vec!["t".into()] };
        let functions = BTreeMap::from([("f".to_owned(), vec![permission])]);
        let permissions = Permissions { functions, uses: None };
        let check = |name: &'static str, operation: &str, request: Value| {
            permissions.check(AwsCaller { name, is_environment: true }, &needs(operation, &request))
        };
        assert!(check("f", "Query", json!({"TableName": "t"})).is_ok());
        assert!(check("f", "Query", json!({"TableName": "t", "IndexName": "GSI1"})).is_err());
        assert!(check("f", "PutItem", json!({"TableName": "t"})).is_err());
        assert!(check("somebody", "PutItem", json!({"TableName": "t"})).is_ok());
    }

    #[test]
    fn the_caller_is_in_the_signature_and_an_environment_has_a_session_token() {
        let mut headers = HeaderMap::new();
        assert_eq!(AwsCaller::of(&headers).name, "");
        let signature =
            "AWS4-HMAC-SHA256 Credential=keys-id/20260101/eu-west-1/dynamodb/aws4_request, SignedHeaders=x";
        headers.insert("authorization", signature.parse().unwrap());
        assert_eq!(
            (AwsCaller::of(&headers).name, AwsCaller::of(&headers).is_environment),
            ("keys-id", false)
        );
        headers.insert("x-amz-security-token", "local".parse().unwrap());
        assert!(AwsCaller::of(&headers).is_environment);
    }
}
