//! What the files of a new function say, in the words of its contract.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use shared::contract::Access;
use shared::contract::openapi::Operation;

/// `Cargo.toml` of a function.
pub(super) fn manifest(name: &str) -> String {
    format!(
        r#"[package]
name = "{name}"
version.workspace = true
edition.workspace = true
rust-version.workspace = true
license.workspace = true
publish.workspace = true

# What it does is tested through the Runtime API, in infra/local/tests.
[[bin]]
name = "{name}"
path = "src/main.rs"
test = false

[dependencies]
shared.workspace = true
tokio.workspace = true

[lints]
workspace = true
"#
    )
}

/// `` `GET` and `POST /api/keys` ``: what a function answers, for the first line of its files.
fn answers(operations: &[Operation]) -> String {
    let mut texts = Vec::new();
    for (i, operation) in operations.iter().enumerate() {
        let (route, next) = (operation.route, operations.get(i + 1).map(|next| next.route.path));
        let path = if next == Some(route.path) { String::new() } else { format!(" {}", route.path) };
        texts.push(format!("`{}{path}`", route.method.as_str()));
    }
    let last = texts.pop().unwrap_or_default();
    if texts.is_empty() { last } else { format!("{} and {last}", texts.join(", ")) }
}

/// The last part of a path of Rust.
fn short(path: &str) -> &str {
    path.rsplit("::").next().unwrap_or(path)
}

/// A type without the modules of its parts, which `imports` gets.
fn imported(full: &str, imports: &mut BTreeSet<String>) -> String {
    let is_path = |c: char| c.is_alphanumeric() || c == '_' || c == ':';
    let mut text = full.to_owned();
    for path in full.split(|c| !is_path(c)).filter(|path| path.contains("::")) {
        // Parts of a module are private; it shows what they hold.
        match path.split("::").collect::<Vec<_>>()[..] {
            ["contract", name] => {
                imports.insert(format!("contract::{name}"));
            }
            ["contract", module, .., name] => {
                imports.insert(format!("contract::{module}::{name}"));
            }
            _ => {}
        }
        text = text.replacen(path, short(path), 1);
    }
    text
}

/// The names of the endpoints: the verbs of their contracts, or all of the name where two have the same verb.
fn endpoints(operations: &[Operation]) -> Vec<String> {
    let verb = |operation: &Operation| {
        let name = short(operation.contract);
        let end = name.char_indices().skip(1).find(|(_, c)| c.is_uppercase()).map_or(name.len(), |(i, _)| i);
        name[..end].to_owned()
    };
    let verbs: Vec<_> = operations.iter().map(verb).collect();
    let is_alone = |verb: &String| verbs.iter().filter(|other| *other == verb).count() == 1;
    let name = |(verb, operation): (&String, &Operation)| {
        let contract = short(operation.contract);
        if is_alone(verb) && verb != contract { verb.clone() } else { format!("{contract}Endpoint") }
    };
    verbs.iter().zip(operations).map(name).collect()
}

/// `main.rs` of a function, to be formatted.
pub(super) fn source(operations: &[Operation]) -> String {
    let (mut imports, mut bodies, mut list) = (BTreeSet::new(), String::new(), String::new());
    for (name, operation) in endpoints(operations).iter().zip(operations) {
        let contract = imported(operation.contract, &mut imports);
        let reply = imported(operation.reply_type, &mut imports);
        let _ = write!(list, ".answers::<{name}>()");
        let _ = write!(
            bodies,
            "\nstruct {name};\n\nimpl Endpoint for {name} {{\ntype Contract = {contract};\n\n\
             async fn connect(_: &Environment) -> Result<Self, StartError> {{ Ok(Self) }}\n\n\
             async fn handle(&self, _: Call<{contract}>) -> Result<Reply<{reply}>, Problem> {{\n\
             Err(Problem::not_implemented())\n}}\n}}\n"
        );
    }
    let (serve, answers) =
        (if is_streaming(operations) { "serve_streaming" } else { "serve" }, answers(operations));
    let summary = operations.first().map(|operation| operation.route.summary).unwrap_or_default();
    let (first, rest) = summary.split_at_checked(1).unwrap_or_default();
    let summary = first.to_lowercase() + rest;
    let mut modules = BTreeMap::<&str, Vec<&str>>::new();
    for (module, name) in imports.iter().filter_map(|path| path.rsplit_once("::")) {
        modules.entry(module).or_default().push(name);
    }
    let import =
        |(module, names): (&&str, &Vec<&str>)| format!("use shared::{module}::{{{}}};\n", names.join(", "));
    let imports: String = modules.iter().map(import).collect();
    format!(
        "//! {answers}: {summary}\n\n{imports}use shared::endpoint::{{Call, Endpoint}};\n\
         use shared::environment::{{Environment, StartError}};\nuse shared::http::{{Problem, Reply}};\n\
         use shared::serve::{{self, Function}};\n\n#[tokio::main(flavor = \"current_thread\")]\n\
         async fn main() -> Result<(), serve::Error> {{\nFunction::new(){list}.{serve}().await\n}}\n{bodies}"
    )
}

/// Whether answers leave piece by piece.
pub(super) fn is_streaming(operations: &[Operation]) -> bool {
    operations.iter().any(|operation| operation.route.is_stream())
}

/// The test of each operation that needs no body: without credentials, 401; where anybody may call, its success, which fails
/// until there is one.
pub(super) fn test(operations: &[Operation]) -> String {
    let has_parameters = |operation: &Operation| operation.route.path.contains('{');
    let helpers = if operations.iter().any(has_parameters) { "{World, path_of}" } else { "World" };
    let mut text = format!(
        "//! {}, through the real binary.\n\nuse crate::support::{helpers};\nuse reqwest::Method;\nuse serde_json::Value;\n",
        answers(operations)
    );
    for operation in operations {
        let route = operation.route;
        let mut name = String::new();
        for c in route.operation.chars() {
            if c.is_uppercase() {
                name.push('_');
            }
            name.extend(c.to_lowercase());
        }
        let (promise, check) = if route.access == Access::Public {
            ("answers_anybody", format!("ok({})", operation.success))
        } else {
            ("asks_for_credentials", "problem(401, \"unauthorized\")".to_owned())
        };
        let call = if route.is_stream() { "call_stream" } else { "call" };
        let (method, mut path) = (route.method.as_str(), format!("\"{}\"", route.path));
        if has_parameters(operation) {
            path = format!("&path_of({path})");
        }
        let _ = write!(
            text,
            "\n#[tokio::test]\nasync fn {name}_{promise}() {{\nlet world = World::start().await;\n\
             let answer = world.{call}(Method::{method}, {path}, \"\", Value::Null).await;\nanswer.{check};\n}}\n"
        );
    }
    text
}
