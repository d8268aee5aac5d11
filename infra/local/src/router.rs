//! Writes the router configuration of `cargo lambda watch` from the routes of `template.yaml`.

use crate::LocalError;
use crate::template::{SamTemplate, repository};

/// The line that begins the router in `Cargo.toml`; an empty line ends it.
const HEADER: &str = "[workspace.metadata.lambda.watch.router]\n";

/// `Cargo.toml` of this repository, with the table that tells `cargo lambda watch` which function answers which path, in
/// order. It has no `$default`: a path that is not there is answered by cargo-lambda itself.
///
/// # Errors
/// [`LocalError`] where the file cannot be read or has no such table.
pub fn manifest(template: &SamTemplate) -> Result<String, LocalError> {
    let path = repository().join("Cargo.toml");
    let text =
        std::fs::read_to_string(&path).map_err(LocalError::io(format!("reading {}", path.display())))?;
    with_router(&text, template)
        .ok_or_else(|| LocalError::Template(format!("Cargo.toml has no table {}", HEADER.trim_end())))
}

fn with_router(manifest: &str, template: &SamTemplate) -> Option<String> {
    let (before, after) = manifest.split_once(HEADER)?;
    let rest = after.split_once("\n\n").map_or("", |(_, rest)| rest);
    let mut lines = Vec::new();
    for function in template.functions.values() {
        for route in function.routes.iter().filter(|route| route.path != "$default") {
            lines.push(format!("\"{}\" = \"{}\"\n", route.path, function.name));
        }
    }
    lines.sort();
    Some(format!("{before}{HEADER}{}\n{rest}", lines.concat()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_router_is_replaced_and_nothing_else() {
        let template = SamTemplate::read(&[]).unwrap();
        let old = format!("[a]\nb = 1\n\n# Why.\n{HEADER}\"/gone\" = \"gone\"\n\n[c]\nd = 2\n");
        let new = with_router(&old, &template).unwrap();
        assert!(
            new.starts_with(&format!("[a]\nb = 1\n\n# Why.\n{HEADER}\"/api/ai-assistant/generate\" = ")),
            "{new}"
        );
        assert!(
            new.contains("\"/api/users/me\" = \"users-me\"\n\n[c]\nd = 2\n") && !new.contains("gone"),
            "{new}"
        );
        assert_eq!(with_router(&new, &template).as_ref(), Some(&new));
        assert_eq!(with_router("[a]\n", &template), None);
    }
}
