//! The history of a product: how many offers were made at which price, and how many of them were sold. A price with its
//! offers is called an arm, as in the literature on bandits.

/// The offers that were made at one price. The counts may be fractions, because older offers count for less.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Arm {
    /// The price in cents.
    pub price: f64,
    /// How many offers were made.
    pub offered: f64,
    /// How many of the offers were sold.
    pub sold: f64,
}

/// Why offers cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ArmError {
    /// There is no offer at any price.
    #[error("nothing was offered at any price")]
    Nothing,
    /// The price of an offer is zero, or one of its values is negative or not finite.
    #[error("offer {0} has a number that is not valid")]
    Number(usize),
    /// An offer has more sales than offers.
    #[error("offer {0} has more sales than offers")]
    SoldExceeds(usize),
}

/// The offers of a product by price, each price once, the lowest first.
#[derive(Debug, Clone, PartialEq)]
pub struct Arms(Vec<Arm>);

impl Arms {
    /// Adds up the offers of each price. Prices at which nothing was offered are left out, as they carry no
    /// information.
    ///
    /// # Errors
    /// [`ArmError`], with the position of the offer in the list.
    pub fn new(offers: &[Arm]) -> Result<Self, ArmError> {
        let mut arms: Vec<Arm> = Vec::with_capacity(offers.len());
        for (position, arm) in offers.iter().enumerate() {
            let numbers = [arm.price, arm.offered, arm.sold];
            let is_number = numbers.iter().all(|number| number.is_finite() && *number >= 0.0);
            if !is_number || arm.price <= 0.0 {
                return Err(ArmError::Number(position));
            }
            if arm.sold > arm.offered {
                return Err(ArmError::SoldExceeds(position));
            }
            if arm.offered > 0.0 {
                arms.push(*arm);
            }
        }
        arms.sort_by(|a, b| a.price.total_cmp(&b.price));
        arms.dedup_by(|later, kept| {
            let is_same = later.price.total_cmp(&kept.price).is_eq();
            if is_same {
                kept.offered += later.offered;
                kept.sold += later.sold;
            }
            is_same
        });
        if arms.is_empty() { Err(ArmError::Nothing) } else { Ok(Self(arms)) }
    }

    /// Reduces the history to at most `most` prices. Where there are more, neighbouring prices are added up under their
    /// mean, weighted by offers.
    #[must_use]
    pub fn merged(self, most: usize) -> Self {
        if self.0.len() <= most {
            return self;
        }
        let (lowest, highest) = (self.0[0].price, self.0[self.0.len() - 1].price);
        let width = (highest / lowest).ln() * (1.0 + 1e-9) / most as f64;
        let mut merged: Vec<(u64, Arm)> = Vec::with_capacity(most);
        for arm in self.0 {
            let bin = ((arm.price / lowest).ln() / width) as u64;
            match merged.last_mut() {
                Some((last, into)) if *last == bin => {
                    let offered = into.offered + arm.offered;
                    into.price = (into.price * into.offered + arm.price * arm.offered) / offered;
                    (into.offered, into.sold) = (offered, into.sold + arm.sold);
                }
                _ => merged.push((bin, arm)),
            }
        }
        let whole = |(_, arm): (u64, Arm)| Arm { price: arm.price.round(), ..arm };
        Self(merged.into_iter().map(whole).collect())
    }

    /// The offers of each price, the lowest price first.
    pub fn as_slice(&self) -> &[Arm] {
        &self.0
    }

    /// How many offers were made at all prices together.
    pub fn offered(&self) -> f64 {
        self.0.iter().map(|arm| arm.offered).sum()
    }

    /// The price that all prices are divided by for a fit: the geometric mean of the offers' prices.
    pub(super) fn scale(&self) -> f64 {
        let logs: f64 = self.0.iter().map(|arm| arm.offered * arm.price.ln()).sum();
        (logs / self.offered()).exp()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn arm(price: f64, offered: f64, sold: f64) -> Arm {
        Arm { price, offered, sold }
    }

    #[test]
    fn offers_of_one_price_are_added_up_and_put_in_order() {
        let arms = Arms::new(&[
            arm(900.0, 10.0, 4.0),
            arm(500.0, 5.0, 5.0),
            arm(900.0, 1.0, 0.0),
            arm(700.0, 0.0, 0.0),
        ]);
        assert_eq!(arms.unwrap().as_slice(), [arm(500.0, 5.0, 5.0), arm(900.0, 11.0, 4.0)]);
    }

    #[test]
    fn many_prices_are_told_as_few_and_no_offer_is_lost() {
        let offers: Vec<Arm> = (1..=10_000).map(|n| arm(f64::from(n), 2.0, f64::from(n % 3))).collect();
        let merged = Arms::new(&offers).unwrap().merged(200);
        let (arms, sold) = (merged.as_slice(), |arms: &[Arm]| arms.iter().map(|arm| arm.sold).sum::<f64>());
        assert!((100..=200).contains(&arms.len()), "{}", arms.len());
        assert!((merged.offered() - 20_000.0).abs() < 1e-6 && (sold(arms) - sold(&offers)).abs() < 1e-6);
        assert!(arms.windows(2).all(|pair| pair[0].price < pair[1].price));
        let few = Arms::new(&offers[..3]).unwrap();
        assert_eq!(few.clone().merged(200), few);
    }

    #[test]
    fn impossible_offers_are_named() {
        let good = arm(500.0, 5.0, 5.0);
        assert_eq!(Arms::new(&[]), Err(ArmError::Nothing));
        assert_eq!(Arms::new(&[arm(500.0, 0.0, 0.0)]), Err(ArmError::Nothing));
        assert_eq!(Arms::new(&[good, arm(500.0, 5.0, 6.0)]), Err(ArmError::SoldExceeds(1)));
        for bad in
            [arm(0.0, 1.0, 0.0), arm(f64::NAN, 1.0, 0.0), arm(5.0, f64::INFINITY, 0.0), arm(5.0, 1.0, -1.0)]
        {
            assert_eq!(Arms::new(&[good, bad]), Err(ArmError::Number(1)), "{bad:?}");
        }
    }
}
