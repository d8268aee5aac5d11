//! The scopes of keys and sessions, and the roles whose sessions have each.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The role of a user in a tenant. It decides which scopes the user's sessions have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Role {
    /// May do everything, including giving the tenant away.
    Owner,
    /// May do everything except giving the tenant away.
    Admin,
    /// May work with creators and content, but not with keys.
    Member,
    /// May read creators, generations and usage.
    Viewer,
}

/// Makes [`Scope`] from one list. The list asks for the roles of each scope, so that none can be forgotten.
macro_rules! scopes {
    ($($(#[$doc:meta])+ $scope:ident = $text:literal, roles: [$($role:ident),+];)+) => {
        /// A permission that a key or a session can have.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
        pub enum Scope {
            $($(#[$doc])+ #[serde(rename = $text)] $scope,)+
        }

        impl Scope {
            /// All scopes, for those who go through them.
            pub const ALL: [Self; [$($text),+].len()] = [$(Self::$scope),+];

            /// The scope as requests and answers write it.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$scope => $text,)+
                }
            }

            /// The roles whose sessions have this scope.
            pub const fn roles(self) -> &'static [Role] {
                match self {
                    $(Self::$scope => &[$(Role::$role),+],)+
                }
            }
        }
    };
}

scopes! {
    /// Talk to the assistant.
    AssistantWrite = "assistant:write", roles: [Owner, Admin, Member];
    /// Generate content.
    ContentWrite = "content:write", roles: [Owner, Admin, Member];
    /// Read creators.
    CreatorsRead = "creators:read", roles: [Owner, Admin, Member, Viewer];
    /// Create, change and delete creators.
    CreatorsWrite = "creators:write", roles: [Owner, Admin, Member];
    /// Read what was generated.
    GenerationsRead = "generations:read", roles: [Owner, Admin, Member, Viewer];
    /// Create, change and revoke API keys.
    KeysAdmin = "keys:admin", roles: [Owner, Admin];
    /// Write messages to fans.
    MessagesWrite = "messages:write", roles: [Owner, Admin, Member];
    /// Ask for price advice.
    PricingWrite = "pricing:write", roles: [Owner, Admin, Member];
    /// Read usage and limits.
    UsageRead = "usage:read", roles: [Owner, Admin, Member, Viewer];
}

impl Role {
    /// Every role.
    pub const ALL: [Self; 4] = [Self::Owner, Self::Admin, Self::Member, Self::Viewer];

    /// The scopes of a session with this role, in the order of [`Scope::ALL`].
    pub fn scopes(self) -> Vec<Scope> {
        Scope::ALL.into_iter().filter(|scope| scope.roles().contains(&self)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_makes_content_may_ask_for_its_price() {
        for role in Role::ALL {
            let has = |scope| role.scopes().contains(&scope);
            assert_eq!(has(Scope::PricingWrite), has(Scope::ContentWrite), "{role:?}");
        }
        assert!(Role::Member.scopes().contains(&Scope::PricingWrite));
    }

    #[test]
    fn each_role_may_do_what_the_next_one_may_and_an_owner_everything() {
        assert_eq!(Role::Owner.scopes(), Scope::ALL);
        for roles in Role::ALL.windows(2) {
            let has = |scope: &Scope| roles[0].scopes().contains(scope);
            assert!(roles[1].scopes().iter().all(has), "{roles:?}");
        }
    }

    #[test]
    fn members_have_nothing_to_do_with_keys_and_viewers_read() {
        assert!(!Role::Member.scopes().contains(&Scope::KeysAdmin));
        let viewer = Role::Viewer.scopes();
        assert!(
            !viewer.is_empty() && viewer.iter().all(|scope| scope.as_str().ends_with(":read")),
            "{viewer:?}"
        );
    }

    #[test]
    fn a_scope_is_written_in_json_as_everywhere_else() {
        for scope in Scope::ALL {
            assert_eq!(serde_json::json!(scope), scope.as_str());
        }
    }
}
