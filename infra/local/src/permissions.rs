//! The policies of `template.yaml`, enforced: a function that does what its policy does not list fails here
//! and not first on a deployed stage.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::template::{Permission, Template};

/// What each function may do. Callers that are no function (people, tests) may do everything.
pub struct Permissions {
    functions: BTreeMap<String, Vec<Permission>>,
}

impl Permissions {
    /// Those of the template.
    pub fn of(template: &Template) -> Self {
        let functions = template.functions.values();
        Self { functions: functions.map(|f| (f.name.clone(), f.permissions.clone())).collect() }
    }

    /// Whether `caller` may do `operation` as `request` says.
    ///
    /// # Errors
    /// The action and resource that are not allowed, in IAM's words.
    pub fn check(&self, caller: &str, operation: &str, request: &Value) -> Result<(), String> {
        let Some(allowed) = self.functions.get(caller) else { return Ok(()) };
        for (action, resource) in needs(operation, request) {
            let covers = |p: &Permission| p.actions.contains(&action) && p.resources.contains(&resource);
            if !allowed.iter().any(covers) {
                return Err(format!(
                    "{caller} is not authorized to perform: {action} on resource: {resource}"
                ));
            }
        }
        Ok(())
    }
}

/// The function whose credentials signed a request.
pub fn caller_of(authorization: &str) -> &str {
    let credential = authorization.split("Credential=").nth(1).unwrap_or_default();
    credential.split('/').next().unwrap_or_default()
}

/// The actions that a request needs, each with its resource. A transaction needs those of its parts.
fn needs(operation: &str, request: &Value) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    match operation {
        // A batch names its tables as the keys of its requests.
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
        let permissions = Permissions { functions: BTreeMap::from([("f".to_owned(), vec![permission])]) };
        assert!(permissions.check("f", "Query", &json!({"TableName": "t"})).is_ok());
        assert!(permissions.check("f", "Query", &json!({"TableName": "t", "IndexName": "GSI1"})).is_err());
        assert!(permissions.check("f", "PutItem", &json!({"TableName": "t"})).is_err());
        assert!(permissions.check("somebody", "PutItem", &json!({"TableName": "t"})).is_ok());
    }

    #[test]
    fn the_caller_is_in_the_signature() {
        let header =
            "AWS4-HMAC-SHA256 Credential=keys-id/20260101/eu-west-1/dynamodb/aws4_request, SignedHeaders=x";
        assert_eq!(caller_of(header), "keys-id");
        assert_eq!(caller_of(""), "");
    }
}
