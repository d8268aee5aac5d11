//! The skeleton of a function, from its contract: its folder, its block in `template.yaml`, and the tests that begin it.
//!
//! What it writes compiles and answers 501, because neither an answer that is made up nor a build that is broken for
//! everybody would tell the truth. `infra/local/tests/agreement.rs` fails as long as anything of it is left to write.

mod text;

use std::collections::BTreeSet;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use shared::contract::openapi::Operation;
use shared::contract::{Access, Budget, operations, streams};

use crate::LocalError;
use text::{is_streaming, manifest, source, test};

/// The function before which the template's new blocks stand: the one that takes what no other does.
const LAST_BLOCK: &str = "  # What no other route takes.\n";
/// What begins the list of end-to-end tests.
const FIRST_TEST: &str = "\nmod ";

/// Files of the repository, by their paths in it, as they will be.
type Files = Vec<(PathBuf, String)>;

/// Writes the skeleton of the function with this name into a repository, and tells which files it wrote. It changes
/// nothing where anything of the function is there already.
///
/// # Errors
/// [`LocalError::Function`] that says what to do, or that of a file or program.
pub fn write(repository: &Path, name: &str) -> Result<Vec<PathBuf>, LocalError> {
    let operations: Vec<_> = operations()
        .into_iter()
        .chain(streams())
        .filter(|operation| operation.route.function == name)
        .collect();
    if operations.is_empty() {
        return Err(LocalError::Function(format!(
            "no route of the contract has `function: \"{name}\"`: write its contract in shared/contract/src, list it in \
             `operations!` of lib.rs there, and try again"
        )));
    }
    let read = |path: &str| {
        std::fs::read_to_string(repository.join(path)).map_err(LocalError::io(format!("reading {path}")))
    };
    let (template, tests) = (read("template.yaml")?, read("infra/local/tests/system/main.rs")?);
    let files = files(name, &operations, &template, &tests)?;
    for (path, _) in files.iter().filter(|(path, _)| !is_shared(path)) {
        if repository.join(path).exists() {
            return Err(there_already(&path.display()));
        }
    }
    let formatted: Files =
        files.into_iter().map(|(path, text)| formatted(repository, path, text)).collect::<Result<_, _>>()?;
    for (path, text) in &formatted {
        let full = repository.join(path);
        let folder = full.parent().unwrap_or(repository);
        std::fs::create_dir_all(folder).map_err(LocalError::io(format!("making {}", folder.display())))?;
        std::fs::write(&full, text).map_err(LocalError::io(format!("writing {}", path.display())))?;
    }
    lock(repository)?;
    Ok(formatted.into_iter().map(|(path, _)| path).chain([PathBuf::from("Cargo.lock")]).collect())
}

/// Whether a file belongs to more than the function, and so is there before it.
fn is_shared(path: &Path) -> bool {
    path.ends_with("template.yaml") || path.ends_with("system/main.rs")
}

fn there_already(what: &impl std::fmt::Display) -> LocalError {
    LocalError::Function(format!("{what} is there already; nothing was written"))
}

/// All files of a function, and those that change with it.
fn files(name: &str, operations: &[Operation], template: &str, tests: &str) -> Result<Files, LocalError> {
    if template.contains(&format!("CodeUri: target/lambda/{name}/\n")) {
        return Err(there_already(&format!("its block in template.yaml ({name})")));
    }
    let (before, after) = template.split_once(LAST_BLOCK).ok_or_else(|| {
        LocalError::Function(format!(
            "template.yaml has no line `{}`, before which the block goes",
            LAST_BLOCK.trim()
        ))
    })?;
    let module = name.replace('-', "_");
    let folder = Path::new("functions").join(name);
    Ok(vec![
        (folder.join("Cargo.toml"), manifest(name)),
        (folder.join("src/main.rs"), source(operations)),
        ("template.yaml".into(), format!("{before}{}\n{LAST_BLOCK}{after}", block(name, operations))),
        (format!("infra/local/tests/system/{module}.rs").into(), test(operations)),
        ("infra/local/tests/system/main.rs".into(), with_module(tests, &module)?),
    ])
}

/// The function in `template.yaml`.
fn block(name: &str, operations: &[Operation]) -> String {
    let word =
        |word: &str| word.get(..1).unwrap_or_default().to_uppercase() + word.get(1..).unwrap_or_default();
    let logical: String = name.split('-').map(word).collect();
    // The contract's deadline, and the time that an answer takes to leave.
    let deadline_ms =
        operations.iter().map(|operation| operation.route.deadline_ms).max().unwrap_or_default();
    let timeout = deadline_ms.div_ceil(1000) + 2;
    let knows = |operation: &Operation| operation.route.access.has_caller();
    let is_open = |o: &Operation| o.route.access == Access::Public && o.route.budget == Budget::Unlimited;
    let policies = if operations.iter().any(knows) {
        "        - !Ref GuardPolicy\n        - Statement: [] # a line for each thing that it does besides, as the functions above have\n"
    } else if operations.iter().all(is_open) {
        "        - Statement: [] # a line for each thing that it does, as the functions above have; no Policies if it does none\n"
    } else {
        "        - Statement:\n            - {Effect: Allow, Action: [secretsmanager:GetSecretValue], Resource: !Sub \"arn:${AWS::Partition}:secretsmanager:${AWS::Region}:${AWS::AccountId}:secret:huntaze/${Stage}/fleet-??????\"}\n"
    };
    let paths: BTreeSet<_> = operations.iter().map(|operation| operation.route.path).collect();
    let event = |path: &str| {
        let path = if path.contains('{') { format!("\"{path}\"") } else { path.to_owned() };
        format!("{{Type: HttpApi, Properties: {{ApiId: !Ref Api, Path: {path}, Method: ANY}}}}")
    };
    let events = if is_streaming(operations) {
        "      FunctionUrlConfig: {AuthType: NONE, InvokeMode: RESPONSE_STREAM}\n".to_owned()
    } else if let [path] = paths.iter().collect::<Vec<_>>()[..] {
        format!("      Events: {{Path: {}}}\n", event(path))
    } else {
        let lines =
            paths.iter().enumerate().map(|(i, path)| format!("        Path{}: {}\n", i + 1, event(path)));
        format!("      Events:\n{}", lines.collect::<String>())
    };
    format!(
        "  {logical}Function:\n    Type: AWS::Serverless::Function\n    Properties:\n      \
         FunctionName: !Sub \"huntaze-${{Stage}}-{name}\"\n      CodeUri: target/lambda/{name}/\n      \
         Timeout: {timeout}\n      Policies:\n{policies}{events}"
    )
}

/// The list of end-to-end tests with one more, in order.
fn with_module(tests: &str, module: &str) -> Result<String, LocalError> {
    let line = format!("mod {module};");
    let (head, list) = tests.split_once(FIRST_TEST).ok_or_else(|| {
        LocalError::Function("infra/local/tests/system/main.rs has no line that begins with `mod`".to_owned())
    })?;
    let mut lines: Vec<String> = format!("mod {list}").lines().map(str::to_owned).collect();
    if lines.contains(&line) {
        return Err(there_already(&format!("`{line}` in infra/local/tests/system/main.rs")));
    }
    lines.push(line);
    lines.sort();
    Ok(format!("{head}\n{}\n", lines.join("\n")))
}

/// A file as `cargo fmt` would leave it.
fn formatted(repository: &Path, path: PathBuf, text: String) -> Result<(PathBuf, String), LocalError> {
    if path.extension().is_none_or(|extension| extension != "rs") {
        return Ok((path, text));
    }
    let mut rustfmt = Command::new("rustfmt");
    rustfmt.args(["--edition", "2024", "--config-path"]).arg(repository);
    let mut child = rustfmt
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(LocalError::io("running rustfmt: rustup component add rustfmt"))?;
    if let Some(mut input) = child.stdin.take() {
        input.write_all(text.as_bytes()).map_err(LocalError::io("writing to rustfmt"))?;
    }
    let output = child.wait_with_output().map_err(LocalError::io("reading from rustfmt"))?;
    if !output.status.success() {
        return Err(LocalError::Function(format!(
            "rustfmt cannot read what would become {}",
            path.display()
        )));
    }
    Ok((path, String::from_utf8_lossy(&output.stdout).into_owned()))
}

/// Writes the new package into `Cargo.lock`, which other commands read as it is.
fn lock(repository: &Path) -> Result<(), LocalError> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let status = Command::new(cargo)
        .args(["update", "--workspace", "--offline", "--quiet"])
        .current_dir(repository)
        .status();
    if status.map_err(LocalError::io("running cargo"))?.success() {
        return Ok(());
    }
    Err(LocalError::Function("the files are written, but `cargo update --workspace` failed".to_owned()))
}

#[cfg(test)]
mod tests {
    use shared::contract::{FUNCTIONS, ROUTES, STREAMS};

    use super::*;
    use crate::template::{SamTemplate, repository};

    fn read(path: &str) -> String {
        std::fs::read_to_string(repository().join(path)).unwrap()
    }

    #[test]
    fn a_function_that_no_route_names_is_refused_with_what_to_do() {
        let refusal = write(&repository(), "nobody").unwrap_err().to_string();
        assert!(refusal.contains("function: \"nobody\"") && refusal.contains("operations!"), "{refusal}");
    }

    #[test]
    fn what_is_there_already_is_not_overwritten() {
        let refusal = write(&repository(), "keys").unwrap_err().to_string();
        assert!(refusal.ends_with("is there already; nothing was written"), "{refusal}");
        let operations: Vec<_> = operations().into_iter().filter(|o| o.route.function == "posts").collect();
        let refused = files("posts", &operations, LAST_BLOCK, "//! Tests.\n\nmod posts;\n").unwrap_err();
        assert!(refused.to_string().contains("`mod posts;`"), "{refused}");
    }

    #[test]
    fn every_function_of_the_contract_could_be_written_anew_as_it_is_deployed() {
        let deployed = SamTemplate::read(&[]).unwrap().functions;
        let names: Vec<_> = FUNCTIONS
            .into_iter()
            .filter(|name| ROUTES.iter().chain(STREAMS).any(|r| r.function == *name))
            .collect();
        assert!(names.len() > 25);
        for name in names {
            let all = operations().into_iter().chain(streams());
            let operations: Vec<_> = all.filter(|operation| operation.route.function == name).collect();
            let own = format!("CodeUri: target/lambda/{name}/\n");
            let without: Vec<_> = read("template.yaml")
                .split("\n\n")
                .filter(|part| !part.contains(&own))
                .map(str::to_owned)
                .collect();
            let files =
                files(name, &operations, &without.join("\n\n"), "//! Tests.\n\nmod support;\n").unwrap();
            for (path, text) in files {
                // It can be read, and is as `cargo fmt` leaves it from the second time on.
                let (path, once) = formatted(&repository(), path, text).unwrap();
                let (path, twice) = formatted(&repository(), path, once.clone()).unwrap();
                assert_eq!(once, twice, "{}", path.display());
                if path.ends_with("template.yaml") {
                    let (new, old) =
                        (&SamTemplate::parse(&once, &[]).unwrap().functions[name], &deployed[name]);
                    assert_eq!((new.has_url, &new.policies), (old.has_url, &old.policies), "{name}");
                    let paths = |function: &crate::template::TemplateFunction| -> BTreeSet<String> {
                        function.routes.iter().map(|route| route.path.clone()).collect()
                    };
                    assert_eq!(paths(new), paths(old), "{name}");
                    let deadline_ms = operations.iter().map(|operation| operation.route.deadline_ms).max();
                    assert_eq!(Some(new.timeout_secs * 1000 - 2000), deadline_ms, "{name}");
                }
            }
        }
    }
}
