//! Why a command has no result.

use std::time::Duration;

/// An error that Redis itself answered with, such as `WRONGTYPE Operation against a key ...`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{code} {message}")]
pub struct ServerError {
    /// The first word of the answer when it is an error code (`ERR`, `WRONGTYPE`, `NOSCRIPT`), else `ERR`.
    pub code: String,
    /// What follows the code.
    pub message: String,
}

impl ServerError {
    /// Splits `CODE message`; an answer without a code counts as `ERR`.
    pub(crate) fn parse(text: &str) -> Self {
        let (first, rest) = text.split_once(' ').unwrap_or((text, ""));
        if !first.is_empty() && first.bytes().all(|b| b.is_ascii_uppercase() || b == b'_') {
            Self { code: first.to_owned(), message: rest.to_owned() }
        } else {
            Self { code: "ERR".to_owned(), message: text.to_owned() }
        }
    }
}

/// Why a command has no result. It is `#[non_exhaustive]` so that a new cause is not a breaking change.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Redis refused the command.
    #[error("redis answered {code} {message}")]
    Server {
        /// The code of the error, such as `ERR`, `WRONGTYPE` or `NOSCRIPT`.
        code: String,
        /// The text after the code.
        message: String,
    },
    /// The token was refused (HTTP 401 or 403).
    #[error("redis refused the token: {message}")]
    Unauthorized {
        /// The text of the server's answer.
        message: String,
    },
    /// There was no answer within the deadline. Whether the command ran is unknown.
    #[error("no answer from redis within {} ms", after.as_millis())]
    Timeout {
        /// The deadline that passed.
        after: Duration,
    },
    /// The connection could not be made or broke. Whether the command ran is unknown.
    #[error("the connection to redis failed")]
    Transport(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// Something that is not the REST API answered: a rate limit, a proxy, a failing gateway.
    #[error("redis answered with HTTP status {status}")]
    Status {
        /// The HTTP status of the answer.
        status: u16,
    },
    /// The answer could not be understood, or is not of the type that was asked for.
    #[error("unexpected answer from redis: {0}")]
    Decode(String),
    /// The client was given something it cannot use, such as a URL without a host.
    #[error("invalid client configuration: {0}")]
    Configuration(String),
}

impl Error {
    /// Whether this is an [`Error::Server`] with the code `expected`.
    pub fn has_code(&self, expected: &str) -> bool {
        matches!(self, Self::Server { code, .. } if code == expected)
    }
}

impl From<ServerError> for Error {
    fn from(error: ServerError) -> Self {
        Self::Server { code: error.code, message: error.message }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_code_is_the_first_word_in_capitals() {
        let error = ServerError::parse("WRONGTYPE Operation against a key");
        assert_eq!((error.code.as_str(), error.message.as_str()), ("WRONGTYPE", "Operation against a key"));
    }

    #[test]
    fn an_answer_without_a_code_counts_as_err() {
        let error = ServerError::parse("max request size exceeded");
        assert_eq!((error.code.as_str(), error.message.as_str()), ("ERR", "max request size exceeded"));
    }
}
