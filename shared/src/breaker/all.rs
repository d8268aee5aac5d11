//! The breakers that an environment has.

use std::sync::Arc;

use super::Breaker;
use crate::contract::Dependency;

/// The breakers of an environment.
#[derive(Default, Clone)]
pub struct Breakers {
    all: Vec<Arc<Breaker>>,
}

impl Breakers {
    /// These.
    pub const fn new(all: Vec<Arc<Breaker>>) -> Self {
        Self { all }
    }

    /// Those that a route depends on.
    pub fn of<'a>(&'a self, depends_on: &'a [Dependency]) -> impl Iterator<Item = &'a Arc<Breaker>> {
        self.all.iter().filter(move |breaker| depends_on.contains(&breaker.dependency()))
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Breaker>> {
        self.all.iter()
    }
}
