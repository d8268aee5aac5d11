//! The assistant's answer where no model can write: the results of its tools, without a conversation around them.

use super::tools::tool_use;
use super::{Assistant, Conversation};
use crate::content::GenerationContext;
use crate::content::language::Language;
use crate::contract::assistant::{AssistantRequest, Tool};
use crate::contract::content_ideas::{Idea, IdeaBatch};
use crate::contract::creators::Creator;
use crate::contract::price_advice::PriceAdvice;
use crate::tenants::credits::CreditBalance;

/// The version of these answers, as `meta.promptVersion` and `meta.model` have it.
pub(super) const VERSION: &str = "plain/2";

/// How many ideas an answer lists.
const IDEA_COUNT: u32 = 3;

/// The sentences of these answers in one language.
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
    /// Answers without a model: uses every tool that the caller names once, in their order, and passes on the results.
    pub(super) async fn answer_plainly(
        &self,
        context: GenerationContext,
        creator: Option<&Creator>,
        request: &AssistantRequest,
        conversation: &mut Conversation<'_>,
    ) {
        let language =
            creator.map_or(Language::English, |creator| Language::or_english(&creator.profile.language));
        let sentences = language.pick(&ENGLISH, &FRENCH);
        conversation.say(sentences.no_model.to_owned());
        if request.tools.is_empty() {
            conversation.say(format!("\n\n{}", sentences.nothing));
        }
        for tool in request.tools.iter().copied() {
            conversation.begin_tool(tool);
            let context = GenerationContext { may_pay: conversation.may_pay(), ..context };
            let (text, meta) = match tool {
                Tool::ContentIdeas => {
                    let batch = self.tools.ideas(context, request.creator(), None, IDEA_COUNT).await.ok();
                    batch.map(|batch| (list(sentences.ideas, &batch), batch.meta)).unzip()
                }
                Tool::PricingOptimizer => {
                    let advice = self.tools.advice(context, request.creator(), None, None).await.ok();
                    let told = |answer: PriceAdvice| {
                        (format!("{} {}", sentences.prices, answer.data.explanation), answer.meta)
                    };
                    advice.map(|(_, answer)| told(answer)).unzip()
                }
                Tool::Usage => {
                    (self.tools.balance(context).await.map(|balance| (sentences.credits)(&balance)), None)
                }
            };
            conversation.end_tool(tool_use(tool, text.is_some(), meta.as_ref()), meta);
            let apology = match tool {
                Tool::ContentIdeas => sentences.no_ideas,
                Tool::PricingOptimizer => sentences.no_prices,
                Tool::Usage => sentences.no_credits,
            };
            conversation.say(format!("\n\n{}", text.unwrap_or_else(|| apology.to_owned())));
        }
    }
}

/// The ideas of a batch as a numbered list under a title.
fn list(title: &str, batch: &IdeaBatch) -> String {
    let line = |(n, idea): (usize, &Idea)| format!("\n{}. {} ({})", n + 1, idea.title, idea.hook);
    let lines: String = batch.data.ideas.iter().enumerate().map(line).collect();
    format!("{title}{lines}")
}
