//! Simulated demand whose best price is known, to measure how good price advice is.

use pricing::ladder::{Rails, STEP_MAX, advise};
use pricing::random::SplitMix64;
use pricing::{Action, Arm, Arms, Beliefs, Departures, Grid, Margin, Posterior, Shape};

/// A demand that the simulation knows and the advice has to find out. Prices are in dollars.
#[derive(Debug, Clone, Copy)]
pub struct TrueDemand {
    /// The name of the demand in tables.
    pub name: &'static str,
    /// The probability of a sale at a price.
    pub buys: fn(f64) -> f64,
}

fn logistic(z: f64) -> f64 {
    1.0 / (1.0 + (-z).exp())
}

/// The four demands of the benchmark. The last one mixes two kinds of buyers, whom no shape of the advice fits.
pub const TRUE_DEMANDS: [TrueDemand; 4] = [
    TrueDemand { name: "logit", buys: |p| logistic(1.2 - 0.09 * p) },
    TrueDemand { name: "linear", buys: |p| (0.62 - 0.0145 * p).clamp(0.0, 1.0) },
    TrueDemand { name: "exponential", buys: |p| 0.9 * (-p / 14.0).exp() },
    TrueDemand {
        name: "two segments",
        buys: |p| 0.75 * logistic(6.0 - 0.6 * p) + 0.25 * logistic(8.0 - 0.22 * p),
    },
];

/// The objective of all simulations: revenue, without fee or cost.
pub const REVENUE: Margin = Margin { fee: 0.0, unit_cost: 0.0 };

impl TrueDemand {
    /// The expected revenue of one offer at a price, in dollars.
    pub fn revenue(&self, price: f64) -> f64 {
        price * (self.buys)(price)
    }

    /// The price with the highest expected revenue, to a cent.
    pub fn best(&self) -> f64 {
        let cents = (100..10_000).map(|cents| f64::from(cents) / 100.0);
        cents.max_by(|a, b| self.revenue(*a).total_cmp(&self.revenue(*b))).unwrap_or_default()
    }
}

/// The random numbers of a simulation, which are independent of those that the advice draws.
#[derive(Debug, Clone)]
pub struct SimulationRandom(SplitMix64);

impl SimulationRandom {
    /// Starts the sequence of a seed.
    pub const fn new(seed: u64) -> Self {
        Self(SplitMix64::new(seed))
    }

    /// The next number from 0 to below 1, evenly distributed.
    pub const fn uniform(&mut self) -> f64 {
        self.0.uniform()
    }

    /// How many of `offers` are sold, if each is sold with this probability.
    pub fn sales(&mut self, offers: u32, probability: f64) -> f64 {
        f64::from((0..offers).map(|_| u32::from(self.uniform() < probability)).sum::<u32>())
    }
}

/// How good the interval of the best price is for histories of one size, over many of them.
#[derive(Debug, Clone, Copy, Default)]
pub struct IntervalQuality {
    /// The share of histories whose 90 % interval contains the best price; it should be 0.9.
    pub coverage: f64,
    /// The upper end of the interval divided by the lower one; the median of all histories.
    pub width: f64,
    /// How much revenue the posterior's median price loses on average, as a share of the best price's revenue.
    pub regret: f64,
}

/// The beliefs of the prototype, for comparison: demand is a logit, and nothing else.
pub fn plain_logit() -> Beliefs {
    let mut beliefs = Beliefs::weak();
    (beliefs.shapes, beliefs.departures) = (&[Shape::Logit], Departures::Never);
    beliefs
}

/// Measures the interval of the best price on `runs` histories of `offers` offers each, of which 60 % were made at 9,
/// 30 % at 12 and 10 % at 19 dollars.
pub fn interval_quality(
    truth: &TrueDemand,
    beliefs: &Beliefs,
    offers: u32,
    runs: u32,
    seed: u64,
) -> IntervalQuality {
    let best = truth.best();
    let mut coverage = 0.0;
    let mut widths = Vec::new();
    let mut regret = 0.0;
    for run in 0..runs {
        let mut random =
            SimulationRandom::new(seed.wrapping_add(u64::from(run)).wrapping_mul(0x2545_f491_4f6c_dd1d));
        let arm = |(price, share): (f64, f64)| {
            let count = (f64::from(offers) * share).round() as u32;
            let sold = random.sales(count, (truth.buys)(price));
            Arm { price: price * 100.0, offered: f64::from(count), sold }
        };
        let history: Vec<Arm> = [(9.0, 0.6), (12.0, 0.3), (19.0, 0.1)].map(arm).to_vec();
        let Ok(arms) = Arms::new(&history) else { continue };
        let grid = Grid::around(&arms, &[]);
        let Some(posterior) = Posterior::new(&arms, beliefs, grid, u64::from(run), 400) else { continue };
        let interval = posterior.best_price(REVENUE);
        let (low, high) = (interval.p05 / 100.0, interval.p95 / 100.0);
        coverage += f64::from(u8::from(low <= best && best <= high)) / f64::from(runs);
        widths.push(high / low);
        regret += (1.0 - truth.revenue(interval.p50 / 100.0) / truth.revenue(best)) / f64::from(runs);
    }
    widths.sort_by(f64::total_cmp);
    IntervalQuality { coverage, width: widths.get(widths.len() / 2).copied().unwrap_or_default(), regret }
}

/// The prices that a policy may choose from, in dollars.
pub const PRICES: [f64; 10] = [5.0, 7.0, 9.0, 12.0, 15.0, 19.0, 24.0, 29.0, 35.0, 42.0];
/// How many offers a run of a policy makes.
const OFFERS: u32 = 2_000;
/// How many offers are made before a policy decides again.
const BATCH: u32 = 20;
/// The price that a creator has before there is any advice, in dollars.
pub const START: f64 = 9.0;

/// A way to choose a price for each batch of offers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SimulatedPolicy {
    /// The price never changes.
    Fixed,
    /// The price with the highest upper confidence bound of its own revenue (Auer and others, 2002).
    Ucb1,
    /// The best price under a draw of each price's own probability of a sale (Thompson, 1933, with a Beta prior).
    BetaThompson,
    /// The best price of the mean of the logit curves that are drawn.
    GreedyLogit,
    /// The best price of one drawn logit curve.
    ThompsonLogit,
    /// The best price of one drawn logit curve that may depart from its shape at each price.
    ThompsonDepartures,
    /// The best price of one curve drawn from the posterior of the product.
    Thompson,
    /// The product's ladder: steps of at most a quarter, tested beside the price, taken when they are likely better.
    Ladder,
}

impl SimulatedPolicy {
    /// All policies, in the order of the table.
    pub const ALL: [Self; 8] = [
        Self::Fixed,
        Self::Ucb1,
        Self::BetaThompson,
        Self::GreedyLogit,
        Self::ThompsonLogit,
        Self::ThompsonDepartures,
        Self::Thompson,
        Self::Ladder,
    ];

    /// The name of the policy in tables.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Fixed => "fixed price",
            Self::Ucb1 => "UCB1",
            Self::BetaThompson => "Thompson, each price for itself",
            Self::GreedyLogit => "greedy, logit",
            Self::ThompsonLogit => "Thompson, logit",
            Self::ThompsonDepartures => "Thompson, logit with arm effects",
            Self::Thompson => "Thompson, as the product does it",
            Self::Ladder => "guarded ladder",
        }
    }

    fn beliefs(self) -> Beliefs {
        match self {
            Self::GreedyLogit | Self::ThompsonLogit => plain_logit(),
            Self::ThompsonDepartures => {
                let mut beliefs = plain_logit();
                beliefs.departures = Departures::Always;
                beliefs
            }
            _ => Beliefs::weak(),
        }
    }
}

/// The offers of one run until now, with their sales.
struct Sales(Vec<Arm>);

impl Sales {
    /// Makes offers at a price, and returns their expected revenue in dollars.
    fn offer(&mut self, truth: &TrueDemand, price: f64, offers: u32, random: &mut SimulationRandom) -> f64 {
        let sold = random.sales(offers, (truth.buys)(price));
        self.0.push(Arm { price: price * 100.0, offered: f64::from(offers), sold });
        // Not what was really sold: the luck of a run is no merit of its policy.
        f64::from(offers) * truth.revenue(price)
    }

    /// How many offers were made and sold at a price.
    fn at(&self, price: f64) -> (f64, f64) {
        let arms = self.0.iter().filter(|arm| (arm.price - price * 100.0).abs() < 1e-6);
        arms.fold((0.0, 0.0), |(offered, sold), arm| (offered + arm.offered, sold + arm.sold))
    }

    fn posterior(
        &self,
        policy: SimulatedPolicy,
        prices: &[f64],
        seed: u64,
        count: usize,
    ) -> Option<Posterior> {
        let cents: Vec<f64> = prices.iter().map(|price| price * 100.0).collect();
        Posterior::new(&Arms::new(&self.0).ok()?, &policy.beliefs(), Grid::of(&cents), seed, count)
    }
}

/// The expected revenue of an offer in one run of a policy, in dollars.
pub fn revenue_per_offer(truth: &TrueDemand, policy: SimulatedPolicy, seed: u64) -> f64 {
    let mut random = SimulationRandom::new(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    let mut sales = Sales(Vec::new());
    let mut revenue = 0.0;
    let mut price = START;
    for batch in 0..OFFERS / BATCH {
        let seed = seed.wrapping_mul(1_000).wrapping_add(u64::from(batch));
        match policy {
            SimulatedPolicy::Fixed => revenue += sales.offer(truth, START, BATCH, &mut random),
            SimulatedPolicy::Ladder => revenue += ladder(truth, &mut price, &mut sales, seed, &mut random),
            _ => {
                let chosen = choose(policy, &sales, seed, &mut random);
                revenue += sales.offer(truth, chosen, BATCH, &mut random);
            }
        }
    }
    revenue / f64::from(OFFERS)
}

/// The one of [`PRICES`] with the highest value.
fn best_of(value: impl Fn(f64) -> f64) -> f64 {
    PRICES.into_iter().max_by(|a, b| value(*a).total_cmp(&value(*b))).unwrap_or(START)
}

/// The price that a policy chooses for the next batch, in dollars.
fn choose(policy: SimulatedPolicy, sales: &Sales, seed: u64, random: &mut SimulationRandom) -> f64 {
    match policy {
        SimulatedPolicy::Ucb1 => {
            let all: f64 = sales.0.iter().map(|arm| arm.offered).sum();
            let highest = PRICES[PRICES.len() - 1];
            best_of(|price| {
                let (offered, sold) = sales.at(price);
                let bound = (2.0 * all.max(1.0).ln() / offered).sqrt();
                if offered > 0.0 { price * sold / offered + highest * bound } else { f64::MAX - price }
            })
        }
        SimulatedPolicy::BetaThompson => {
            let draws = PRICES.map(|price| {
                let (offered, sold) = sales.at(price);
                price * random.beta(1.0 + sold, 1.0 + offered - sold)
            });
            let best = (0..PRICES.len()).max_by(|a, b| draws[*a].total_cmp(&draws[*b]));
            best.map_or(START, |best| PRICES[best])
        }
        SimulatedPolicy::GreedyLogit
        | SimulatedPolicy::ThompsonLogit
        | SimulatedPolicy::ThompsonDepartures
        | SimulatedPolicy::Thompson => {
            let count = if policy == SimulatedPolicy::GreedyLogit { 60 } else { 20 };
            let Some(posterior) = sales.posterior(policy, &PRICES, seed, count) else { return START };
            if policy == SimulatedPolicy::GreedyLogit {
                return best_of(|price| price * posterior.probability(price * 100.0).map_or(0.0, |p| p.mean));
            }
            let number = (random.uniform() * count as f64) as usize;
            posterior.best_of_draw(number, REVENUE).map_or(START, |cents| cents / 100.0)
        }
        SimulatedPolicy::Fixed | SimulatedPolicy::Ladder => START,
    }
}

/// Limits of the ladder that are so wide that no simulation reaches them.
const RAILS: Rails = Rails { min: 100.0, max: 100_000.0, step: STEP_MAX };

/// Makes one batch of offers as the product's ladder advises, and moves `price` on a switch. Returns the expected
/// revenue.
fn ladder(
    truth: &TrueDemand,
    price: &mut f64,
    sales: &mut Sales,
    seed: u64,
    random: &mut SimulationRandom,
) -> f64 {
    let mut asked = RAILS.neighbours(*price * 100.0);
    asked.push(*price * 100.0);
    let Ok(arms) = Arms::new(&sales.0) else { return sales.offer(truth, *price, BATCH, random) };
    let posterior = Posterior::new(&arms, &SimulatedPolicy::Ladder.beliefs(), Grid::of(&asked), seed, 400);
    let advice = posterior.and_then(|posterior| advise(&posterior, &arms, *price * 100.0, RAILS, REVENUE));
    let Some(advice) = advice else { return sales.offer(truth, *price, BATCH, random) };
    let neighbour = advice.price / 100.0;
    if advice.action == Action::Switch {
        *price = neighbour;
        return sales.offer(truth, neighbour, BATCH, random);
    }
    // The number of tests is whole: its fraction is the probability of one test more.
    let tests = f64::from(BATCH) * advice.share;
    let tested = (tests.floor() + f64::from(u8::from(random.uniform() < tests.fract()))) as u32;
    sales.offer(truth, neighbour, tested, random) + sales.offer(truth, *price, BATCH - tested, random)
}

impl SimulationRandom {
    /// A Beta variable, as a ratio of gamma variables. Both parameters must be at least 1.
    fn beta(&mut self, a: f64, b: f64) -> f64 {
        let (x, y) = (self.gamma(a), self.gamma(b));
        x / (x + y)
    }

    /// A gamma variable by the method of Marsaglia and Tsang (2000); the shape must be at least 1.
    fn gamma(&mut self, shape: f64) -> f64 {
        let d = shape - 1.0 / 3.0;
        let c = 1.0 / (9.0 * d).sqrt();
        loop {
            // A Normal variable by Box and Muller, whose second variable is not needed.
            let radius = (-2.0 * (1.0 - self.uniform()).ln()).sqrt();
            let x = radius * (2.0 * std::f64::consts::PI * self.uniform()).cos();
            let v = (1.0 + c * x).powi(3);
            if v > 0.0 && (1.0 - self.uniform()).ln() < 0.5 * x * x + d - d * v + d * v.ln() {
                return d * v;
            }
        }
    }
}
