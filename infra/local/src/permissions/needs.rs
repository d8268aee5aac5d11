//! What a request to DynamoDB needs: which actions, on which resources, with which leading keys, as IAM sees it.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::template::SamTemplate;

/// An action that a request takes on a resource, which a single statement has to allow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Need {
    /// The action, such as `dynamodb:GetItem`.
    pub action: String,
    /// The physical name of the resource; an index is `<table>/index/<index>`.
    pub resource: String,
    /// The partition keys that the request names: those of the table, or of the index that it queries.
    pub leading_keys: Vec<String>,
}

impl Need {
    /// An action on a resource that has no keys.
    pub fn of(action: &str, resource: &str) -> Self {
        Self { action: action.to_owned(), resource: resource.to_owned(), leading_keys: Vec::new() }
    }
}

/// The name of the attribute that is the partition key, for each table and each index.
pub struct PartitionAttributes(BTreeMap<String, String>);

impl PartitionAttributes {
    /// Those of the template's tables.
    pub fn of(template: &SamTemplate) -> Self {
        let mut attributes = BTreeMap::new();
        let hash = |schema: &Value| {
            let mut keys = schema["KeySchema"].as_array().into_iter().flatten();
            let hash = keys.find(|key| key["KeyType"] == "HASH");
            hash.and_then(|key| key["AttributeName"].as_str()).unwrap_or_default().to_owned()
        };
        for table in template.tables.values() {
            attributes.insert(table.name.clone(), hash(&table.create));
            for index in table.create["GlobalSecondaryIndexes"].as_array().into_iter().flatten() {
                let name = index["IndexName"].as_str().unwrap_or_default();
                attributes.insert(format!("{}/index/{name}", table.name), hash(index));
            }
        }
        Self(attributes)
    }

    /// The partition key of an item or of a key. One that is no text is like no pattern.
    fn in_item(&self, resource: &str, item: &Value) -> String {
        let attribute = self.0.get(resource).map_or("", String::as_str);
        item[attribute]["S"].as_str().unwrap_or_default().to_owned()
    }

    /// The partition key that a query asks for. A condition that names none, or more than one, is a query without
    /// leading keys.
    fn in_query(&self, resource: &str, request: &Value) -> Vec<String> {
        let attribute = self.0.get(resource).map_or("", String::as_str);
        let condition = request["KeyConditionExpression"].as_str().unwrap_or_default();
        let condition = condition.replace(['(', ')'], " ").replace('=', " = ");
        let words: Vec<&str> = condition.split_whitespace().collect();
        let name = |word| request["ExpressionAttributeNames"][word].as_str().unwrap_or(word);
        let value = |word: &str| request["ExpressionAttributeValues"][word]["S"].as_str();
        let equals = words.windows(3).filter(|term| term[1] == "=" && name(term[0]) == attribute);
        let keys: Vec<_> = equals.map(|term| value(term[2])).collect();
        match keys[..] {
            [Some(key)] => vec![key.to_owned()],
            _ => Vec::new(),
        }
    }

    /// What a request needs. A transaction needs what each of its parts does, and a batch all its keys at once.
    pub fn needs(&self, operation: &str, request: &Value) -> Vec<Need> {
        match operation {
            "BatchWriteItem" | "BatchGetItem" => {
                // The members of `RequestItems` are named after the tables.
                let tables = request["RequestItems"].as_object().into_iter().flatten();
                tables.map(|(table, part)| self.batch(operation, table, part)).collect()
            }
            "TransactWriteItems" | "TransactGetItems" => {
                let parts = request["TransactItems"].as_array().into_iter().flatten();
                let parts = parts.filter_map(Value::as_object).flatten();
                let operation = |kind: &str| match kind {
                    "ConditionCheck" => "ConditionCheckItem".to_owned(),
                    kind => format!("{kind}Item"),
                };
                parts.map(|(kind, part)| self.single(&operation(kind), part)).collect()
            }
            operation => vec![self.single(operation, request)],
        }
    }

    fn batch(&self, operation: &str, table: &str, part: &Value) -> Need {
        // Gets are a list of keys below `Keys`, and writes a list of puts and deletes.
        let items = part["Keys"].as_array().or(part.as_array()).into_iter().flatten();
        let item = |item: &Value| {
            let of_write = [&item["PutRequest"]["Item"], &item["DeleteRequest"]["Key"]];
            let item = of_write.into_iter().find(|part| !part.is_null()).unwrap_or(item);
            self.in_item(table, item)
        };
        Need { leading_keys: items.map(item).collect(), ..Need::of(&format!("dynamodb:{operation}"), table) }
    }

    fn single(&self, operation: &str, request: &Value) -> Need {
        let table = request["TableName"].as_str().unwrap_or_default();
        let resource = match request["IndexName"].as_str() {
            Some(index) => format!("{table}/index/{index}"),
            None => table.to_owned(),
        };
        let leading_keys = match operation {
            "Query" => self.in_query(&resource, request),
            "PutItem" => vec![self.in_item(&resource, &request["Item"])],
            "GetItem" | "UpdateItem" | "DeleteItem" | "ConditionCheckItem" => {
                vec![self.in_item(&resource, &request["Key"])]
            }
            _ => Vec::new(),
        };
        Need { leading_keys, ..Need::of(&format!("dynamodb:{operation}"), &resource) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn needs(operation: &str, request: &Value) -> Vec<(String, String, Vec<String>)> {
        let attributes = [("a", "PK"), ("b", "PK"), ("a/index/GSI1", "GSI1PK")];
        let attributes = attributes.map(|(resource, name)| (resource.to_owned(), name.to_owned()));
        let needs = PartitionAttributes(BTreeMap::from(attributes)).needs(operation, request);
        needs.into_iter().map(|need| (need.action, need.resource, need.leading_keys)).collect()
    }

    fn need(action: &str, resource: &str, keys: &[&str]) -> (String, String, Vec<String>) {
        let keys = keys.iter().map(|&key| key.to_owned()).collect();
        (format!("dynamodb:{action}"), resource.to_owned(), keys)
    }

    #[test]
    fn a_transaction_needs_what_its_parts_need() {
        let request = json!({"TransactItems": [
            {"Put": {"TableName": "a", "Item": {"PK": {"S": "1"}}}},
            {"ConditionCheck": {"TableName": "b", "Key": {"PK": {"S": "2"}}}},
        ]});
        let expected = [need("PutItem", "a", &["1"]), need("ConditionCheckItem", "b", &["2"])];
        assert_eq!(needs("TransactWriteItems", &request), expected);
        let request = json!({"TransactItems": [{"Get": {"TableName": "a", "Key": {"PK": {"S": "1"}}}}]});
        assert_eq!(needs("TransactGetItems", &request), [need("GetItem", "a", &["1"])]);
    }

    #[test]
    fn a_batch_needs_its_action_on_each_of_its_tables_with_all_its_keys() {
        let put = json!({"PutRequest": {"Item": {"PK": {"S": "1"}}}});
        let delete = json!({"DeleteRequest": {"Key": {"PK": {"S": "2"}}}});
        let request = json!({"RequestItems": {"a": [put, delete], "b": [put]}});
        let expected = [need("BatchWriteItem", "a", &["1", "2"]), need("BatchWriteItem", "b", &["1"])];
        assert_eq!(needs("BatchWriteItem", &request), expected);
        let request = json!({"RequestItems": {"a": {"Keys": [{"PK": {"S": "1"}}, {"PK": {"N": "1"}}]}}});
        assert_eq!(needs("BatchGetItem", &request), [need("BatchGetItem", "a", &["1", ""])]);
    }

    #[test]
    fn a_query_leads_with_the_key_of_the_table_or_of_the_index_that_it_names() {
        let query = |index: Value, condition: &str| {
            let request = json!({
                "TableName": "a", "IndexName": index, "KeyConditionExpression": condition,
                "ExpressionAttributeNames": {"#pk": "PK", "#i": "GSI1PK", "#sk": "SK"},
                "ExpressionAttributeValues": {":one": {"S": "1"}, ":two": {"S": "2"}},
            });
            needs("Query", &request)
        };
        let of_table = need("Query", "a", &["1"]);
        for condition in [
            "#pk = :one",
            "PK=:one",
            "(#pk = :one) and #sk >= :two",
            "begins_with(#sk, :two) AND #pk=:one",
            "#sk BETWEEN :two AND :two AND #pk = :one",
        ] {
            assert_eq!(query(Value::Null, condition), std::slice::from_ref(&of_table), "{condition}");
        }
        assert_eq!(query(json!("GSI1"), "#i = :two"), [need("Query", "a/index/GSI1", &["2"])]);
        for condition in
            ["", "#sk = :one", "#pk >= :one", "#i = :one", "#pk = :one AND #pk = :two", "#pk = :no"]
        {
            assert_eq!(query(Value::Null, condition), [need("Query", "a", &[])], "{condition}");
        }
        assert_eq!(needs("Scan", &json!({"TableName": "a"})), [need("Scan", "a", &[])]);
    }
}
