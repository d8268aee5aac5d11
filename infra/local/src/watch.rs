//! The router of `cargo lambda watch`, from the routes of `template.yaml`.

use crate::template::Template;

/// The section of `Cargo.toml` that tells `cargo lambda watch` which function answers which path. It has no
/// `$default`: a path that is not here is answered by cargo-lambda itself.
pub fn router(template: &Template) -> String {
    let mut toml = String::from("[workspace.metadata.lambda.watch.router]\n");
    for function in template.functions.values() {
        for route in function.routes.iter().filter(|route| route.path != "$default") {
            toml += &format!("\"{}\" = \"{}\"\n", route.path, function.name);
        }
    }
    toml
}
