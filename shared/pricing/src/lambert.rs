//! The principal branch of the Lambert W function, for arguments that are given by their logarithm.

/// W(e^z), which is the y with y + ln y = z. The argument is given by its logarithm so that it cannot overflow.
///
/// Newton's method on y + ln y - z, which is concave and increasing, from the asymptotic start of Corless and others
/// ("On the Lambert W function", 1996). Accurate to a few units in the last place for all finite z.
pub(super) fn w_of_exp(z: f64) -> f64 {
    if z < -40.0 {
        // W(x) = x - x^2 + ..., and here x^2 is below the last place of x.
        return z.exp();
    }
    let mut y = if z > 1.0 { z - z.ln() } else { (z - 1.0).exp().min(1.0).max(z.exp() / (1.0 + z.exp())) };
    for _ in 0..30 {
        // A step in ln y, and not in y, keeps y positive.
        let step = (z - y - y.ln()) / (1.0 + y);
        y *= step.exp();
        if step.abs() < 1e-15 {
            break;
        }
    }
    y
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn known_values() {
        // W(1) is the omega constant, W(e) is 1.
        assert!((w_of_exp(0.0) - 0.567_143_290_409_783_8).abs() < 1e-14);
        assert!((w_of_exp(1.0) - 1.0).abs() < 1e-14);
        assert!((w_of_exp(10.0_f64.ln()) - 1.745_528_002_740_699_4).abs() < 1e-13);
    }

    proptest! {
        #[test]
        fn it_solves_its_equation(z in -700.0..700.0_f64) {
            let y = w_of_exp(z);
            prop_assert!(y > 0.0);
            prop_assert!((y + y.ln() - z).abs() < 1e-9 * z.abs().max(1.0), "{y}");
        }
    }
}
