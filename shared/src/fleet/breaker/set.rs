//! The set of all breakers of an environment, one for each model of the settings.

use std::sync::Arc;

use super::Breaker;
use crate::contract::Dependency;
use crate::environment::{Environment, StartError};
use crate::settings::AiSettings;

/// The breakers of an environment, shared by everything in it that calls a model.
#[derive(Default, Clone)]
pub struct Breakers {
    all: Vec<Arc<Breaker>>,
}

impl Breakers {
    /// The breakers of the models that the settings name. Each is made once in an environment.
    ///
    /// # Errors
    /// [`StartError`]
    pub async fn connect(environment: &Environment) -> Result<Self, StartError> {
        let make = async {
            let (region, redis) = (environment.region().await?, environment.redis().await?);
            let breaker = |(dependency, ai): (Dependency, &AiSettings)| {
                Arc::new(Breaker::new(dependency, region, &ai.model, super::AI, Arc::clone(&redis)))
            };
            Ok(Self { all: environment.settings().await?.models().map(breaker).collect() })
        };
        Ok(environment.once(make).await?.as_ref().clone())
    }

    /// The breakers of the dependencies that a route names.
    pub fn of<'a>(&'a self, depends_on: &'a [Dependency]) -> impl Iterator<Item = &'a Arc<Breaker>> {
        self.all.iter().filter(move |breaker| depends_on.contains(&breaker.dependency()))
    }

    /// Every breaker of this environment.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Breaker>> {
        self.all.iter()
    }
}
