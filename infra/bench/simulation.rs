//! Simulated demand with a known optimum, to see how good price advice is.

use pricing::ladder::{Rails, STEP_MAX, advise};
use pricing::random::SplitMix64;
use pricing::{Action, Arm, Arms, Beliefs, Departures, Grid, Margin, Posterior, Shape};

/// A demand that is known, in dollars.
#[derive(Debug, Clone, Copy)]
pub struct Truth {
    /// Its name.
    pub name: &'static str,
    /// The probability of a sale at a price.
    pub buys: fn(f64) -> f64,
}

fn logistic(z: f64) -> f64 {
    1.0 / (1.0 + (-z).exp())
}

/// The four of the benchmark.
pub const TRUTHS: [Truth; 4] = [
    Truth { name: "logit", buys: |p| logistic(1.2 - 0.09 * p) },
    Truth { name: "linear", buys: |p| (0.62 - 0.0145 * p).clamp(0.0, 1.0) },
    Truth { name: "exponential", buys: |p| 0.9 * (-p / 14.0).exp() },
    Truth {
        name: "two segments",
        buys: |p| 0.75 * logistic(6.0 - 0.6 * p) + 0.25 * logistic(8.0 - 0.22 * p),
    },
];

/// Revenue, which is what the truths' optima are of.
pub const REVENUE: Margin = Margin { fee: 0.0, unit_cost: 0.0 };

impl Truth {
    /// What an offer at a price brings.
    pub fn revenue(&self, price: f64) -> f64 {
        price * (self.buys)(price)
    }

    /// The best price, to a cent.
    pub fn best(&self) -> f64 {
        let cents = (100..10_000).map(|cents| f64::from(cents) / 100.0);
        cents.max_by(|a, b| self.revenue(*a).total_cmp(&self.revenue(*b))).unwrap_or_default()
    }
}

/// Random numbers of a simulation, apart from those of the advice.
#[derive(Debug, Clone)]
pub struct Dice(SplitMix64);

impl Dice {
    /// The same for the same seed.
    pub const fn new(seed: u64) -> Self {
        Self(SplitMix64::new(seed))
    }

    /// Evenly from 0 to below 1.
    pub const fn uniform(&mut self) -> f64 {
        self.0.uniform()
    }

    /// How many of `offers` are sales.
    pub fn sales(&mut self, offers: u32, probability: f64) -> f64 {
        f64::from((0..offers).map(|_| u32::from(self.uniform() < probability)).sum::<u32>())
    }
}

/// What a history of one size says, over many runs.
#[derive(Debug, Clone, Copy, Default)]
pub struct Offline {
    /// How often the interval of 90 % holds the best price.
    pub coverage: f64,
    /// The upper end of the interval over the lower, the median of the runs.
    pub width: f64,
    /// What the posterior's median price loses, in parts of the best revenue.
    pub regret: f64,
}

/// What the prototype believed: a logit, and nothing else.
pub fn plain_logit() -> Beliefs {
    let mut beliefs = Beliefs::weak();
    (beliefs.shapes, beliefs.departures) = (&[Shape::Logit], Departures::Never);
    beliefs
}

/// Histories at 9, 12 and 19 in 60, 30 and 10 %.
pub fn offline(truth: &Truth, beliefs: &Beliefs, offers: u32, runs: u32, seed: u64) -> Offline {
    let best = truth.best();
    let (mut covered, mut widths, mut regret) = (0.0, Vec::new(), 0.0);
    for run in 0..runs {
        let mut dice = Dice::new(seed.wrapping_add(u64::from(run)).wrapping_mul(0x2545_f491_4f6c_dd1d));
        let arm = |(price, share): (f64, f64)| {
            let count = (f64::from(offers) * share).round() as u32;
            let sold = dice.sales(count, (truth.buys)(price));
            Arm { price: price * 100.0, offered: f64::from(count), sold }
        };
        let history: Vec<Arm> = [(9.0, 0.6), (12.0, 0.3), (19.0, 0.1)].map(arm).to_vec();
        let Ok(arms) = Arms::new(&history) else { continue };
        let grid = Grid::around(&arms, &[]);
        let Some(posterior) = Posterior::new(&arms, beliefs, grid, u64::from(run), 400) else { continue };
        let found = posterior.best_price(REVENUE);
        let (low, high) = (found.p05 / 100.0, found.p95 / 100.0);
        covered += f64::from(u8::from(low <= best && best <= high)) / f64::from(runs);
        widths.push(high / low);
        regret += (1.0 - truth.revenue(found.p50 / 100.0) / truth.revenue(best)) / f64::from(runs);
    }
    widths.sort_by(f64::total_cmp);
    Offline { coverage: covered, width: widths.get(widths.len() / 2).copied().unwrap_or_default(), regret }
}

/// The prices that a policy may choose from.
pub const PRICES: [f64; 10] = [5.0, 7.0, 9.0, 12.0, 15.0, 19.0, 24.0, 29.0, 35.0, 42.0];
const OFFERS: u32 = 2_000;
const BATCH: u32 = 20;
/// The price that a creator has before anybody advises.
pub const START: f64 = 9.0;

/// How prices are chosen, batch by batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Policy {
    /// The price stays.
    Fixed,
    /// The upper confidence bound of each price's own revenue (Auer and others, 2002).
    Ucb1,
    /// A draw of each price's own probability (Thompson, 1933, with a Beta prior).
    BetaThompson,
    /// The best price of the mean of logit curves.
    GreedyLogit,
    /// The best price of a draw of the logit curve.
    ThompsonLogit,
    /// The same, where each price may depart from the curve.
    ThompsonEffects,
    /// The best price of a draw of what the product believes.
    Thompson,
    /// Steps of at most a quarter, tested beside the price, taken when they are likely better.
    Ladder,
}

impl Policy {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Fixed,
        Self::Ucb1,
        Self::BetaThompson,
        Self::GreedyLogit,
        Self::ThompsonLogit,
        Self::ThompsonEffects,
        Self::Thompson,
        Self::Ladder,
    ];

    /// In tables.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Fixed => "fixed price",
            Self::Ucb1 => "UCB1",
            Self::BetaThompson => "Thompson, each price for itself",
            Self::GreedyLogit => "greedy, logit",
            Self::ThompsonLogit => "Thompson, logit",
            Self::ThompsonEffects => "Thompson, logit with arm effects",
            Self::Thompson => "Thompson, as the product does it",
            Self::Ladder => "guarded ladder",
        }
    }

    fn beliefs(self) -> Beliefs {
        match self {
            Self::GreedyLogit | Self::ThompsonLogit => plain_logit(),
            Self::ThompsonEffects => {
                let mut beliefs = plain_logit();
                beliefs.departures = Departures::Always;
                beliefs
            }
            _ => Beliefs::weak(),
        }
    }
}

/// What was sold so far.
struct Sales(Vec<Arm>);

impl Sales {
    fn offer(&mut self, truth: &Truth, price: f64, offers: u32, dice: &mut Dice) -> f64 {
        let sold = dice.sales(offers, (truth.buys)(price));
        self.0.push(Arm { price: price * 100.0, offered: f64::from(offers), sold });
        // What these offers are worth on average: the luck of a run is not the merit of its policy.
        f64::from(offers) * truth.revenue(price)
    }

    fn at(&self, price: f64) -> (f64, f64) {
        let of = self.0.iter().filter(|arm| (arm.price - price * 100.0).abs() < 1e-6);
        of.fold((0.0, 0.0), |(offered, sold), arm| (offered + arm.offered, sold + arm.sold))
    }

    fn posterior(&self, policy: Policy, prices: &[f64], seed: u64, count: usize) -> Option<Posterior> {
        let cents: Vec<f64> = prices.iter().map(|price| price * 100.0).collect();
        Posterior::new(&Arms::new(&self.0).ok()?, &policy.beliefs(), Grid::of(&cents), seed, count)
    }
}

/// What a run of a policy brings, an offer.
pub fn online(truth: &Truth, policy: Policy, seed: u64) -> f64 {
    let mut dice = Dice::new(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    let (mut sales, mut revenue, mut price) = (Sales(Vec::new()), 0.0, START);
    for batch in 0..OFFERS / BATCH {
        let seed = seed.wrapping_mul(1_000).wrapping_add(u64::from(batch));
        match policy {
            Policy::Fixed => revenue += sales.offer(truth, START, BATCH, &mut dice),
            Policy::Ladder => revenue += ladder(truth, &mut price, &mut sales, seed, &mut dice),
            _ => {
                let chosen = choose(policy, &sales, seed, &mut dice);
                revenue += sales.offer(truth, chosen, BATCH, &mut dice);
            }
        }
    }
    revenue / f64::from(OFFERS)
}

fn best_of(value: impl Fn(f64) -> f64) -> f64 {
    PRICES.into_iter().max_by(|a, b| value(*a).total_cmp(&value(*b))).unwrap_or(START)
}

fn choose(policy: Policy, sales: &Sales, seed: u64, dice: &mut Dice) -> f64 {
    match policy {
        Policy::Ucb1 => {
            let all: f64 = sales.0.iter().map(|arm| arm.offered).sum();
            let highest = PRICES[PRICES.len() - 1];
            best_of(|price| {
                let (offered, sold) = sales.at(price);
                let bound = (2.0 * all.max(1.0).ln() / offered).sqrt();
                if offered > 0.0 { price * sold / offered + highest * bound } else { f64::MAX - price }
            })
        }
        Policy::BetaThompson => {
            let draws = PRICES.map(|price| {
                let (offered, sold) = sales.at(price);
                price * dice.beta(1.0 + sold, 1.0 + offered - sold)
            });
            let best = (0..PRICES.len()).max_by(|a, b| draws[*a].total_cmp(&draws[*b]));
            best.map_or(START, |best| PRICES[best])
        }
        Policy::GreedyLogit | Policy::ThompsonLogit | Policy::ThompsonEffects | Policy::Thompson => {
            let count = if policy == Policy::GreedyLogit { 60 } else { 20 };
            let Some(posterior) = sales.posterior(policy, &PRICES, seed, count) else { return START };
            if policy == Policy::GreedyLogit {
                return best_of(|price| price * posterior.probability(price * 100.0).map_or(0.0, |p| p.mean));
            }
            let number = (dice.uniform() * count as f64) as usize;
            posterior.best_of_draw(number, REVENUE).map_or(START, |cents| cents / 100.0)
        }
        Policy::Fixed | Policy::Ladder => START,
    }
}

/// No limits that a simulation would meet.
const RAILS: Rails = Rails { min: 100.0, max: 100_000.0, step: STEP_MAX };

/// One batch of the ladder, as the product climbs it.
fn ladder(truth: &Truth, price: &mut f64, sales: &mut Sales, seed: u64, dice: &mut Dice) -> f64 {
    let mut asked = RAILS.neighbours(*price * 100.0);
    asked.push(*price * 100.0);
    let Ok(arms) = Arms::new(&sales.0) else { return sales.offer(truth, *price, BATCH, dice) };
    let posterior = Posterior::new(&arms, &Policy::Ladder.beliefs(), Grid::of(&asked), seed, 400);
    let advice = posterior.and_then(|posterior| advise(&posterior, &arms, *price * 100.0, RAILS, REVENUE));
    let Some(advice) = advice else { return sales.offer(truth, *price, BATCH, dice) };
    let neighbour = advice.price / 100.0;
    if advice.action == Action::Switch {
        *price = neighbour;
        return sales.offer(truth, neighbour, BATCH, dice);
    }
    // Parts of an offer are made as often as they are a part.
    let wanted = f64::from(BATCH) * advice.share;
    let tested = (wanted.floor() + f64::from(u8::from(dice.uniform() < wanted.fract()))) as u32;
    sales.offer(truth, neighbour, tested, dice) + sales.offer(truth, *price, BATCH - tested, dice)
}

impl Dice {
    /// Beta, as a ratio of gamma variables (Marsaglia and Tsang, 2000); both parameters at least 1.
    fn beta(&mut self, a: f64, b: f64) -> f64 {
        let (x, y) = (self.gamma(a), self.gamma(b));
        x / (x + y)
    }

    fn gamma(&mut self, shape: f64) -> f64 {
        let d = shape - 1.0 / 3.0;
        let c = 1.0 / (9.0 * d).sqrt();
        loop {
            // Box and Muller; the second variable is not needed.
            let radius = (-2.0 * (1.0 - self.uniform()).ln()).sqrt();
            let x = radius * (2.0 * std::f64::consts::PI * self.uniform()).cos();
            let v = (1.0 + c * x).powi(3);
            if v > 0.0 && (1.0 - self.uniform()).ln() < 0.5 * x * x + d - d * v + d * v.ln() {
                return d * v;
            }
        }
    }
}
