//! What rustc does not check: the direction of imports, the length of files, who may make what.

#![allow(clippy::expect_used, clippy::unwrap_used, reason = "a failed step is the failed test")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

fn sources(under: &Path) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(under).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() && !path.ends_with("target") {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = std::fs::read_to_string(&path).unwrap();
            found.push((path, text));
        }
    }
    found
}

fn all() -> Vec<(PathBuf, String)> {
    let folders = ["functions", "shared", "infra"];
    folders.iter().flat_map(|folder| sources(&repository().join(folder))).collect()
}

/// The floors of `shared` from the top, as `lib.rs` draws them. A module imports from its own floor and those below.
fn floors() -> Vec<Vec<String>> {
    let lib = std::fs::read_to_string(repository().join("shared/src/lib.rs")).unwrap();
    let drawing = lib.split("```text\n").nth(1).unwrap().split("//! ```").next().unwrap().to_owned();
    // The modules of a floor, two blanks between them, then what they are, further to the right.
    let floor = |line: &str| {
        let modules = line.trim_start_matches("//! ").split("   ").next().unwrap();
        modules.split_whitespace().map(str::to_owned).collect()
    };
    drawing.lines().map(floor).collect()
}

fn floor_of(floors: &[Vec<String>], module: &str) -> Option<usize> {
    floors.iter().position(|floor| floor.iter().any(|other| other == module))
}

/// The modules of this crate that a text names.
fn imports(text: &str) -> Vec<String> {
    let mut named = Vec::new();
    for piece in text.split("crate::").skip(1) {
        let heads: String = piece.chars().take_while(|c| !matches!(c, ';' | '(' | '<' | '\n')).collect();
        let list = heads.strip_prefix('{').map_or(heads.as_str(), |list| list);
        for head in list.split(',') {
            named.push(head.trim().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect());
        }
    }
    named
}

/// Invariant: the domains do not know HTTP, adapters do not know domains; a reader can learn the crate from
/// the ground up.
#[test]
fn imports_point_down_only() {
    let (src, floors) = (repository().join("shared/src"), floors());
    let mut checked = 0;
    for (path, text) in sources(&src) {
        let inside = path.strip_prefix(&src).unwrap();
        let module = inside.iter().next().unwrap().to_str().unwrap().trim_end_matches(".rs").to_owned();
        let Some(own) = floor_of(&floors, &module) else { continue };
        for import in imports(&text) {
            let Some(other) = floor_of(&floors, &import) else { continue };
            assert!(
                other >= own,
                "{}: `{module}` must not import `{import}`, which is above it",
                path.display()
            );
            checked += 1;
        }
    }
    assert!(checked > 100, "the check reads what it should: {checked}");
}

/// Invariant: a new module has a floor before it has users, and the drawing names none that is gone.
#[test]
fn every_module_has_a_floor() {
    let lib = std::fs::read_to_string(repository().join("shared/src/lib.rs")).unwrap();
    let modules = lib.lines().filter_map(|line| line.strip_prefix("pub mod "));
    let mut modules: Vec<_> = modules.map(|line| line.trim_end_matches(';').to_owned()).collect();
    let mut drawn: Vec<_> = floors().into_iter().flatten().collect();
    modules.sort();
    drawn.sort();
    assert_eq!(modules, drawn, "the drawing in lib.rs and its modules differ");
}

/// The modules beside a file, by `use super::` and `crate::<folder>::`, that it imports from.
fn siblings(path: &Path, text: &str) -> Vec<PathBuf> {
    let folder = path.parent().unwrap();
    let production = text.split("#[cfg(test)]").next().unwrap();
    let name = folder.file_name().unwrap().to_str().unwrap();
    let inside = format!("crate::{name}::");
    let mut found = Vec::new();
    for line in production.lines().map(str::trim) {
        let Some(import) = line.strip_prefix("use ").or_else(|| line.strip_prefix("pub use ")) else {
            continue;
        };
        let rest = import.strip_prefix("super::").or_else(|| import.strip_prefix(inside.as_str()));
        let rest = rest.or_else(|| import.strip_prefix("crate::").filter(|_| name == "src"));
        let Some(rest) = rest else { continue };
        for module in rest.trim_start_matches('{').split([',', '{', '}', ';', ':', ' ']) {
            let file = folder.join(format!("{module}.rs"));
            if !module.is_empty() && file != path && file.is_file() {
                found.push(file);
            }
        }
    }
    found
}

/// Invariant: the files of a folder can be read in an order in which nothing is used before it is told, so that each can
/// be moved, tested and understood without the others above it.
#[test]
fn no_files_import_each_other_in_a_circle() {
    fn walk(
        at: &Path,
        graph: &BTreeMap<PathBuf, Vec<PathBuf>>,
        way: &mut Vec<PathBuf>,
        done: &mut BTreeSet<PathBuf>,
    ) {
        let circle = way.iter().position(|earlier| earlier == at);
        assert!(circle.is_none(), "a circle of imports: {:?}", &way[circle.unwrap_or(0)..]);
        if done.contains(at) {
            return;
        }
        way.push(at.to_owned());
        for next in graph.get(at).into_iter().flatten() {
            walk(next, graph, way, done);
        }
        way.pop();
        done.insert(at.to_owned());
    }
    let mut graph = BTreeMap::new();
    for folder in ["shared/src", "shared/contract/src", "shared/pricing/src", "infra/local/src"] {
        for (path, text) in sources(&repository().join(folder)) {
            let imported = siblings(&path, &text);
            graph.insert(path, imported);
        }
    }
    assert!(graph.values().flatten().count() > 100, "the check reads what it should");
    let mut done = BTreeSet::new();
    for path in graph.keys() {
        walk(path, &graph, &mut Vec::new(), &mut done);
    }
}

/// Invariant: an SDK can be replaced by changing one module.
#[test]
fn only_its_adapter_names_an_sdk() {
    let owners = [
        ("aws_sdk_dynamodb", "dynamo"),
        ("aws_sdk_secretsmanager", "secrets"),
        ("upstash_redis_rs", "redis"),
        ("lambda_http::", "http"),
        ("jsonwebtoken", "auth/access_token"),
    ];
    // `serve` runs the runtime that `http` translates for; errors of the runtime are its own.
    let also = [("lambda_http::", "serve")];
    let src = repository().join("shared/src");
    for (path, text) in sources(&src) {
        let inside = path.strip_prefix(&src).unwrap().display().to_string();
        for (sdk, owner) in owners {
            let allowed =
                inside.starts_with(owner) || also.iter().any(|(s, o)| *s == sdk && inside.starts_with(o));
            assert!(allowed || !text.contains(sdk), "{inside} names {sdk}");
        }
    }
}

/// Invariant: a tenant's data is reached only by who was admitted to the tenant.
#[test]
fn only_the_guard_and_auth_admit_to_a_tenant() {
    for (path, text) in sources(&repository().join("shared/src")) {
        let inside = path.display().to_string();
        let production = text.split("#[cfg(test)]").next().unwrap();
        let allowed =
            ["/guard/identity.rs", "/auth/", "/tenants.rs"].iter().any(|place| inside.contains(place));
        assert!(allowed || !production.contains("TenantCtx::admitted"), "{inside} admits to a tenant");
    }
}

/// Invariant: what a function does is in the shared crate, where it can be tested; its `main.rs` is a table
/// of contents that begins with what it answers.
#[test]
fn a_function_is_short_and_says_first_what_it_answers() {
    for (path, text) in sources(&repository().join("functions")) {
        let lines = text.lines().count();
        assert!(lines <= 80, "{} has {lines} lines", path.display());
        assert!(text.starts_with("//! "), "{} does not say what it answers", path.display());
    }
}

/// Invariant: a file can be read in one sitting.
#[test]
fn no_file_has_more_than_four_hundred_lines() {
    for (path, text) in all() {
        let lines = text.lines().count();
        assert!(lines <= 400, "{} has {lines} lines; what in it is a module of its own?", path.display());
    }
}

/// Invariant: a function can be understood without scrolling.
#[test]
fn no_function_has_more_than_seventy_lines() {
    for (path, text) in all() {
        let mut begun: Option<(usize, usize, String)> = None;
        for (number, line) in text.lines().enumerate() {
            let indent = line.len() - line.trim_start().len();
            match &begun {
                Some((start, depth, name)) if indent == *depth && line.trim_start().starts_with('}') => {
                    let lines = number - start + 1;
                    assert!(lines <= 70, "{}: `{name}` has {lines} lines", path.display());
                    begun = None;
                }
                None if line.contains("fn ")
                    && !line.trim_start().starts_with("//")
                    && !line.ends_with(';') =>
                {
                    begun = Some((number, indent, line.trim().to_owned()));
                }
                _ => {}
            }
            // A one-line body has no closing line of its own.
            if begun.as_ref().is_some_and(|(start, ..)| *start == number && line.ends_with('}')) {
                begun = None;
            }
        }
    }
}

/// Invariant: scripts call programs; logic lives where it is tested.
#[test]
fn no_script_has_more_than_forty_lines() {
    for entry in std::fs::read_dir(repository().join("scripts")).unwrap() {
        let path = entry.unwrap().path();
        let lines = std::fs::read_to_string(&path).unwrap().lines().count();
        assert!(lines <= 40, "{} has {lines} lines", path.display());
    }
}

/// Invariant: members inherit versions, so that every dependency is built once.
#[test]
fn no_member_names_a_version_of_its_own() {
    let folders = [
        "shared/Cargo.toml",
        "shared/contract/Cargo.toml",
        "shared/pricing/Cargo.toml",
        "infra/local/Cargo.toml",
    ]
    .map(|file| repository().join(file));
    let functions = std::fs::read_dir(repository().join("functions")).unwrap();
    let manifests =
        folders.into_iter().chain(functions.map(|entry| entry.unwrap().path().join("Cargo.toml")));
    for manifest in manifests {
        let text = std::fs::read_to_string(&manifest).unwrap();
        let dependencies = text.split("dependencies]").skip(1).collect::<String>();
        assert!(!dependencies.contains("version ="), "{}", manifest.display());
        assert!(text.contains("[lints]\nworkspace = true"), "{} does not take the lints", manifest.display());
    }
}

/// Invariant: a name means one thing. Two public types of one name are told apart only by their paths, which a reader of
/// a line does not see; a type of the contract also names a schema of the public document.
#[test]
fn no_two_public_types_have_one_name() {
    let mut places: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for folder in ["shared/src", "shared/contract/src", "shared/pricing/src"] {
        for (path, text) in sources(&repository().join(folder)) {
            let production = text.split("#[cfg(test)]").next().unwrap();
            for line in production.lines() {
                let item = ["pub struct ", "pub enum ", "pub trait ", "pub type "]
                    .iter()
                    .find_map(|kind| line.strip_prefix(kind));
                let Some(item) = item else { continue };
                let name = item.chars().take_while(|c| c.is_alphanumeric()).collect();
                places.entry(name).or_default().push(path.display().to_string());
            }
        }
    }
    assert!(places.len() > 200, "the check reads what it should: {}", places.len());
    for (name, places) in places {
        assert!(places.len() == 1, "`{name}` is a public type in {places:?}");
    }
}
