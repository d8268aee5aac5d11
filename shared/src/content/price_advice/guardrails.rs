//! The guardrails that limited the advice, each with a sentence of explanation.

use super::super::language::Language;
use super::answer::code;
use super::explain::Facts;
use crate::contract::price_advice::{GuardrailCode as Code, PriceGuardrail};

/// The amounts and numbers that the sentences contain, as text.
struct Terms {
    current: String,
    other: String,
    step: String,
    best: String,
    min: String,
    max: String,
    /// The p-value of the fit of demand.
    p: String,
    /// The number of offers.
    n: String,
}

impl Facts<'_> {
    /// The guardrails that were applied, each with its code and a sentence that says why.
    pub(super) fn guardrails(&self, applied: &[pricing::Guardrail]) -> Vec<PriceGuardrail> {
        let limits = &self.request.constraints;
        let terms = Terms {
            current: self.current(),
            other: self.other(),
            step: self.language.percent(f64::from(limits.max_step_pct.get())),
            best: self.estimate.optimal_cents.map(|best| self.money(best)).unwrap_or_default(),
            min: self.money(u64::from(limits.min_cents.get())),
            max: self.money(u64::from(limits.max_cents.get())),
            p: self.language.number(self.estimate.fit.p_value.unwrap_or_default()),
            n: self.number(self.estimate.n),
        };
        let sentence = match self.language {
            Language::English => english,
            Language::French => french,
        };
        let codes = applied.iter().map(|guardrail| code(*guardrail));
        codes.map(|code| PriceGuardrail { code, detail: sentence(code, &terms) }).collect()
    }
}

fn english(code: Code, terms: &Terms) -> String {
    let Terms { current, other, step, best, min, max, p, n } = terms;
    match code {
        Code::OnePrice => "Everything was offered at one price, which says nothing of others.".to_owned(),
        Code::FewOffers => format!("{n} offers are fewer than the 30 that an estimate takes."),
        Code::UnseenPrice => format!("Nothing was offered at {current} yet."),
        Code::Untested => format!(
            "{other} is likely better, but its own sales do not show it yet; the curve alone moves no price."
        ),
        Code::StepLimited => format!("The best price, {best}, is further away than one step of {step}."),
        Code::MinPrice => format!("The best price, {best}, is below the limit of {min}."),
        Code::MaxPrice => format!("The best price, {best}, is above the limit of {max}."),
        Code::NoStep => format!(
            "Within {step} of {current} and the limits there is no price that a test could tell from it."
        ),
        Code::BeyondHistory => format!(
            "The best price, {best}, is not between prices that were offered: it rests on the shape of demand alone."
        ),
        Code::ShapeDoubtful => format!(
            "No shape of demand explains what was sold (p = {p}), so the intervals are wider. Are these several kinds of buyers?"
        ),
        Code::AtLoss => format!("After the fee and the unit cost, a sale at {current} brings nothing."),
    }
}

fn french(code: Code, terms: &Terms) -> String {
    let Terms { current, other, step, best, min, max, p, n } = terms;
    match code {
        Code::OnePrice => "Tout a été proposé à un seul prix, ce qui ne dit rien des autres.".to_owned(),
        Code::FewOffers => format!("{n} offres, c'est moins que les 30 qu'il faut pour une estimation."),
        Code::UnseenPrice => format!("Rien n'a encore été proposé à {current}."),
        Code::Untested => format!(
            "{other} est probablement meilleur, mais ses propres ventes ne le montrent pas encore ; la courbe seule ne change aucun prix."
        ),
        Code::StepLimited => format!("Le meilleur prix, {best}, est plus loin qu'un pas de {step}."),
        Code::MinPrice => format!("Le meilleur prix, {best}, est en dessous de la limite de {min}."),
        Code::MaxPrice => format!("Le meilleur prix, {best}, est au-dessus de la limite de {max}."),
        Code::NoStep => format!(
            "À moins de {step} de {current} et dans les limites, aucun prix ne s'en distinguerait dans un test."
        ),
        Code::BeyondHistory => format!(
            "Le meilleur prix, {best}, n'est pas entre des prix déjà proposés : il ne repose que sur la forme de la demande."
        ),
        Code::ShapeDoubtful => format!(
            "Aucune forme de demande n'explique les ventes (p = {p}), donc les intervalles sont plus larges. S'agit-il de plusieurs sortes d'acheteurs ?"
        ),
        Code::AtLoss => format!("Après la commission et le coût, une vente à {current} ne rapporte rien."),
    }
}
