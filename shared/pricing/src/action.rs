//! The vocabulary of advice: what to do about a price, how prices are explored, and what limits the advice.

/// What to do about the current price.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Offer at the current price as before.
    Keep,
    /// Make a part of the offers at another price, to learn whether it is better.
    Test,
    /// Make the other price the current one.
    Switch,
}

/// The way in which other prices than the current one are tried.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Policy {
    /// One step at a time, tested beside the current price, taken when it is likely better.
    #[default]
    Ladder,
    /// Thompson sampling: each price is offered as often as it is likely the best.
    Thompson,
}

/// A reason why advice stays behind the best price, or is worth less than it looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Guardrail {
    /// All offers were made at one price.
    OnePrice,
    /// There were too few offers to say which price is best.
    FewOffers,
    /// No offer was made at the current price.
    UnseenPrice,
    /// The other price is likely better, but its own sales do not show it yet.
    Untested,
    /// The best price is further away than one step of the ladder.
    StepLimited,
    /// The best price is below the lower limit.
    MinPrice,
    /// The best price is above the upper limit.
    MaxPrice,
    /// No price within one step and the limits differs enough from the current one to be tested.
    NoStep,
    /// The best price lies outside the prices that were offered.
    BeyondHistory,
    /// No shape of demand explains what was sold.
    ShapeDoubtful,
    /// A sale at the current price brings nothing after fee and cost.
    AtLoss,
}
