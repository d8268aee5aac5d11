//! What was offered at which price, and how much of it was sold.

/// Offers at one price. Numbers may be parts of one: older offers count for less.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Arm {
    /// In cents.
    pub price: f64,
    /// Offers.
    pub offered: f64,
    /// Sales.
    pub sold: f64,
}

/// Why offers cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ArmError {
    /// Nothing was offered.
    #[error("nothing was offered at any price")]
    Nothing,
    /// A number is negative, not finite, or a price is nothing.
    #[error("offer {0} has a number that is none")]
    Number(usize),
    /// More was sold than offered.
    #[error("offer {0} has more sales than offers")]
    SoldExceeds(usize),
}

/// Offers by price, each price once, the lowest first.
#[derive(Debug, Clone, PartialEq)]
pub struct Arms(Vec<Arm>);

impl Arms {
    /// Adds up offers of the same price; prices at which nothing was offered say nothing and are left out.
    ///
    /// # Errors
    /// [`ArmError`], with the position of the offer.
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

    /// The offers, by price.
    pub fn as_slice(&self) -> &[Arm] {
        &self.0
    }

    /// All offers.
    pub fn offered(&self) -> f64 {
        self.0.iter().map(|arm| arm.offered).sum()
    }

    /// The price that others are told relative to: the geometric mean of the offers.
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
