//! What every script promises to somebody who does not know it yet.

#![allow(clippy::expect_used, clippy::unwrap_used, reason = "a failed step is the failed test")]

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use local::template::repository;
use tempfile::TempDir;

/// Files that other scripts source and that nobody calls.
const SOURCED: [&str; 2] = ["node.sh", "tools.sh"];
/// Programs that build, install, deploy or ask the network: none of them is wanted before the arguments are understood.
const PROGRAMS: [&str; 16] = [
    "apt-get", "aws", "brew", "cargo", "curl", "docker", "git", "node", "npm", "pip", "pip3", "python3",
    "rustup", "sam", "sudo", "wget",
];

/// The scripts alone, in a folder where they find nothing else, and programs that tell when they are run.
struct Scripts {
    root: TempDir,
    programs: TempDir,
}

/// How a script ended, and what it said.
struct Outcome {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

fn entries(folder: &Path) -> BTreeSet<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

impl Scripts {
    fn copied() -> Self {
        use std::os::unix::fs::PermissionsExt as _;
        let (root, programs) = (TempDir::new().unwrap(), TempDir::new().unwrap());
        std::fs::create_dir(root.path().join("scripts")).unwrap();
        for name in entries(&repository().join("scripts")) {
            std::fs::copy(repository().join("scripts").join(&name), root.path().join("scripts").join(&name))
                .unwrap();
        }
        for name in PROGRAMS {
            let program = programs.path().join(name);
            std::fs::write(&program, "#!/bin/sh\necho \"$0 $*\" >> \"$(dirname \"$0\")/run\"\nexit 1\n")
                .unwrap();
            std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
        }
        Self { root, programs }
    }

    /// The scripts that people call.
    fn called() -> BTreeSet<String> {
        let mut names = entries(&repository().join("scripts"));
        names.retain(|name| name.ends_with(".sh") && !SOURCED.contains(&name.as_str()));
        assert!(names.len() >= 12, "{names:?}");
        names
    }

    /// Runs a script, which must leave everything as it is.
    fn run(&self, name: &str, argument: &str) -> Outcome {
        let path = format!("{}:/usr/bin:/bin", self.programs.path().display());
        let script = self.root.path().join("scripts").join(name);
        let output = Command::new("bash").arg(script).arg(argument).env("PATH", path).output().unwrap();
        let run = std::fs::read_to_string(self.programs.path().join("run")).unwrap_or_default();
        assert!(run.is_empty(), "{name} {argument} ran {run}");
        let only_scripts = BTreeSet::from(["scripts".to_owned()]);
        assert_eq!(entries(self.root.path()), only_scripts, "{name} {argument} made something");
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        Outcome { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
    }
}

/// What one run of `scripts/secret.sh` did with a Secrets Manager that is a folder of files.
struct SecretRun {
    root: TempDir,
    stored: TempDir,
}

/// An `aws` whose secrets are files in `$STORED`; reading one that is not there fails as `$MISSING` says.
const AWS: &str = r#"#!/usr/bin/env bash
shift; command=$1 name= value=
while [ $# -gt 0 ]; do case $1 in
  --secret-id | --name) name=${2//\//_}; shift ;; --secret-string) value=${2#file://}; shift ;; esac; shift; done
file="$STORED/$name"
echo "$command $name" >>"$STORED/calls"
case $command in
  create-secret) cp "$value" "$file"; exit ;;
  put-secret-value) [ -f "$file" ] && cp "$value" "$file" && exit ;;
  get-secret-value) [ -f "$file" ] && cat "$file" && exit ;;
esac
echo "An error occurred ($MISSING) when calling the operation: no" >&2; exit 254
"#;

impl SecretRun {
    fn new() -> Self {
        let scripts = Scripts::copied();
        let program = |name: &str, text: &str| {
            use std::os::unix::fs::PermissionsExt as _;
            let path = scripts.root.path().join(name);
            std::fs::write(&path, text).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        };
        program("aws", AWS);
        // The script builds the program `local`; here it is there already.
        let local = env!("CARGO_BIN_EXE_local");
        program(
            "cargo",
            &format!(
                "#!/usr/bin/env bash\nuntil [ \"$1\" = -- ]; do shift; done; shift\nexec {local} \"$@\"\n"
            ),
        );
        Self { root: scripts.root, stored: TempDir::new().unwrap() }
    }

    fn run(&self, missing: &str, arguments: &[&str]) -> (Option<i32>, String) {
        use std::io::Write as _;
        let mut child = Command::new("bash")
            .arg(self.root.path().join("scripts/secret.sh"))
            .args(arguments)
            .env("PATH", format!("{}:/usr/bin:/bin", self.root.path().display()))
            .env("STORED", self.stored.path())
            .env("MISSING", missing)
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        // A script that asks nothing may have ended before it is answered.
        let _ = child.stdin.take().unwrap().write_all(b"redis-token\nai-key\n");
        let output = child.wait_with_output().unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    }

    fn stored(&self, name: &str) -> serde_json::Value {
        let text = std::fs::read_to_string(self.stored.path().join(format!("huntaze_prod_{name}"))).unwrap();
        serde_json::from_str(&text).unwrap()
    }

    fn calls(&self) -> Vec<String> {
        let calls = std::fs::read_to_string(self.stored.path().join("calls")).unwrap_or_default();
        calls.lines().map(str::to_owned).collect()
    }
}

#[test]
fn the_root_secret_is_made_only_where_aws_says_that_there_is_none() {
    let run = SecretRun::new();
    for failure in ["AccessDeniedException", "ThrottlingException", "ExpiredTokenException"] {
        let (code, said) = run.run(failure, &["prod"]);
        assert_eq!(code, Some(1), "{said}");
        assert!(said.contains("is unknown, so nothing was written") && said.contains(failure), "{said}");
    }
    assert_eq!(run.calls(), vec!["get-secret-value huntaze_prod_app"; 3]);
    let (code, said) = run.run("ResourceNotFoundException", &["prod"]);
    assert_eq!(code, Some(0), "{said}");
    let root = run.stored("app");
    assert_eq!((&root["upstashToken"], &root["aiKey"]), (&"redis-token".into(), &"ai-key".into()));
    assert_eq!(run.stored("fleet")["upstashToken"], "redis-token");
    for name in shared::secrets::NAMES {
        assert!(!run.stored(name).to_string().contains(root["rootKey"].as_str().unwrap()), "{name}");
    }
    // What is there is not replaced, and what was made from it comes out the same.
    let guard = run.stored("guard");
    let (code, said) = run.run("ResourceNotFoundException", &["prod"]);
    assert_eq!((code, run.stored("app"), run.stored("guard")), (Some(0), root, guard), "{said}");
}

#[test]
fn a_rotation_reaches_what_verifies_before_what_signs_and_a_second_one_has_to_wait() {
    let run = SecretRun::new();
    assert_eq!(run.run("ResourceNotFoundException", &["prod"]).0, Some(0));
    let (before, made) = (run.stored("app"), run.calls().len());
    let (code, said) = run.run("ResourceNotFoundException", &["prod", "rotate"]);
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(run.stored("signing")["tokenKey"], before["nextTokenKey"]);
    assert_eq!(run.stored("guard")["verifyKeys"].as_array().unwrap().len(), 3);
    let puts: Vec<_> = run.calls().split_off(made + 1);
    assert_eq!(puts.first().unwrap(), "put-secret-value huntaze_prod_app");
    assert_eq!(puts.last().unwrap(), "put-secret-value huntaze_prod_signing");
    assert_eq!(puts.len(), shared::secrets::NAMES.len() + 1);
    let (code, said) = run.run("ResourceNotFoundException", &["prod", "rotate"]);
    assert!(code == Some(1) && said.contains("wait "), "{said}");
    let (code, said) = run.run("ResourceNotFoundException", &["prod", "rotate", "--leaked"]);
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(run.stored("guard")["verifyKeys"].as_array().unwrap().len(), 2);
    let (code, said) = run.run("ResourceNotFoundException", &["prod", "--leaked"]);
    assert!(code == Some(2) && said.contains("unknown argument --leaked"), "{said}");
}

#[test]
fn advisories_that_are_old_are_told_aloud_and_their_absence_is_too() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = TempDir::new().unwrap();
    let checkout = folder.path().join("checkout");
    for path in ["checkout/.tools/bin", "shared/data", "db/crates"] {
        std::fs::create_dir_all(folder.path().join(path)).unwrap();
    }
    let copied = Scripts::copied();
    std::fs::rename(copied.root.path().join("scripts"), checkout.join("scripts")).unwrap();
    for name in ["cargo", "cargo-deny", "cargo-audit"] {
        let program = checkout.join(".tools/bin").join(name);
        // The advisories cannot be fetched.
        std::fs::write(&program, "#!/bin/sh\n[ \"$3\" != fetch ]\n").unwrap();
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    }
    let run = || {
        let output = Command::new("bash").arg(checkout.join("scripts/audit.sh")).output().unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    let (code, said) = run();
    assert!(code == Some(0) && said.contains("NOT CHECKED"), "{said}");
    let date = |days_ago: u64| {
        let at = shared::clock::Millis(shared::clock::Millis::now().0 - days_ago * 86_400_000);
        at.rfc3339().chars().take(10).collect::<String>()
    };
    for (days, is_old) in [(59, false), (62, true)] {
        let archive = folder.path().join(format!("shared/data/rustsec-advisory-db-{}.tar.gz", date(days)));
        let tar =
            Command::new("tar").arg("-czf").arg(&archive).arg("-C").arg(folder.path()).arg("db").status();
        assert!(tar.unwrap().success());
        let (code, said) = run();
        assert_eq!((code, said.contains("WARNING")), (Some(0), is_old), "{said}");
        std::fs::remove_file(archive).unwrap();
    }
}

#[test]
fn every_script_tells_its_usage_and_does_nothing_else_when_it_is_asked_for_help() {
    let scripts = Scripts::copied();
    for name in Scripts::called() {
        for argument in ["--help", "-h"] {
            let Outcome { code, stdout, stderr } = scripts.run(&name, argument);
            assert_eq!((code, stderr.as_str()), (Some(0), ""), "{name} {argument}");
            let mut words = stdout.lines().next().unwrap_or_default().split(' ');
            let usage = (words.next(), words.next());
            assert_eq!(
                usage,
                (Some("usage:"), Some(format!("scripts/{name}").as_str())),
                "{name} {argument}"
            );
        }
    }
}

#[test]
fn every_script_refuses_an_argument_that_it_does_not_know_before_it_does_anything() {
    let scripts = Scripts::copied();
    for name in Scripts::called() {
        let Outcome { code, stdout, stderr } = scripts.run(&name, "--nonsense");
        assert_eq!((code, stdout.as_str()), (Some(2), ""), "{name}: {stderr}");
        let is_named = stderr.starts_with("error: unknown argument --nonsense");
        assert!(is_named && stderr.contains(&format!("usage: scripts/{name}")), "{name}: {stderr}");
    }
}
