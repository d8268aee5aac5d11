//! Writes the router configuration of `cargo lambda watch` from the routes of `template.yaml`.

use crate::template::SamTemplate;

/// The section of `Cargo.toml` that tells `cargo lambda watch` which function answers which path. `$default` is left
/// out: cargo-lambda itself answers a path that is not listed.
pub fn router(template: &SamTemplate) -> String {
    let mut toml = String::from("[workspace.metadata.lambda.watch.router]\n");
    for function in template.functions.values() {
        for route in function.routes.iter().filter(|route| route.path != "$default") {
            toml += &format!("\"{}\" = \"{}\"\n", route.path, function.name);
        }
    }
    toml
}
