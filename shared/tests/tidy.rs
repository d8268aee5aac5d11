//! Rules of the code that the compiler does not check: the direction of imports, the length of files and functions,
//! which module names what.

#![allow(clippy::expect_used, clippy::unwrap_used, reason = "a failed step is the failed test")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// The root folder of the repository.
fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// The path and the text of every Rust file under a folder.
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

/// The path and the text of every Rust file of the repository.
fn all_sources() -> Vec<(PathBuf, String)> {
    let folders = ["functions", "shared", "infra"];
    folders.iter().flat_map(|folder| sources(&repository().join(folder))).collect()
}

/// The floors of `shared` from the top, as `lib.rs` draws them. A module imports from its own floor and those below.
fn floors() -> Vec<Vec<String>> {
    let lib = std::fs::read_to_string(repository().join("shared/src/lib.rs")).unwrap();
    let drawing = lib.split("```text\n").nth(1).unwrap().split("//! ```").next().unwrap().to_owned();
    // A line of the drawing has the modules of a floor, two blanks apart, and further to the right what they are.
    let floor = |line: &str| {
        let modules = line.trim_start_matches("//! ").split("   ").next().unwrap();
        modules.split_whitespace().map(str::to_owned).collect()
    };
    drawing.lines().map(floor).collect()
}

/// The floor of a module, counted from the top; `None` for what is not in the drawing.
fn floor_of(floors: &[Vec<String>], module: &str) -> Option<usize> {
    floors.iter().position(|floor| floor.iter().any(|other| other == module))
}

/// The modules of this crate that a file names after `crate::`.
fn imports(text: &str) -> Vec<String> {
    let mut modules = Vec::new();
    for piece in text.split("crate::").skip(1) {
        let heads: String = piece.chars().take_while(|c| !matches!(c, ';' | '(' | '<' | '\n')).collect();
        let list = heads.strip_prefix('{').map_or(heads.as_str(), |list| list);
        for head in list.split(',') {
            modules.push(head.trim().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect());
        }
    }
    modules
}

/// Invariant: a domain does not know HTTP, and an adapter does not know a domain, so that a reader can learn the
/// crate from the ground up.
#[test]
fn imports_point_down_only() {
    let src = repository().join("shared/src");
    let floors = floors();
    let mut checked = 0;
    for (path, text) in sources(&src) {
        let inside = path.strip_prefix(&src).unwrap();
        let module = inside.iter().next().unwrap().to_str().unwrap().trim_end_matches(".rs").to_owned();
        let Some(own_floor) = floor_of(&floors, &module) else { continue };
        for import in imports(&text) {
            let Some(imported_floor) = floor_of(&floors, &import) else { continue };
            assert!(
                imported_floor >= own_floor,
                "{}: `{module}` must not import `{import}`, which is above it",
                path.display()
            );
            checked += 1;
        }
    }
    assert!(checked > 100, "the check reads what it should: {checked}");
}

/// Invariant: every module of `lib.rs` has a floor in the drawing, and the drawing names no other.
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

/// The files beside a file that it imports from, by `use super::` or `use crate::<folder>::`.
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

/// Invariant: the files of a folder have an order in which each one imports only from those before it, so that each
/// can be moved, tested and understood without those after it.
#[test]
fn no_files_import_each_other_in_a_circle() {
    /// Visits every file that can be reached from `at`; `chain` is the files that import each other on the way there.
    fn walk(
        at: &Path,
        graph: &BTreeMap<PathBuf, Vec<PathBuf>>,
        chain: &mut Vec<PathBuf>,
        visited: &mut BTreeSet<PathBuf>,
    ) {
        let circle = chain.iter().position(|earlier| earlier == at);
        assert!(circle.is_none(), "a circle of imports: {:?}", &chain[circle.unwrap_or(0)..]);
        if visited.contains(at) {
            return;
        }
        chain.push(at.to_owned());
        for next in graph.get(at).into_iter().flatten() {
            walk(next, graph, chain, visited);
        }
        chain.pop();
        visited.insert(at.to_owned());
    }
    let mut graph = BTreeMap::new();
    for folder in ["shared/src", "shared/contract/src", "shared/pricing/src", "infra/local/src"] {
        for (path, text) in sources(&repository().join(folder)) {
            let imported = siblings(&path, &text);
            graph.insert(path, imported);
        }
    }
    assert!(graph.values().flatten().count() > 100, "the check reads what it should");
    let mut visited = BTreeSet::new();
    for path in graph.keys() {
        walk(path, &graph, &mut Vec::new(), &mut visited);
    }
}

/// Invariant: each SDK is named by one module, so that it can be replaced by changing that module.
#[test]
fn only_its_adapter_names_an_sdk() {
    let owners = [
        ("aws_sdk_dynamodb", "dynamo"),
        ("aws_sdk_secretsmanager", "secrets"),
        ("upstash_redis_rs", "redis"),
        ("lambda_http::", "http"),
        ("jsonwebtoken", "auth/access_token"),
    ];
    // `serve` starts Lambda's runtime, whose events `http` translates, and handles its errors.
    let also_allowed = [("lambda_http::", "serve")];
    let src = repository().join("shared/src");
    for (path, text) in sources(&src) {
        let inside = path.strip_prefix(&src).unwrap().display().to_string();
        for (sdk, owner) in owners {
            let allowed = inside.starts_with(owner)
                || also_allowed.iter().any(|(s, o)| *s == sdk && inside.starts_with(o));
            assert!(allowed || !text.contains(sdk), "{inside} names {sdk}");
        }
    }
}

/// Invariant: only the code that checks credentials can make the proof that opens a tenant's data, `TenantCtx`.
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

/// Invariant: a function's `main.rs` is a short list of its endpoints that begins with what the function answers.
/// What they do is in the shared crate, where it can be tested.
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
    for (path, text) in all_sources() {
        let lines = text.lines().count();
        assert!(lines <= 400, "{} has {lines} lines; what in it is a module of its own?", path.display());
    }
}

/// Invariant: a function can be understood without scrolling.
#[test]
fn no_function_has_more_than_seventy_lines() {
    for (path, text) in all_sources() {
        let mut open_function: Option<(usize, usize, String)> = None;
        for (number, line) in text.lines().enumerate() {
            let indent = line.len() - line.trim_start().len();
            match &open_function {
                Some((start, depth, name)) if indent == *depth && line.trim_start().starts_with('}') => {
                    let lines = number - start + 1;
                    assert!(lines <= 70, "{}: `{name}` has {lines} lines", path.display());
                    open_function = None;
                }
                None if line.contains("fn ")
                    && !line.trim_start().starts_with("//")
                    && !line.ends_with(';') =>
                {
                    open_function = Some((number, indent, line.trim().to_owned()));
                }
                _ => {}
            }
            // The body of a function on one line has no closing line, so the function ends where it begins.
            if open_function.as_ref().is_some_and(|(start, ..)| *start == number && line.ends_with('}')) {
                open_function = None;
            }
        }
    }
}

/// Invariant: a script only calls programs; logic is written in Rust, where it is tested.
#[test]
fn no_script_has_more_than_forty_lines() {
    for entry in std::fs::read_dir(repository().join("scripts")).unwrap() {
        let path = entry.unwrap().path();
        let lines = std::fs::read_to_string(&path).unwrap().lines().count();
        assert!(lines <= 40, "{} has {lines} lines", path.display());
    }
}

/// Invariant: members of the workspace inherit versions and lints, so that every dependency is built once.
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

/// Invariant: no two public types have the same name, because a reader of a line does not see the paths that would
/// distinguish them. A type of the contract also names a schema of the public OpenAPI document.
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
