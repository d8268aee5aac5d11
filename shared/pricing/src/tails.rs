//! Tail probabilities of the chi-square and the Normal distribution.

/// The probability that a chi-square variable with `freedom` degrees of freedom is greater than `chi_square`.
///
/// It is the regularised incomplete gamma function, which has a closed form for whole and half arguments (Abramowitz
/// and Stegun, 26.4.4 and 26.4.5).
pub(super) fn upper_tail(chi_square: f64, freedom: usize) -> f64 {
    if freedom == 0 {
        return 1.0;
    }
    let half = chi_square / 2.0;
    // For an even number of degrees the tail is e^(-x/2) times a sum of powers of x/2. For an odd number the powers are
    // those of halves, and the Normal tail is added.
    let (mut term, mut sum, mut next) = if freedom.is_multiple_of(2) {
        ((-half).exp(), (-half).exp(), 1.0)
    } else {
        let root = chi_square.sqrt();
        let density = (-half).exp() * (2.0 / std::f64::consts::PI).sqrt();
        (density / root.max(f64::MIN_POSITIVE), normal_tail(root), 0.5)
    };
    while next < freedom as f64 / 2.0 {
        term *= half / next;
        sum += term;
        next += 1.0;
    }
    sum.clamp(0.0, 1.0)
}

/// The probability that a Normal variable is less than `z` standard deviations above its mean.
pub(super) fn normal_below(z: f64) -> f64 {
    let half = normal_tail(z.abs()) / 2.0;
    if z > 0.0 { 1.0 - half } else { half }
}

/// The probability that a Normal variable is further than `z` standard deviations from its mean, on either side.
///
/// Laplace's continued fraction serves for large `z`, the power series of the error function for small ones.
fn normal_tail(z: f64) -> f64 {
    let density = (-z * z / 2.0).exp() * (2.0 / std::f64::consts::PI).sqrt();
    if z > 3.0 {
        let fraction = (1..=60).rev().fold(z, |rest, n| z + f64::from(n) / rest);
        return density / fraction;
    }
    let (mut term, mut sum) = (z, z);
    for n in 1..=80 {
        term *= z * z / f64::from(2 * n + 1);
        sum += term;
    }
    (1.0 - density * sum).clamp(0.0, 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tail_of_chi_square_has_its_table_values() {
        for (chi_square, freedom, expected) in [
            (3.841_458_8, 1, 0.05),
            (6.634_896_6, 1, 0.01),
            (5.991_464_5, 2, 0.05),
            (7.814_727_9, 3, 0.05),
            (18.307_038, 10, 0.05),
            (0.0, 3, 1.0),
            (40.0, 1, 2.539_6e-10),
            (19.675_138, 11, 0.05),
        ] {
            let tail = upper_tail(chi_square, freedom);
            assert!(
                (tail - expected).abs() < 1e-6 * expected.max(1e-4) + 2e-8,
                "{chi_square} {freedom}: {tail}"
            );
        }
        assert!((upper_tail(9.0, 0) - 1.0).abs() < f64::EPSILON);
    }
}
