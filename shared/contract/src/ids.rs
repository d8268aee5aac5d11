//! Identifiers: a prefix that tells the kind, then a ULID, which sorts by creation time.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use ulid::Ulid;

/// The text is not an identifier of the expected kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be an identifier that begins with {0}")]
pub struct MalformedId(&'static str);

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $prefix:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(Ulid);

        impl $name {
            /// A new identifier of this moment.
            pub fn generate() -> Self {
                Self(Ulid::generate())
            }

            /// From the 16 bytes of the ULID.
            pub const fn from_bytes(bytes: [u8; 16]) -> Self {
                Self(Ulid::from_bytes(bytes))
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
                // A ULID can be written in several ways; a key of the database only in one.
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

id!(/// A user.
    UserId, "usr_");
id!(/// A tenant: a creator alone, or an agency.
    TenantId, "ten_");
id!(/// An API key.
    KeyId, "key_");
id!(/// A creator.
    CreatorId, "cr_");
id!(/// Something that was made: ideas, messages, a turn of a conversation.
    GenerationId, "gen_");
id!(/// Work that takes longer than a request.
    JobId, "job_");
id!(/// A session: one sign-in and its refresh tokens.
    SessionId, "ses_");
id!(/// An idea of a batch.
    IdeaId, "idea_");
id!(/// A request, as in `x-request-id`.
    RequestId, "req_");
id!(/// A domain event, an audit entry or another record that is only ever listed.
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
