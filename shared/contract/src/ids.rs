//! The identifiers of all things in the API. Each is a prefix that tells the kind, followed by a ULID, which sorts by
//! the time of its creation.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use ulid::Ulid;

/// The error for a text that is not an identifier of the expected kind, with the prefix that it should have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be an identifier that begins with {0}")]
pub struct MalformedId(&'static str);

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $prefix:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(Ulid);

        impl $name {
            /// A new identifier, which sorts after all that were generated before this millisecond.
            pub fn generate() -> Self {
                Self(Ulid::generate())
            }

            /// The identifier with these 16 bytes of a ULID.
            pub const fn from_bytes(bytes: [u8; 16]) -> Self {
                Self(Ulid::from_bytes(bytes))
            }

            /// When the identifier was generated, in milliseconds since 1970.
            pub const fn made_at_ms(self) -> u64 {
                self.0.timestamp_ms()
            }

            /// The 16 bytes of the ULID.
            pub const fn to_bytes(self) -> [u8; 16] {
                self.0.to_bytes()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!($prefix, "{}"), self.0)
            }
        }

        impl FromStr for $name {
            type Err = MalformedId;
            fn from_str(text: &str) -> Result<Self, MalformedId> {
                let ulid = text.strip_prefix($prefix).and_then(|rest| Ulid::from_string(rest).ok());
                // A ULID may be written in several ways, such as in small letters. Only one of them is accepted,
                // because identifiers are compared as texts and are part of keys in the database.
                ulid.map(Self).filter(|id| id.to_string() == text).ok_or(MalformedId($prefix))
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                Cow::<'de, str>::deserialize(deserializer)?.parse().map_err(D::Error::custom)
            }
        }

        impl JsonSchema for $name {
            fn inline_schema() -> bool {
                true
            }
            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }
            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({"type": "string", "pattern": concat!("^", $prefix, "[0-9A-HJKMNP-TV-Z]{26}$")})
            }
        }
    };
}

id!(/// The identifier of a user.
    UserId, "usr_");
id!(/// The identifier of a tenant, which is a single creator or an agency.
    TenantId, "ten_");
id!(/// The identifier of an API key, which is not the key itself.
    KeyId, "key_");
id!(/// The identifier of a creator.
    CreatorId, "cr_");
id!(/// The identifier of a generation: the ideas, messages, advice or turn of a conversation that one request made.
    GenerationId, "gen_");
id!(/// The identifier of a job, which is work that takes longer than a request may.
    JobId, "job_");
id!(/// The identifier of a session, which is one sign-in with all its refresh tokens.
    SessionId, "ses_");
id!(/// The identifier of one idea in an answer.
    IdeaId, "idea_");
id!(/// The identifier of a request, as in the header `x-request-id`.
    RequestId, "req_");
id!(/// The identifier of a domain event, an audit entry or another record that is listed and never looked up.
    RecordId, "rec_");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identifier_survives_text_and_bytes() {
        let id = CreatorId::generate();
        assert_eq!(id.to_string().parse(), Ok(id));
        assert_eq!(CreatorId::from_bytes(id.to_bytes()), id);
    }

    #[test]
    fn one_identifier_has_one_spelling() {
        let id = KeyId::generate().to_string();
        assert!(id.to_lowercase().parse::<KeyId>().is_err());
        assert!(id.replace("key_", "cr_").parse::<KeyId>().is_err());
        assert!(format!("{id}0").parse::<KeyId>().is_err());
        assert!("key_".parse::<KeyId>().is_err());
    }
}
