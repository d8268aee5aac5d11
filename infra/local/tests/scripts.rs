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

#[test]
fn a_root_key_is_not_replaced_where_aws_does_not_say_that_there_is_none() {
    use std::os::unix::fs::PermissionsExt as _;
    let scripts = Scripts::copied();
    for failure in ["AccessDeniedException", "ThrottlingException", "ExpiredTokenException"] {
        let aws = scripts.programs.path().join("aws");
        let text = format!(
            "#!/bin/sh\necho \"$2\" >> \"$(dirname \"$0\")/asked\"\necho 'An error occurred ({failure})' >&2; exit 254\n"
        );
        std::fs::write(&aws, text).unwrap();
        std::fs::set_permissions(&aws, std::fs::Permissions::from_mode(0o755)).unwrap();
        let Outcome { code, stderr, .. } = scripts.run("secret.sh", "prod");
        assert_eq!(code, Some(1), "{stderr}");
        assert!(
            stderr.contains("is unknown, so nothing was written") && stderr.contains(failure),
            "{stderr}"
        );
    }
    let asked = std::fs::read_to_string(scripts.programs.path().join("asked")).unwrap();
    assert_eq!(asked, "get-secret-value\n".repeat(3));
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
