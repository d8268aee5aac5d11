//! Facts that stand in two places: contract, folders, template, OpenAPI document, settings, tables.

#![allow(clippy::expect_used, clippy::unwrap_used, reason = "a failed step is the failed test")]

use std::collections::{BTreeMap, BTreeSet};

use local::permissions::is_like;
use local::template::{Grant, SamTemplate, TemplateFunction, repository};
use shared::contract::consumer::CONSUMERS;
use shared::contract::health::BreakerPhase;
use shared::contract::schedule::SCHEDULES;
use shared::contract::{self, ROUTES, Route, STREAMS, operations};
use shared::fleet::breaker::BreakerMode;

fn template() -> SamTemplate {
    SamTemplate::read(&[("Stage", "local"), ("UpstashUrl", "http://localhost")]).unwrap()
}

/// The routes of the gateway and those of the functions' own URLs.
fn routes() -> impl Iterator<Item = &'static Route> {
    ROUTES.iter().chain(STREAMS).copied()
}

fn read(path: &str) -> String {
    std::fs::read_to_string(repository().join(path)).unwrap()
}

fn folders() -> BTreeSet<String> {
    let entries = std::fs::read_dir(repository().join("functions")).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

#[test]
fn every_folder_is_a_function_of_the_template_and_the_other_way_round() {
    let deployed: BTreeSet<String> = template().functions.into_keys().collect();
    assert_eq!(folders(), deployed);
}

#[test]
fn contract_and_template_agree_on_functions_and_paths() {
    let mut contracted = BTreeMap::<String, BTreeSet<String>>::new();
    for route in ROUTES {
        contracted.entry(route.function.to_owned()).or_default().insert(route.path.to_owned());
    }
    let streamed: BTreeSet<_> = STREAMS.iter().map(|stream| stream.function.to_owned()).collect();
    let mut with_url = BTreeSet::new();
    contracted.insert("not-found".to_owned(), BTreeSet::from(["$default".to_owned()]));
    let mut deployed = BTreeMap::<String, BTreeSet<String>>::new();
    for function in template().functions.into_values() {
        if function.has_url {
            with_url.insert(function.name.clone());
        }
        for route in function.routes {
            assert_eq!(route.method, "ANY", "{}: the function decides about methods", route.path);
            deployed.entry(function.name.clone()).or_default().insert(route.path);
        }
    }
    assert_eq!(contracted, deployed);
    assert_eq!(streamed, with_url);
}

#[test]
fn contract_and_template_agree_on_schedules() {
    let contracted: BTreeMap<_, _> =
        SCHEDULES.iter().map(|s| (s.function.to_owned(), vec![s.expression.to_owned()])).collect();
    let functions = template().functions.into_values();
    let expressions = |f: TemplateFunction| f.schedules.into_iter().map(|s| s.expression).collect::<Vec<_>>();
    let deployed: BTreeMap<_, _> =
        functions.filter(|f| !f.schedules.is_empty()).map(|f| (f.name.clone(), expressions(f))).collect();
    assert_eq!(contracted, deployed);
}

#[test]
fn contract_and_template_agree_on_consumers_of_the_stream() {
    let functions = template().functions.into_values();
    let deployed: BTreeMap<_, _> = functions
        .filter_map(|f| {
            let stream = f.stream?;
            let is_awaited = stream.pipe.is_none_or(|pipe| pipe.is_awaited);
            Some((f.name, (stream.filters, is_awaited)))
        })
        .collect();
    let filter = |consumer: &contract::consumer::Consumer| {
        let keys = serde_json::json!({"SK": {"S": [{"prefix": consumer.sort_key_prefix}]}});
        serde_json::json!({"eventName": ["INSERT"], "dynamodb": {"Keys": keys}})
    };
    let contracted: BTreeMap<_, _> = CONSUMERS
        .iter()
        .map(|consumer| (consumer.function.to_owned(), (vec![filter(consumer)], consumer.is_awaited)))
        .collect();
    assert_eq!(contracted, deployed);
}

#[test]
fn lambda_gives_every_function_more_time_than_its_deadlines() {
    let functions = template().functions;
    for route in routes() {
        let timeout_ms = functions[route.function].timeout_secs * 1000;
        assert!(timeout_ms >= route.deadline_ms + 1000, "{}: {timeout_ms} ms", route.operation);
        let by_gateway = !functions[route.function].has_url;
        assert!(!by_gateway || timeout_ms <= 29_000, "{}: the gateway gives up after 30 s", route.operation);
    }
    for consumer in CONSUMERS {
        assert!(
            functions[consumer.function].timeout_secs * 1000 > consumer.deadline_ms,
            "{}",
            consumer.function
        );
    }
    for schedule in SCHEDULES {
        assert!(
            functions[schedule.function].timeout_secs * 1000 > schedule.deadline_ms,
            "{}",
            schedule.function
        );
    }
}

#[test]
fn the_template_sets_the_settings_that_are_read_and_no_others() {
    let mut read: BTreeSet<&str> = shared::settings::NAMES.into_iter().collect();
    read.insert(shared::telemetry::SETTING);
    // Read by the TLS library.
    read.insert("SSL_CERT_FILE");
    for function in template().functions.values() {
        let set: BTreeSet<&str> = function.variables.keys().map(String::as_str).collect();
        assert_eq!(set, read, "{}", function.name);
    }
}

#[test]
fn the_committed_document_is_the_generated_one() {
    let generated = format!("{:#}\n", contract::openapi::document(&operations()));
    assert!(read("docs/openapi.json") == generated, "run: scripts/docs.sh");
}

#[test]
fn the_committed_dashboard_is_the_generated_one() {
    let generated = format!("{:#}\n", local::dashboard::dashboard());
    assert!(read("infra/monitoring/dashboard.json") == generated, "run: scripts/docs.sh");
}

#[test]
fn what_is_counted_by_function_has_every_function_and_its_last_is_the_one_for_all_else() {
    let functions: BTreeSet<_> = contract::FUNCTIONS.iter().map(|name| (*name).to_owned()).collect();
    assert_eq!((functions.len(), functions), (contract::FUNCTIONS.len(), folders()));
    assert_eq!(contract::FUNCTIONS.last(), Some(&"not-found"));
    assert_eq!(contract::OPERATIONS.last(), Some(&"none"));
}

#[test]
fn the_script_of_breakers_and_its_manual_number_phases_and_name_modes_as_the_code_does() {
    let phases = BreakerPhase::NAMES;
    let numbers: Vec<_> = (0..phases.len()).map(|number| number.to_string()).collect();
    let lua = read("shared/src/fleet/breaker/breaker.lua");
    let constants = format!("local {} = {}\n", phases.join(", ").to_uppercase(), numbers.join(", "));
    assert!(lua.contains(&constants), "breaker.lua has not: {constants}");
    let script = read("scripts/breaker.sh");
    let list = format!("phases=({})", phases.join(" "));
    assert!(script.contains(&list), "scripts/breaker.sh has not: {list}");
    let modes = BreakerMode::NAMES.join(" | ");
    assert!(script.contains(&format!("case $3 in {modes}) ;;")), "scripts/breaker.sh does not take: {modes}");
    for mode in BreakerMode::ALL {
        assert_eq!(BreakerMode::parse(mode.as_str()), mode);
    }
}

#[test]
fn the_committed_router_of_cargo_lambda_is_the_generated_one() {
    assert!(read("Cargo.toml") == local::router::manifest(&template()).unwrap(), "run: scripts/docs.sh");
}

#[test]
fn nothing_of_a_new_function_is_left_to_write() {
    for folder in folders() {
        let source = read(&format!("functions/{folder}/src/main.rs"));
        assert!(!source.contains("not_implemented"), "functions/{folder}: an endpoint has no body yet");
    }
    assert!(
        !read("template.yaml").contains("Statement: []"),
        "template.yaml: a function has no permissions yet"
    );
}

#[test]
fn no_policy_has_a_wildcard() {
    for function in template().functions.values() {
        for permission in &function.permissions {
            assert!(!permission.actions.is_empty() && !permission.resources.is_empty(), "{}", function.name);
            for word in permission.actions.iter().chain(&permission.resources) {
                assert!(!word.contains('*'), "{}: {word}", function.name);
            }
        }
    }
}

#[test]
fn no_function_is_given_a_permission_twice() {
    for function in template().functions.values() {
        let mut given = BTreeSet::new();
        for permission in &function.permissions {
            for grant in permission.grants() {
                assert!(given.insert(grant), "{}: {grant}", function.name);
            }
        }
        // Of two patterns that overlap, the record of what the tests used could not tell which was needed.
        let example = |pattern: &str| pattern.replace(['*', '?'], "x");
        for one in &given {
            let beside = |other: &&Grant<'_>| (other.action, other.resource) == (one.action, one.resource);
            for other in given.iter().filter(beside).filter(|other| other != &one) {
                let (one, other) = (one.leading_key.unwrap(), other.leading_key.unwrap());
                assert!(!is_like(&example(one), other), "{}: {one} is a part of {other}", function.name);
            }
        }
    }
}

#[test]
fn every_statement_on_a_table_names_the_partitions_of_the_manual_that_it_is_for() {
    let template = template();
    let mut allowed = BTreeSet::new();
    for function in template.functions.values() {
        for permission in &function.permissions {
            let is_on_table = permission.actions.iter().any(|action| action.starts_with("dynamodb:"));
            let keys = permission.leading_keys.as_ref();
            assert_eq!(
                keys.is_some_and(|keys| keys.is_required),
                is_on_table,
                "{}: {permission:?}",
                function.name
            );
            let grants = permission.grants().into_iter();
            allowed.extend(grants.filter_map(|g| Some((g.resource.to_owned(), g.leading_key?.to_owned()))));
        }
    }
    // A row of the manual has its partitions in the second cell, and that of the index in the fourth.
    let manual = read("docs/ARCHITECTURE.md");
    let mut written = BTreeSet::new();
    for table in ["identity", "tenant"] {
        let (_, rows) = manual.split_once(&format!("| `{table}` | PK | SK |")).unwrap();
        let rows =
            rows.lines().skip(1).take_while(|row| row.starts_with('|')).filter(|row| !row.starts_with("|--"));
        for row in rows {
            let cells: Vec<&str> = row.split('|').collect();
            let name = format!("huntaze-local-{table}");
            let quoted = |cell: &str| cell.split('`').skip(1).step_by(2).map(pattern).collect::<Vec<_>>();
            written.extend(quoted(cells[2]).into_iter().map(|pattern| (name.clone(), pattern)));
            let index = cells.get(4).and_then(|cell| quoted(cell).into_iter().next());
            written.extend(index.map(|pattern| (format!("{name}/index/GSI1"), pattern)));
        }
    }
    assert!(written.len() > 20, "{written:?}");
    assert_eq!(allowed, written);
}

/// The pattern of a policy for a partition as the manual writes it.
fn pattern(partition: &str) -> String {
    let mut pattern = match partition.strip_prefix("T#<tenant>") {
        // All identifiers of tenants are of one length, so a tenant's own partition can be told from those that begin
        // with its name.
        Some("") => {
            let id = contract::ids::TenantId::from_bytes([0; 16]).to_string();
            format!("T#{}", id.replace('0', "?"))
        }
        Some(rest) if rest == "#OUT" || rest.starts_with("#AUD") => partition.to_owned(),
        // What live work and tests have each for itself, under T and TT.
        Some(rest) => format!("T*#<tenant>{rest}"),
        None => partition.to_owned(),
    };
    while let Some((before, rest)) = pattern.split_once('<') {
        let (_, after) = rest.split_once('>').unwrap();
        pattern = format!("{before}*{after}");
    }
    pattern
}

#[test]
fn functions_that_know_their_caller_have_the_policy_of_the_guard_and_no_others() {
    let known = routes().filter(|route| route.access.has_caller());
    let guarded: BTreeSet<_> = known.map(|route| route.function).collect();
    for function in template().functions.values() {
        let expected: &[&str] = if guarded.contains(function.name.as_str()) { &["GuardPolicy"] } else { &[] };
        assert_eq!(function.policies, expected, "{}", function.name);
    }
}

#[test]
fn every_function_writes_to_a_log_group_and_every_group_forgets() {
    let template = template();
    for function in template.functions.values() {
        let group = function.log_group.as_ref();
        let known = group.is_some_and(|group| template.log_groups.contains_key(group));
        assert!(known, "{} writes to {group:?}, which is no log group", function.name);
    }
    for (group, days) in &template.log_groups {
        assert!(days.is_some_and(|days| days > 0), "{group} keeps its lines for ever");
    }
}

#[test]
fn no_schedule_and_no_stream_loses_an_event() {
    let template = template();
    let mut kept = 0;
    for function in template.functions.values() {
        let mut queues: Vec<_> = function.stream.iter().map(|stream| &stream.dead_letters).collect();
        // A pipe hands the event over and forgets it, so what no run did is for the function to keep.
        if function.stream.iter().any(|stream| stream.pipe.as_ref().is_some_and(|pipe| !pipe.is_awaited)) {
            let runs = function.failed_runs.as_ref();
            let runs = runs.unwrap_or_else(|| panic!("{}: its failed runs are forgotten", function.name));
            assert!(runs.retries > 0, "{}: a failure that passes is not tried again", function.name);
            queues.push(&runs.dead_letters);
        }
        for schedule in &function.schedules {
            // The queue of the rule gets what Lambda did not take, and that of the function what no run did.
            let runs = function.failed_runs.as_ref();
            let runs = runs.unwrap_or_else(|| panic!("{}: its failed runs are forgotten", function.name));
            assert!(schedule.dead_letters.is_some(), "{}: what is not delivered is forgotten", function.name);
            queues.extend([&schedule.dead_letters, &runs.dead_letters]);
        }
        for queue in queues {
            let known = queue.as_ref().is_some_and(|queue| template.queues.contains(queue));
            assert!(known, "{}: what it cannot take goes to {queue:?}, which is no queue", function.name);
            kept += 1;
        }
    }
    let forgotten = CONSUMERS.iter().filter(|consumer| !consumer.is_awaited).count();
    assert_eq!(kept, 2 * (SCHEDULES.len() + forgotten) + CONSUMERS.len() - forgotten);
}

#[test]
fn a_pipe_may_read_the_stream_start_its_function_and_send_to_its_queue_and_hands_over_the_keys_of_one_item() {
    let template = template();
    let mut pipes = 0;
    for function in template.functions.values() {
        let Some((stream, pipe)) = function.stream.as_ref().and_then(|s| Some((s, s.pipe.as_ref()?))) else {
            continue;
        };
        let given: BTreeSet<_> = pipe
            .permissions
            .iter()
            .flat_map(local::template::Permission::grants)
            .map(|g| g.to_string())
            .collect();
        let reads = ["DescribeStream", "GetRecords", "GetShardIterator", "ListStreams"];
        let mut needed: BTreeSet<_> =
            reads.iter().map(|read| format!("dynamodb:{read} on huntaze-local-tenant")).collect();
        needed.insert(format!("lambda:InvokeFunction on {}", function.logical_id));
        needed.insert(format!("sqs:SendMessage on {}", stream.dead_letters.as_ref().unwrap()));
        assert_eq!(given, needed, "{}", function.name);
        assert_eq!(stream.batch, 1, "{}: a run that fails is one item's", function.name);
        // What people wrote stays in the table: an event lies in Lambda's queue, and may end among the dead letters.
        let handed_over =
            r#"{"dynamodb": {"Keys": <$.dynamodb.Keys>, "SequenceNumber": <$.dynamodb.SequenceNumber>}}"#;
        assert_eq!(pipe.input_template.as_deref(), Some(handed_over), "{}", function.name);
        pipes += 1;
    }
    assert_eq!(pipes, CONSUMERS.iter().filter(|consumer| !consumer.is_awaited).count());
}

#[test]
fn tables_and_code_agree_on_keys_index_and_expiry() {
    for table in template().tables.values() {
        let keys = table.create["KeySchema"].as_array().unwrap();
        assert_eq!(
            keys.iter().map(|key| key["AttributeName"].as_str().unwrap()).collect::<Vec<_>>(),
            ["PK", "SK"]
        );
        assert_eq!(table.ttl_attribute.as_deref(), Some("ttl"));
    }
    assert_eq!(template().tables["TenantTable"].create["GlobalSecondaryIndexes"][0]["IndexName"], "GSI1");
}

#[test]
fn no_schema_of_the_document_has_a_number_for_a_name() {
    // A schema that shares its name with another gets a number, by the order of declaration: adding a route would rename
    // the types of generated clients.
    let document = contract::openapi::document(&operations());
    let schemas = document["components"]["schemas"].as_object().unwrap();
    assert!(schemas.len() > 80, "{}", schemas.len());
    for name in schemas.keys() {
        assert!(name.ends_with(|c: char| c.is_ascii_alphabetic()), "{name}");
    }
}

#[test]
fn the_manual_lists_every_setting() {
    let manual = read("docs/OPERATING.md");
    for name in shared::settings::NAMES.iter().chain([&shared::telemetry::SETTING]) {
        assert!(manual.contains(&format!("`{name}`")), "{name} is not in docs/OPERATING.md");
    }
}
