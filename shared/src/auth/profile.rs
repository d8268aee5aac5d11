//! What a user may change about their own account.

use crate::contract::users::ProfileUpdate;

/// The changes of a user's profile. A member that is `None` stays as it is.
#[derive(Debug, Default)]
pub struct ProfileChanges {
    pub name: Option<String>,
    /// A BCP 47 language tag.
    pub locale: Option<String>,
    /// An IANA time zone.
    pub timezone: Option<String>,
}

impl From<ProfileUpdate> for ProfileChanges {
    fn from(update: ProfileUpdate) -> Self {
        Self {
            name: update.name.map(Into::into),
            locale: update.locale.map(Into::into),
            timezone: update.timezone.map(Into::into),
        }
    }
}
