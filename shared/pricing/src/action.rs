//! What advice can say: what to do, how to explore, and what held it back.

/// What to do about a price.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Stay at the current price.
    Keep,
    /// Offer another price beside the current one.
    Test,
    /// Take the other price.
    Switch,
}

/// How prices are explored.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Policy {
    /// One step at a time, tested beside the current price, taken when it is likely better.
    #[default]
    Ladder,
    /// Thompson sampling: each price is offered as often as it is likely the best.
    Thompson,
}

/// What held advice back, or limits what it is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Guardrail {
    /// Everything was offered at one price.
    OnePrice,
    /// There were too few offers for a best price.
    FewOffers,
    /// Nothing was offered at the current price.
    UnseenPrice,
    /// The other price is likely better, but its own sales do not show it yet.
    Untested,
    /// The best price is further away than one step.
    StepLimited,
    /// The best price is below the lower limit.
    MinPrice,
    /// The best price is above the upper limit.
    MaxPrice,
    /// Within one step and the limits, no price differs enough to be tested.
    NoStep,
    /// The best price is not between prices that were offered.
    BeyondHistory,
    /// No shape of demand explains what was sold.
    ShapeDoubtful,
    /// A sale at the current price brings nothing after fee and cost.
    AtLoss,
}
