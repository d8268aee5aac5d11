//! What signing up takes, and why it may fail.

use super::super::email::MalformedEmail;
use super::super::password::{HashError, WeakPassword};
use crate::dynamo::{DynamoError, WriteError};
use crate::tenants::records::Origin;

/// What somebody who signs up tells about themselves.
pub struct NewAccount<'a> {
    pub email: &'a str,
    pub password: &'a str,
    /// The name of the person.
    pub name: String,
    /// The name of the tenant that is opened together with the account.
    pub tenant_name: String,
    pub origin: Origin,
}

/// Why no account was opened.
#[derive(Debug, thiserror::Error)]
pub enum SignUpError {
    /// The text is not an e-mail address.
    #[error(transparent)]
    Email(#[from] MalformedEmail),
    /// The password is not good enough.
    #[error(transparent)]
    Password(#[from] WeakPassword),
    /// The password could not be hashed.
    #[error(transparent)]
    Hash(#[from] HashError),
    /// A call of the database failed, and nothing was written.
    #[error(transparent)]
    Dynamo(#[from] DynamoError),
}

impl From<WriteError> for SignUpError {
    fn from(error: WriteError) -> Self {
        match error {
            WriteError::Dynamo(error) => Self::Dynamo(error),
            // The only condition is that the address has no account yet. Callers handle its failure before they
            // come here.
            conflict @ WriteError::Conflict { .. } => Self::Dynamo(DynamoError::Refused {
                code: "conflict".to_owned(),
                message: conflict.to_string(),
            }),
        }
    }
}
