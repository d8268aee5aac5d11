//! What Redis answered, and how it becomes a Rust type.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use crate::{Error, ServerError};

/// An answer of Redis, before it is turned into a Rust type.
#[derive(Debug, Clone, PartialEq)]
pub enum Reply {
    /// No value, because a key does not exist or a condition did not hold.
    Nil,
    /// An integer, as counters and lengths are.
    Int(i64),
    /// A string, which in Redis may be any bytes.
    Bytes(Vec<u8>),
    /// A list of replies.
    Array(Vec<Reply>),
}

impl Reply {
    /// Decodes the `result` of an answer that was asked for in base64.
    ///
    /// Status answers such as `OK` arrive encoded on some paths and plain on others. `OK` is not valid base64
    /// (its length is no multiple of four), so the plain form cannot be mistaken for an encoded value.
    pub(crate) fn from_json(value: Value) -> Result<Self, Error> {
        match value {
            Value::Null => Ok(Self::Nil),
            Value::Bool(flag) => Ok(Self::Int(i64::from(flag))),
            Value::Number(number) => match number.as_i64() {
                Some(int) => Ok(Self::Int(int)),
                None => Ok(Self::Bytes(number.to_string().into_bytes())),
            },
            Value::String(text) if text == "OK" => Ok(Self::Bytes(text.into_bytes())),
            Value::String(text) => STANDARD
                .decode(&text)
                .map(Self::Bytes)
                .map_err(|_| Error::Decode(format!("{} is not base64", excerpt(&text)))),
            Value::Array(items) => {
                items.into_iter().map(Self::from_json).collect::<Result<_, _>>().map(Self::Array)
            }
            Value::Object(_) => Err(Error::Decode("an object where a value was expected".to_owned())),
        }
    }

    /// Decodes the object around an answer, which is `{"result": ...}` or `{"error": ...}`.
    pub(crate) fn from_envelope(value: Value) -> Result<Result<Self, ServerError>, Error> {
        let Value::Object(mut members) = value else {
            return Err(Error::Decode("neither a result nor an error".to_owned()));
        };
        if let Some(Value::String(text)) = members.get("error") {
            return Ok(Err(ServerError::parse(text)));
        }
        match members.remove("result") {
            Some(result) => Self::from_json(result).map(Ok),
            None => Err(Error::Decode("neither a result nor an error".to_owned())),
        }
    }

    fn kind(&self) -> &'static str {
        match self {
            Self::Nil => "nil",
            Self::Int(_) => "an integer",
            Self::Bytes(_) => "a string",
            Self::Array(_) => "an array",
        }
    }
}

/// The first characters of what was received, for an error message.
fn excerpt(text: &str) -> String {
    format!("{:?}", text.chars().take(24).collect::<String>())
}

/// A Rust type that a [`Reply`] can become.
pub trait FromReply: Sized {
    /// Converts a reply into this type.
    ///
    /// # Errors
    /// [`Error::Decode`] when the reply is of another kind; it says which was expected.
    fn from_reply(reply: Reply) -> Result<Self, Error>;
}

fn mismatch<T>(expected: &str, reply: &Reply) -> Result<T, Error> {
    Err(Error::Decode(format!("expected {expected}, got {}", reply.kind())))
}

impl FromReply for Reply {
    fn from_reply(reply: Reply) -> Result<Self, Error> {
        Ok(reply)
    }
}

/// Every answer becomes `()`, for commands whose answer does not matter.
impl FromReply for () {
    fn from_reply(_: Reply) -> Result<Self, Error> {
        Ok(())
    }
}

impl FromReply for Vec<u8> {
    fn from_reply(reply: Reply) -> Result<Self, Error> {
        match reply {
            Reply::Bytes(bytes) => Ok(bytes),
            Reply::Int(int) => Ok(int.to_string().into_bytes()),
            other => mismatch("a string", &other),
        }
    }
}

impl FromReply for String {
    fn from_reply(reply: Reply) -> Result<Self, Error> {
        Self::from_utf8(Vec::from_reply(reply)?)
            .map_err(|_| Error::Decode("a string that is not UTF-8".to_owned()))
    }
}

impl FromReply for i64 {
    fn from_reply(reply: Reply) -> Result<Self, Error> {
        match reply {
            Reply::Int(int) => Ok(int),
            Reply::Bytes(ref bytes) => {
                match std::str::from_utf8(bytes).ok().and_then(|text| text.parse().ok()) {
                    Some(int) => Ok(int),
                    None => mismatch("an integer", &reply),
                }
            }
            other => mismatch("an integer", &other),
        }
    }
}

impl FromReply for u64 {
    fn from_reply(reply: Reply) -> Result<Self, Error> {
        let int = i64::from_reply(reply)?;
        Self::try_from(int).map_err(|_| Error::Decode(format!("expected a count, got {int}")))
    }
}

impl FromReply for f64 {
    fn from_reply(reply: Reply) -> Result<Self, Error> {
        let text = String::from_reply(reply)?;
        text.parse().map_err(|_| Error::Decode(format!("expected a number, got {}", excerpt(&text))))
    }
}

/// `1` and `OK` become true, `0` and nil become false.
impl FromReply for bool {
    fn from_reply(reply: Reply) -> Result<Self, Error> {
        match reply {
            Reply::Nil => Ok(false),
            Reply::Int(int @ (0 | 1)) => Ok(int == 1),
            Reply::Bytes(bytes) if bytes == b"OK" => Ok(true),
            other => mismatch("a yes or no", &other),
        }
    }
}

impl<T: FromReply> FromReply for Option<T> {
    fn from_reply(reply: Reply) -> Result<Self, Error> {
        match reply {
            Reply::Nil => Ok(None),
            other => T::from_reply(other).map(Some),
        }
    }
}

macro_rules! from_array {
    ($($item:ty),*) => {$(
        impl FromReply for Vec<$item> {
            fn from_reply(reply: Reply) -> Result<Self, Error> {
                match reply {
                    Reply::Array(items) => items.into_iter().map(FromReply::from_reply).collect(),
                    other => mismatch("an array", &other),
                }
            }
        }
    )*};
}

from_array!(Reply, String, Vec<u8>, i64, u64, f64, bool, Option<String>, Option<Vec<u8>>, Option<i64>);

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn ok_is_understood_plain_and_encoded() {
        assert_eq!(Reply::from_json(json!("OK")).unwrap(), Reply::Bytes(b"OK".to_vec()));
        assert_eq!(Reply::from_json(json!("T0s=")).unwrap(), Reply::Bytes(b"OK".to_vec()));
    }

    #[test]
    fn text_that_is_not_base64_is_an_error_and_not_a_value() {
        assert!(matches!(Reply::from_json(json!("<html>")), Err(Error::Decode(_))));
    }

    #[test]
    fn a_missing_result_is_an_error_and_not_nil() {
        assert!(matches!(Reply::from_envelope(json!({"unexpected": 1})), Err(Error::Decode(_))));
        assert!(matches!(Reply::from_envelope(json!([1])), Err(Error::Decode(_))));
    }

    #[test]
    fn an_error_answer_is_never_taken_for_a_missing_key() {
        let answer = Reply::from_envelope(json!({"error": "WRONGTYPE no"})).unwrap();
        assert_eq!(answer.unwrap_err().code, "WRONGTYPE");
    }

    #[test]
    fn a_reply_of_another_type_says_what_was_expected() {
        let error = i64::from_reply(Reply::Array(vec![])).unwrap_err();
        assert_eq!(error.to_string(), "unexpected answer from redis: expected an integer, got an array");
        assert!(u64::from_reply(Reply::Int(-1)).is_err());
        assert!(bool::from_reply(Reply::Int(2)).is_err());
    }

    #[test]
    fn bytes_survive_that_are_not_utf8() {
        let reply = Reply::from_json(json!("/wD+")).unwrap();
        assert_eq!(Vec::<u8>::from_reply(reply.clone()).unwrap(), [0xff, 0x00, 0xfe]);
        assert!(String::from_reply(reply).is_err());
    }
}
