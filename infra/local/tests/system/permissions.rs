//! What a function can do with its own credentials, if an attacker runs inside it: no more than its policy lists.

use std::collections::BTreeSet;

use crate::support::{Answer, World};
use local::template::{Grant, Permission};
use reqwest::Method;
use serde_json::{Value, json};

const IDENTITY: &str = "huntaze-local-identity";
const TENANT: &str = "huntaze-local-tenant";

/// A partition that no policy is for.
const ELSEWHERE: &str = "X#1";

fn is_denied(answer: &Answer) -> bool {
    answer.text.contains("AccessDeniedException")
}

fn text(value: &str) -> Value {
    json!({"S": value})
}

fn item(partition: &str) -> Value {
    json!({"PK": text(partition), "SK": text("X")})
}

/// A request that takes this action with these partition keys; nothing where the action takes only one.
fn request(action: &str, resource: &str, keys: &[&str]) -> Option<Value> {
    let (table, index) = resource.split_once("/index/").map_or((resource, None), |(t, i)| (t, Some(i)));
    if action == "BatchWriteItem" {
        let puts: Vec<_> = keys.iter().map(|key| json!({"PutRequest": {"Item": item(key)}})).collect();
        return Some(json!({"RequestItems": {table: puts}}));
    }
    let [key] = keys else { return None };
    let mut request = json!({"TableName": table});
    match action {
        "PutItem" => request["Item"] = item(key),
        "Query" => {
            let name = if index.is_some() { "GSI1PK" } else { "PK" };
            request["IndexName"] = json!(index);
            request["KeyConditionExpression"] = json!("#pk = :pk");
            request["ExpressionAttributeNames"] = json!({"#pk": name});
            request["ExpressionAttributeValues"] = json!({":pk": text(key)});
        }
        "GetItem" | "UpdateItem" | "DeleteItem" => request["Key"] = item(key),
        // DynamoDB knows it as a part of transactions only.
        "ConditionCheckItem" => {
            request["Key"] = item(key);
            request["ConditionExpression"] = json!("attribute_not_exists(PK)");
            request = json!({"TransactItems": [{"ConditionCheck": request}]});
        }
        other => panic!("what does a request for {other} look like?"),
    }
    Some(request)
}

/// A key that is like a pattern.
fn example(pattern: &str) -> String {
    pattern.replace(['*', '?'], "0")
}

#[tokio::test]
async fn from_no_function_can_a_request_leave_the_partitions_of_its_statement() {
    let world = World::start().await;
    let mut tried = 0;
    for (name, function) in &world.stack.template.functions {
        let grants: Vec<Grant<'_>> = function.permissions.iter().flat_map(Permission::grants).collect();
        for Grant { action, resource, leading_key } in grants {
            let Some(action) = action.strip_prefix("dynamodb:") else { continue };
            let inside = example(leading_key.unwrap());
            let call = async |action: &str, request: Value| {
                let operation = if action == "ConditionCheckItem" { "TransactWriteItems" } else { action };
                world.dynamo(name, operation, request).await
            };
            let what = format!("{name}: {action} of {inside} on {resource}");
            let allowed = call(action, request(action, resource, &[&inside]).unwrap()).await;
            assert!(!is_denied(&allowed), "{what}: {allowed:?}");
            let outside = request(action, resource, &[ELSEWHERE]).unwrap();
            assert!(is_denied(&call(action, outside.clone()).await), "{what}, elsewhere");
            if let Some(both) = request(action, resource, &[&inside, ELSEWHERE]) {
                assert!(is_denied(&call(action, both).await), "{what}, together with elsewhere");
            }
            if let Some(part) =
                action.strip_suffix("Item").filter(|part| ["Put", "Update", "Delete"].contains(part))
            {
                let inside = request(action, resource, &[&inside]).unwrap();
                let both = json!({"TransactItems": [{part: inside}, {part: outside}]});
                assert!(is_denied(&call("TransactWriteItems", both).await), "{what}, in a transaction");
            }
            if action == "Query" {
                let mut other = request(action, resource, &[&inside]).unwrap();
                other["ExpressionAttributeNames"] = json!({"#pk": "SK"});
                assert!(is_denied(&call(action, other).await), "{what}, by another attribute");
            }
            let all = json!({"TableName": resource.split('/').next()});
            assert!(is_denied(&call("Scan", all).await), "{what}, all of it");
            tried += 1;
        }
    }
    assert!(tried > 90, "{tried}");
}

/// The functions whose credentials allow a request.
async fn allowed(world: &World, operation: &str, table: &str, partition: &str) -> BTreeSet<String> {
    let mut allowed = BTreeSet::new();
    for name in world.stack.template.functions.keys() {
        let request = request(operation, table, &[partition]).unwrap();
        if !is_denied(&world.dynamo(name, operation, request).await) {
            allowed.insert(name.clone());
        }
    }
    allowed
}

#[tokio::test]
async fn no_function_that_handles_prompts_reads_an_account_or_makes_a_key() {
    let world = World::start().await;
    let session = world.session().await["accessToken"].as_str().unwrap().to_owned();
    let me = world.call(Method::GET, "/api/users/me", &session, Value::Null).await.ok(200);
    let account = format!("U#{}", me["id"].as_str().unwrap());
    let names = |names: &[&str]| -> BTreeSet<String> { names.iter().map(|&name| name.to_owned()).collect() };
    for (operation, partition, expected) in [
        (
            "GetItem",
            account.as_str(),
            names(&["auth-refresh", "auth-signin", "keys", "keys-id", "keys-rotate", "users-me"]),
        ),
        ("Query", &account, names(&[])),
        ("UpdateItem", &account, names(&["auth-refresh", "auth-signin", "users-me"])),
        ("PutItem", &account, names(&["auth-signin", "auth-signup"])),
        ("DeleteItem", &account, names(&["auth-refresh", "auth-signout"])),
        ("PutItem", "KEY#0", names(&["keys", "keys-rotate"])),
        ("UpdateItem", "KEY#0", names(&["keys-rotate"])),
        ("DeleteItem", "KEY#0", names(&["keys-id"])),
        ("GetItem", "EMAIL#0", names(&["auth-signin"])),
        ("GetItem", "OTT#0", names(&[])),
    ] {
        assert_eq!(
            allowed(&world, operation, IDENTITY, partition).await,
            expected,
            "{operation} of {partition}"
        );
    }
    // Nobody but who signs people up gives a tenant, and with it a plan or a member.
    let tenant = format!("T#{}", me["tenant"]["id"].as_str().unwrap());
    let expected = names(&["auth-signup", "keys", "keys-rotate"]);
    assert_eq!(allowed(&world, "PutItem", TENANT, &tenant).await, expected);
    assert_eq!(allowed(&world, "GetItem", TENANT, &format!("{tenant}#AUD#2026-11")).await, names(&[]));
}

#[tokio::test]
async fn a_policy_that_lacks_an_action_fails_here_and_not_first_on_a_stage() {
    let world = World::start().await;
    // `health-ready` may read and nothing else; its credentials are refused a write.
    let write = request("PutItem", TENANT, &["PING"]).unwrap();
    let refused = world.dynamo("health-ready", "PutItem", write).await.ok(400);
    assert!(refused["__type"].as_str().unwrap().ends_with("AccessDeniedException"), "{refused}");
    let write = request("PutItem", TENANT, &["TT#ten_0#CR"]).unwrap();
    world.dynamo("creators", "PutItem", write).await.ok(200);
    // `health` reads a secret to tell its counts, and no table.
    let read = request("GetItem", TENANT, &["PING"]).unwrap();
    let refused = world.dynamo("health", "GetItem", read).await.ok(400);
    assert!(refused["__type"].as_str().unwrap().ends_with("AccessDeniedException"), "{refused}");
}
