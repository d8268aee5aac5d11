//! What the assistant tells where no model can answer: what its tools say, without a conversation around it.

use super::{Assistant, Conversation};
use crate::content::GenerationContext;
use crate::content::language::Language;
use crate::contract::assistant::{AssistantRequest, Tool, ToolStatus, ToolUse};
use crate::contract::content_ideas::{Idea, IdeaBatch};
use crate::contract::creators::Creator;
use crate::tenants::credits::CreditBalance;

/// Named in `meta.promptVersion` and, as the model, in `meta.model`.
pub(super) const VERSION: &str = "plain/2";

const IDEAS: u32 = 3;

/// The sentences of one language.
struct PlainSentences {
    no_model: &'static str,
    ideas: &'static str,
    no_ideas: &'static str,
    prices: &'static str,
    no_prices: &'static str,
    nothing: &'static str,
    credits: fn(&CreditBalance) -> String,
    no_credits: &'static str,
}

const ENGLISH: PlainSentences = PlainSentences {
    no_model: "No model can answer now, so this is no conversation but what the tools say.",
    ideas: "Ideas for this creator:",
    no_ideas: "There are no ideas now; try again shortly.",
    prices: "Price advice:",
    no_prices: "There is no price advice: no offers are stored for this creator, or they cannot be read now.",
    nothing: "Without a model the tools `content-ideas` and `pricing-optimizer` (with a `creatorId`) and `usage` still work: name them in `tools`.",
    credits: |balance| format!("Credits this month: {} of {} used.", balance.used, balance.limit),
    no_credits: "The account cannot be read now; try again shortly.",
};

const FRENCH: PlainSentences = PlainSentences {
    no_model: "Aucun modèle ne peut répondre pour l'instant : ceci n'est pas une conversation, mais ce que disent les outils.",
    ideas: "Des idées pour ce profil :",
    no_ideas: "Pas d'idées pour l'instant ; réessayez dans un moment.",
    prices: "Conseil de prix :",
    no_prices: "Pas de conseil de prix : aucune offre n'est enregistrée pour ce profil, ou elles ne peuvent pas être lues.",
    nothing: "Sans modèle, les outils `content-ideas` et `pricing-optimizer` (avec un `creatorId`) et `usage` fonctionnent toujours : nommez-les dans `tools`.",
    credits: |balance| format!("Crédits du mois : {} utilisés sur {}.", balance.used, balance.limit),
    no_credits: "Le compte ne peut pas être lu pour l'instant ; réessayez dans un moment.",
};

impl Assistant {
    /// Every tool that the caller names is used once, in the order given.
    pub(super) async fn tell_plainly(
        &self,
        context: GenerationContext,
        creator: Option<&Creator>,
        request: &AssistantRequest,
        conversation: &mut Conversation<'_>,
    ) {
        let language =
            creator.map_or(Language::English, |creator| Language::or_english(&creator.profile.language));
        let words = language.pick(&ENGLISH, &FRENCH);
        conversation.say(words.no_model.to_owned());
        if request.tools.is_empty() {
            conversation.say(format!("\n\n{}", words.nothing));
        }
        for tool in request.tools.iter().copied() {
            conversation.tool(ToolUse { tool, status: ToolStatus::Running, result_ref: None });
            let (said, result_ref) = match tool {
                Tool::ContentIdeas => {
                    let ideas = self.tools.ideas(context, request.creator_id, None, IDEAS).await.ok();
                    let kept = ideas.as_ref().and_then(|batch| batch.meta.generation_id);
                    (ideas.map(|batch| list(words.ideas, &batch)), kept)
                }
                Tool::PricingOptimizer => {
                    let advised = self.tools.advice(context, request.creator_id, None, None).await.ok();
                    let kept = advised.as_ref().and_then(|(_, answer)| answer.meta.generation_id);
                    let told = advised.map(|(_, answer)| answer.data.explanation);
                    (told.map(|advice| format!("{} {advice}", words.prices)), kept)
                }
                Tool::Usage => {
                    (self.tools.balance(context).await.map(|balance| (words.credits)(&balance)), None)
                }
            };
            let status = if said.is_some() { ToolStatus::Ok } else { ToolStatus::Failed };
            conversation.tool(ToolUse { tool, status, result_ref });
            let failed = match tool {
                Tool::ContentIdeas => words.no_ideas,
                Tool::PricingOptimizer => words.no_prices,
                Tool::Usage => words.no_credits,
            };
            conversation.say(format!("\n\n{}", said.unwrap_or_else(|| failed.to_owned())));
        }
    }
}

fn list(title: &str, batch: &IdeaBatch) -> String {
    let line = |(n, idea): (usize, &Idea)| format!("\n{}. {} ({})", n + 1, idea.title, idea.hook);
    let lines: String = batch.data.ideas.iter().enumerate().map(line).collect();
    format!("{title}{lines}")
}
