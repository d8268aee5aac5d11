//! The record of which permissions the functions used while the tests ran.
//!
//! Every test program adds lines to a file of its own in one folder. After the whole run, and not before,
//! [`all_used`] compares them with the template: a permission that no test used is either not needed or not tested.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use crate::LocalError;
use crate::template::{Grant, Permission, SamTemplate};

/// The environment variable that names the folder of the record. Nothing is recorded without it.
pub const FOLDER: &str = "HUNTAZE_LOCAL_USES";

/// The file in which one stack records the permissions that its functions use.
pub struct UseRecord {
    file: File,
    /// The lines that this stack has written, so that each is written once.
    recorded: Mutex<BTreeSet<String>>,
}

impl UseRecord {
    /// Opens the record in the folder that [`FOLDER`] names; `None` where the variable is not set.
    ///
    /// # Errors
    /// [`LocalError`] when the folder or the file cannot be made.
    pub fn from_environment() -> Result<Option<Self>, LocalError> {
        std::env::var_os(FOLDER).map(|folder| Self::in_folder(Path::new(&folder))).transpose()
    }

    /// Opens the record in `folder`, which is a file named after this process.
    ///
    /// # Errors
    /// [`LocalError`] when the folder or the file cannot be made.
    pub fn in_folder(folder: &Path) -> Result<Self, LocalError> {
        let path = folder.join(std::process::id().to_string());
        let opened = std::fs::create_dir_all(folder)
            .and_then(|()| File::options().create(true).append(true).open(&path));
        let file = opened.map_err(LocalError::io(format!("opening {}", path.display())))?;
        Ok(Self { file, recorded: Mutex::default() })
    }

    /// Records that `function` used a part of its permissions, once.
    pub fn record(&self, function: &str, grant: &Grant<'_>) {
        let line = line(function, grant);
        let mut recorded = self.recorded.lock().unwrap_or_else(PoisonError::into_inner);
        if !recorded.contains(&line) {
            // The line is written in one piece, in append mode: other stacks of this process write to the same file.
            let written = (&self.file).write_all(format!("{line}\n").as_bytes());
            written.unwrap_or_else(|error| tracing::error!(%error, "a use is not recorded: {line}"));
            recorded.insert(line);
        }
    }
}

fn line(function: &str, grant: &Grant<'_>) -> String {
    format!("{function}: {grant}")
}

/// Checks that the record in `folder` has every permission of every function, each with every pattern of leading keys,
/// and returns how many there are.
///
/// # Errors
/// [`LocalError::UnprovenPermissions`] with the permissions that nothing used, or because the record is empty or of
/// another template.
pub fn all_used(template: &SamTemplate, folder: &Path) -> Result<usize, LocalError> {
    let failed = LocalError::io(format!("reading {}", folder.display()));
    let files = std::fs::read_dir(folder).and_then(|entries| {
        entries.map(|entry| std::fs::read_to_string(entry?.path())).collect::<Result<Vec<_>, _>>()
    });
    let files = files.map_err(failed)?;
    let used: BTreeSet<String> = files.iter().flat_map(|file| file.lines()).map(str::to_owned).collect();
    if used.is_empty() {
        let why = "nothing was recorded; run scripts/test.sh, which sets";
        return Err(LocalError::UnprovenPermissions(format!("{}: {why} {FOLDER}", folder.display())));
    }
    let mut allowed = BTreeSet::new();
    for function in template.functions.values() {
        let grants = function.permissions.iter().flat_map(Permission::grants);
        allowed.extend(grants.map(|grant| line(&function.name, &grant)));
    }
    let missing_from = |lines: &BTreeSet<String>, other: &BTreeSet<String>| {
        lines.difference(other).fold(String::new(), |list, line| list + "\n" + line)
    };
    let unused = missing_from(&allowed, &used);
    let unknown = missing_from(&used, &allowed);
    if !unknown.is_empty() {
        let what = "the record is of another template; run scripts/test.sh again. It allowed:";
        return Err(LocalError::UnprovenPermissions(format!("{what}{unknown}")));
    }
    if !unused.is_empty() {
        let what = "no end-to-end test used these; remove them from template.yaml or test what needs them:";
        return Err(LocalError::UnprovenPermissions(format!("{what}{unused}")));
    }
    Ok(allowed.len())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use tempfile::TempDir;

    use super::*;
    use crate::permissions::{AwsCaller, Need, Permissions};
    use crate::template::{LeadingKeys, TemplateFunction};

    fn template() -> SamTemplate {
        let permission = Permission {
            actions: vec!["a:Get".to_owned(), "a:Put".to_owned()],
            resources: vec!["t".to_owned()],
            leading_keys: Some(LeadingKeys {
                patterns: vec!["A#*".to_owned(), "B".to_owned()],
                is_required: true,
            }),
        };
        let function = TemplateFunction {
            name: "f".to_owned(),
            permissions: vec![permission],
            ..TemplateFunction::default()
        };
        SamTemplate { functions: BTreeMap::from([("f".to_owned(), function)]), ..SamTemplate::default() }
    }

    fn call(permissions: &Permissions, is_environment: bool, action: &str, keys: &[&str]) {
        let leading_keys = keys.iter().map(|&key| key.to_owned()).collect();
        let need = Need { leading_keys, ..Need::of(action, "t") };
        let _ = permissions.check(AwsCaller { name: "f", is_environment }, &[need]);
    }

    #[test]
    fn a_record_without_a_use_is_no_proof() {
        let folder = TempDir::new().unwrap();
        let _stack = UseRecord::in_folder(folder.path()).unwrap();
        let error = all_used(&template(), folder.path()).unwrap_err().to_string();
        assert!(error.contains("nothing was recorded"), "{error}");
        assert!(all_used(&template(), &folder.path().join("absent")).is_err());
    }

    #[test]
    fn every_permission_has_to_be_used_by_the_function_itself() {
        let folder = TempDir::new().unwrap();
        let stack = || Permissions::of(&template(), Some(UseRecord::in_folder(folder.path()).unwrap()));
        let (one, other) = (stack(), stack());
        call(&one, true, "a:Get", &["A#1", "B"]);
        call(&one, true, "a:Put", &["A#1"]);
        // Neither a refused call nor one by somebody who borrows the function's name is a use.
        call(&one, true, "a:Put", &["B", "C"]);
        call(&one, true, "a:Scan", &["B"]);
        call(&one, false, "a:Put", &["B"]);
        let error = all_used(&template(), folder.path()).unwrap_err().to_string();
        assert!(error.ends_with("test what needs them:\nf: a:Put on t with leading key B"), "{error}");
        call(&other, true, "a:Put", &["B"]);
        assert_eq!(all_used(&template(), folder.path()).unwrap(), 4);
    }

    #[test]
    fn a_record_of_another_template_is_refused() {
        let folder = TempDir::new().unwrap();
        let uses = UseRecord::in_folder(folder.path()).unwrap();
        for action in ["a:Get", "a:Put", "a:Delete"] {
            for key in ["A#*", "B"] {
                uses.record("f", &Grant { action, resource: "t", leading_key: Some(key) });
            }
        }
        let error = all_used(&template(), folder.path()).unwrap_err().to_string();
        assert!(
            error.contains("of another template") && error.ends_with("\nf: a:Delete on t with leading key B"),
            "{error}"
        );
    }
}
