//! Enforces the policies of `template.yaml`: a function that does what its policy does not list fails here
//! already, and not only on a deployed stage.

mod needs;
mod pattern;
mod uses;

use std::collections::BTreeMap;

use axum::http::HeaderMap;

use crate::template::{Grant, Permission, SamTemplate};
pub use needs::{Need, PartitionAttributes};
pub use pattern::is_like;
pub use uses::{FOLDER, UseRecord, all_used};

/// What each function may do. Callers that are no function (people, tests) may do everything.
pub struct Permissions {
    functions: BTreeMap<String, Vec<Permission>>,
    /// Where the use of a permission is recorded, if it is.
    uses: Option<UseRecord>,
}

/// The caller of an AWS service, as the signature of the request names it.
#[derive(Debug, Clone, Copy)]
pub struct AwsCaller<'a> {
    /// The access key, which is the name of a function for its environments, and any other text for people and tests.
    pub name: &'a str,
    /// Whether the credentials have a session token. Only those of an execution environment have one.
    pub is_environment: bool,
}

impl<'a> AwsCaller<'a> {
    /// Reads the caller from the headers of a request.
    pub fn of(headers: &'a HeaderMap) -> Self {
        let signature = headers.get("authorization").and_then(|value| value.to_str().ok());
        let credential = signature.and_then(|text| text.split("Credential=").nth(1)).unwrap_or_default();
        Self {
            name: credential.split('/').next().unwrap_or_default(),
            is_environment: headers.contains_key("x-amz-security-token"),
        }
    }
}

impl Permissions {
    /// The permissions of the template's functions. Their uses go to `uses`, where there is one.
    pub fn of(template: &SamTemplate, uses: Option<UseRecord>) -> Self {
        let functions = template.functions.values();
        Self { functions: functions.map(|f| (f.name.clone(), f.permissions.clone())).collect(), uses }
    }

    /// Checks whether `caller` may do all of `needs`, and records what an execution environment does as used.
    ///
    /// # Errors
    /// The first action and resource that are not allowed, in IAM's words, with the leading keys.
    pub fn check(&self, caller: AwsCaller<'_>, needs: &[Need]) -> Result<(), String> {
        let AwsCaller { name, is_environment } = caller;
        let Some(allowed) = self.functions.get(name) else { return Ok(()) };
        let mut used = Vec::new();
        for need in needs {
            let grants = allowed.iter().find_map(|permission| permission.grants_of(need));
            used.extend(grants.ok_or_else(|| {
                let Need { action, resource, leading_keys } = need;
                let keys = leading_keys.join(", ");
                format!("{name} is not authorized to perform: {action} on resource: {resource} with leading keys: [{keys}]")
            })?);
        }
        // A test that signs with a function's name shows nothing about what the function itself does.
        if let Some(uses) = self.uses.as_ref().filter(|_| is_environment) {
            for grant in used {
                uses.record(name, &grant);
            }
        }
        Ok(())
    }
}

impl Permission {
    /// The parts of this permission that allow a request, if it allows the whole request by itself: IAM looks at one
    /// statement after the other, and puts no two together.
    fn grants_of(&self, need: &Need) -> Option<Vec<Grant<'_>>> {
        let action = self.actions.iter().find(|action| **action == need.action)?;
        let resource = self.resources.iter().find(|resource| is_like(&need.resource, resource))?;
        let grant = |leading_key| Grant { action, resource, leading_key };
        let Some(condition) = &self.leading_keys else { return Some(vec![grant(None)]) };
        if condition.is_required && need.leading_keys.is_empty() {
            return None;
        }
        let pattern_of = |key: &String| condition.patterns.iter().find(|pattern| is_like(key, pattern));
        // All keys of the request, and so no key is as good as any: this is what `ForAllValues` means.
        need.leading_keys.iter().map(|key| Some(grant(Some(pattern_of(key)?.as_str())))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::template::LeadingKeys;

    fn permissions(leading_keys: Option<LeadingKeys>) -> Permissions {
        let permission =
            Permission { actions: vec!["x:Do".into()], resources: vec!["t".into()], leading_keys };
        Permissions { functions: BTreeMap::from([("f".to_owned(), vec![permission])]), uses: None }
    }

    fn is_allowed(permissions: &Permissions, name: &'static str, need: Need) -> bool {
        permissions.check(AwsCaller { name, is_environment: true }, &[need]).is_ok()
    }

    #[test]
    fn a_function_does_what_its_policy_lists_and_anybody_else_what_they_like() {
        let permissions = permissions(None);
        assert!(is_allowed(&permissions, "f", Need::of("x:Do", "t")));
        assert!(!is_allowed(&permissions, "f", Need::of("x:Do", "t/index/GSI1")));
        assert!(!is_allowed(&permissions, "f", Need::of("x:Undo", "t")));
        assert!(is_allowed(&permissions, "somebody", Need::of("x:Undo", "t")));
    }

    #[test]
    fn every_leading_key_of_a_request_has_to_be_like_a_pattern_of_the_same_statement() {
        let condition = |is_required| {
            let patterns = vec!["A#*".to_owned(), "B".to_owned()];
            permissions(Some(LeadingKeys { patterns, is_required }))
        };
        let is_allowed = |permissions: &Permissions, keys: &[&str]| {
            let leading_keys = keys.iter().map(|&key| key.to_owned()).collect();
            is_allowed(permissions, "f", Need { leading_keys, ..Need::of("x:Do", "t") })
        };
        let permissions = condition(true);
        assert!(is_allowed(&permissions, &["A#1"]) && is_allowed(&permissions, &["A#1", "B", "A#2"]));
        assert!(!is_allowed(&permissions, &["A#1", "C"]) && !is_allowed(&permissions, &["BB"]));
        assert!(!is_allowed(&permissions, &[]), "a request without a key");
        assert!(is_allowed(&condition(false), &[]), "IAM lets it pass where Null: false does not stand");
    }

    #[test]
    fn the_caller_is_in_the_signature_and_an_environment_has_a_session_token() {
        let mut headers = HeaderMap::new();
        assert_eq!(AwsCaller::of(&headers).name, "");
        let signature =
            "AWS4-HMAC-SHA256 Credential=keys-id/20260101/eu-west-1/dynamodb/aws4_request, SignedHeaders=x";
        headers.insert("authorization", signature.parse().unwrap());
        assert_eq!(
            (AwsCaller::of(&headers).name, AwsCaller::of(&headers).is_environment),
            ("keys-id", false)
        );
        headers.insert("x-amz-security-token", "local".parse().unwrap());
        assert!(AwsCaller::of(&headers).is_environment);
    }
}
