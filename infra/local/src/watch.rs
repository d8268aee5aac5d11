//! The router of `cargo lambda watch`, from the routes of `template.yaml`.

use crate::template::Template;

/// The `[package.metadata.lambda.watch.router]` of a configuration file: paths to functions.
pub fn router(template: &Template) -> String {
    let mut toml =
        String::from("# Generated from template.yaml by `scripts/lambda.sh watch`.\n[watch.router]\n");
    for function in template.functions.values() {
        for route in function.routes.iter().filter(|route| route.path != "$default") {
            toml.push_str(&format!("\"{}\" = \"{}\"\n", route.path, function.name));
        }
    }
    toml
}
