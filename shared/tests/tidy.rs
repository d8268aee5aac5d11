//! What rustc does not check: the direction of imports, the length of files, who may make what.

#![allow(clippy::expect_used, clippy::unwrap_used, reason = "a failed step is the failed test")]

use std::path::{Path, PathBuf};

/// The floors of `shared`, from the top. A module imports from its own floor and those below.
const FLOORS: [&[&str]; 18] = [
    &["serve"],
    &["work"],
    &["endpoint"],
    &["guard"],
    &["http"],
    &["environment"],
    &["content"],
    &["ai"],
    &["auth"],
    &["scrape"],
    &["gate"],
    &["limits", "breaker", "coalesce", "idempotency"],
    &["tenants"],
    &["pricing"],
    &["dynamo", "redis", "outbound", "secrets"],
    &["metrics"],
    &["telemetry"],
    &["contract", "settings", "clock", "random"],
];

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

fn floor_of(module: &str) -> Option<usize> {
    FLOORS.iter().position(|floor| floor.contains(&module))
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
    let src = repository().join("shared/src");
    let mut checked = 0;
    for (path, text) in sources(&src) {
        let inside = path.strip_prefix(&src).unwrap();
        let module = inside.iter().next().unwrap().to_str().unwrap().trim_end_matches(".rs").to_owned();
        let Some(own) = floor_of(&module) else { continue };
        for import in imports(&text) {
            let Some(other) = floor_of(&import) else { continue };
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

/// Invariant: a new module has a floor before it has users.
#[test]
fn every_module_has_a_floor() {
    let lib = std::fs::read_to_string(repository().join("shared/src/lib.rs")).unwrap();
    for line in lib.lines().filter_map(|line| line.strip_prefix("pub mod ")) {
        let module = line.trim_end_matches(';');
        assert!(floor_of(module).is_some(), "`{module}` stands on no floor");
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
    let folders = ["shared/Cargo.toml", "infra/local/Cargo.toml"].map(|file| repository().join(file));
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
