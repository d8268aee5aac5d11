//! Symmetric 2 x 2 matrices, such as the covariance of a shape's two parameters.

/// A symmetric 2 x 2 matrix; its entries are named after the parameters `a` and `t` that its rows stand for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Symmetric {
    pub(super) aa: f64,
    pub(super) at: f64,
    pub(super) tt: f64,
}

impl Symmetric {
    pub(super) const fn diagonal(diagonal: [f64; 2]) -> Self {
        Self { aa: diagonal[0], at: 0.0, tt: diagonal[1] }
    }

    pub(super) const fn determinant(self) -> f64 {
        self.aa * self.tt - self.at * self.at
    }

    pub(super) const fn inverse(self) -> Self {
        let d = self.determinant();
        Self { aa: self.tt / d, at: -self.at / d, tt: self.aa / d }
    }

    pub(super) const fn times(self, v: [f64; 2]) -> [f64; 2] {
        [self.aa * v[0] + self.at * v[1], self.at * v[0] + self.tt * v[1]]
    }

    /// The bilinear form v' M w.
    pub(super) const fn between(self, v: [f64; 2], w: [f64; 2]) -> f64 {
        let right = self.times(w);
        v[0] * right[0] + v[1] * right[1]
    }
}
