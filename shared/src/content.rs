//! The product: ideas with captions and hashtags, messages to fans, price advice, and an assistant that uses them.

mod assistant;
pub mod builtin;
pub mod hashtags;
mod history;
mod ideas;
pub mod language;
mod lift;
mod links;
mod messages;
mod novelty;
mod plain;
mod platform;
mod price_advice;
mod prompt;
mod provenance;
mod screen;
mod store;
mod tags;
mod topics;

pub use assistant::{Assistant, AssistantError, Listener, Tools};
pub use history::PostHistory;
pub use ideas::{CreatorContext, IdeaError, IdeaOrder, IdeaSource, Ideas};
pub use messages::{MessageError, Messages, TemplateError, join};
pub use price_advice::{PriceAdviceError, PriceAdvisor};
pub use store::GenerationContext;

use crate::contract::content_ideas::{IdeaOptions, IdeaProfile};
use crate::contract::creators::{Creator, Goal, Platform};
use crate::contract::ids::CreatorId;

/// The creator's profile that ideas are made from, with a value for everything that a request may leave out.
#[derive(Debug, Clone, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct IdeaSubject {
    /// What the creator makes content about, in free words.
    pub niche: String,
    /// The platform that the ideas are for.
    pub platform: Platform,
    /// What the content should achieve.
    pub goals: Vec<Goal>,
    /// How the content should sound, in free words.
    pub tone: String,
    /// The language of the content, as a BCP 47 tag.
    pub language: String,
    /// Whom the content is for, in free words.
    pub audience: Option<String>,
}

/// A member of a request that is missing, wrong, or excluded by another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ProfileError {
    /// The member, as a JSON pointer into the body.
    pub pointer: &'static str,
    /// What is expected of the member.
    pub message: &'static str,
}

/// A stored creator as a request names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CreatorReference {
    pub id: CreatorId,
    /// The member that names the creator, as a JSON pointer into the body.
    pub pointer: &'static str,
}

impl CreatorReference {
    /// The creator that `creatorId` names, or else the member at `earlier_pointer`, which had this meaning before.
    ///
    /// # Errors
    /// [`ProfileError`] where both members are there.
    pub const fn of(
        creator_id: Option<CreatorId>,
        earlier: Option<CreatorId>,
        earlier_pointer: &'static str,
    ) -> Result<Option<Self>, ProfileError> {
        match (creator_id, earlier) {
            (Some(_), Some(_)) => Err(ProfileError {
                pointer: earlier_pointer,
                message: "must not stand beside `creatorId`, which is its new name",
            }),
            (Some(id), None) => Ok(Some(Self { id, pointer: "/creatorId" })),
            (None, Some(id)) => Ok(Some(Self { id, pointer: earlier_pointer })),
            (None, None) => Ok(None),
        }
    }

    /// The error for a creator that the tenant does not have.
    pub const fn unknown(self) -> ProfileError {
        ProfileError { pointer: self.pointer, message: "is no creator of this tenant" }
    }
}

impl IdeaSubject {
    /// The subject of a profile that the request itself contains.
    ///
    /// # Errors
    /// [`ProfileError`] where the profile has no niche.
    pub fn of_profile(profile: &IdeaProfile, options: &IdeaOptions) -> Result<Self, ProfileError> {
        let niche = profile
            .niche
            .as_deref()
            .ok_or(ProfileError { pointer: "/profile/niche", message: "is required in a profile" })?;
        let first_platform = profile.platforms.as_ref().map_or(Platform::Instagram, |platforms| platforms[0]);
        Ok(Self {
            niche: niche.to_owned(),
            platform: options.platform.unwrap_or(first_platform),
            goals: profile.goals.as_ref().map_or_else(|| vec![Goal::Grow], |goals| goals.to_vec()),
            tone: profile.tone.as_deref().unwrap_or("warm").to_owned(),
            language: profile.language.as_deref().unwrap_or("en").to_owned(),
            audience: profile.audience.as_deref().map(str::to_owned),
        })
    }

    /// The subject of a stored creator.
    pub fn of_creator(creator: &Creator, options: &IdeaOptions) -> Self {
        let stored = &creator.profile;
        Self {
            niche: stored.niche.to_string(),
            platform: options.platform.unwrap_or(stored.platforms[0]),
            goals: stored.goals.to_vec(),
            tone: stored.tone.to_string(),
            language: stored.language.to_string(),
            audience: stored.audience.as_deref().map(str::to_owned),
        }
    }
}

#[cfg(test)]
mod tests {
    use ring::digest::{SHA256, digest};

    /// `meta.promptVersion` would name two texts alike if a prompt changed and kept its version.
    #[test]
    fn a_prompt_with_a_version_does_not_change() {
        let prompts = [
            (
                super::prompt::VERSION,
                include_str!("content/prompts/ideas-3.txt"),
                "ideas/3",
                "8a855911db0a9452",
            ),
            (
                super::messages::VERSION,
                include_str!("content/prompts/messages-1.txt"),
                "messages/1",
                "5b921f63235e408f",
            ),
            (
                super::assistant::PROMPT_VERSION,
                include_str!("content/prompts/assistant-1.txt"),
                "assistant/1",
                "aeceff1a12d2fd87",
            ),
        ];
        for (version, text, expected, hash) in prompts {
            let found: String =
                digest(&SHA256, text.as_bytes()).as_ref()[..8].iter().map(|b| format!("{b:02x}")).collect();
            assert_eq!(
                (version, found.as_str()),
                (expected, hash),
                "a changed prompt is a new file with a new version"
            );
        }
    }
}
