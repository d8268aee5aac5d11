//! The resources of an execution environment: settings, secrets and clients, made when they are first needed.
//!
//! Services connect themselves (each has a `connect(&Environment)`), so that a new one changes nothing here. What
//! must exist once in an environment, such as a cache, is made by [`Environment::once`].

use std::any::{Any, TypeId};
use std::collections::{BTreeMap, HashMap};
use std::error::Error;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::future::{BoxFuture, try_join_all};
use tokio::sync::OnceCell;

use crate::dynamo::Dynamo;
use crate::outbound::{self, OutboundError};
use crate::redis::{Redis, RedisError};
use crate::secrets::{self, FleetSecret, SecretsError, StageSecret};
use crate::settings::{Settings, SettingsError};

/// Why an environment cannot answer requests.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A setting is missing or malformed.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// The secret cannot be read or is malformed.
    #[error(transparent)]
    Secrets(#[from] SecretsError),
    /// The URL or the token of Redis cannot be used.
    #[error("Redis cannot be used")]
    Redis(#[from] RedisError),
    /// The HTTP client for services outside AWS cannot be made.
    #[error(transparent)]
    Outbound(#[from] OutboundError),
    /// A service cannot work with these settings and secrets.
    #[error(transparent)]
    Service(Box<dyn Error + Send + Sync>),
}

impl StartError {
    /// The error of a service that cannot connect.
    pub fn of(error: impl Error + Send + Sync + 'static) -> Self {
        Self::Service(Box::new(error))
    }
}

/// The resources of one execution environment. Each is made when it is first needed; a failure is tried again.
#[derive(Default)]
pub struct Environment {
    settings: OnceCell<Settings>,
    aws: OnceCell<aws_config::SdkConfig>,
    /// The texts of the secrets that were read, by the last part of their names.
    secrets: Mutex<BTreeMap<&'static str, String>>,
    dynamo: OnceCell<Dynamo>,
    redis: OnceCell<Arc<Redis>>,
    /// The services that exist once, by their type.
    instances: Mutex<HashMap<TypeId, Arc<dyn Any + Send + Sync>>>,
}

impl Environment {
    /// The settings of the function, read once from the environment's variables.
    ///
    /// # Errors
    /// [`StartError::Settings`]
    pub async fn settings(&self) -> Result<&Settings, StartError> {
        self.settings.get_or_try_init(async || Ok(Settings::from_environment()?)).await
    }

    /// The AWS region in which this environment runs.
    ///
    /// # Errors
    /// [`StartError::Outbound`]
    pub async fn region(&self) -> Result<&str, StartError> {
        Ok(self.aws().await?.region().map_or("nowhere", |region| region.as_ref()))
    }

    fn aws(&self) -> BoxFuture<'_, Result<&aws_config::SdkConfig, StartError>> {
        Box::pin(self.aws.get_or_try_init(async || {
            // The SDK would panic without root certificates, and remember that it found none.
            outbound::roots()?;
            Ok(load_aws().await)
        }))
    }

    /// A secret of the stage, read once.
    ///
    /// # Errors
    /// [`StartError::Settings`], [`StartError::Outbound`], [`StartError::Secrets`]
    pub async fn secret<S: StageSecret>(&self) -> Result<Arc<S>, StartError> {
        let make = async {
            let known = self.read_secrets().get(S::NAME).cloned();
            let text = match known {
                Some(text) => text,
                None => self.fetch(S::NAME).await?,
            };
            let secret = secrets::parse(&secrets::id(&self.settings().await?.stage, S::NAME), &text)?;
            self.read_secrets().insert(S::NAME, text);
            Ok(secret)
        };
        self.once(make).await
    }

    fn fetch(&self, name: &'static str) -> BoxFuture<'_, Result<String, StartError>> {
        Box::pin(async move {
            let id = secrets::id(&self.settings().await?.stage, name);
            Ok(secrets::fetch(self.aws().await?, &id).await?)
        })
    }

    fn read_secrets(&self) -> MutexGuard<'_, BTreeMap<&'static str, String>> {
        self.secrets.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads the secrets of this environment again. If one has changed, this is an environment with all of them as they
    /// are now, in which every service connects anew; none if all are as they were.
    ///
    /// # Errors
    /// [`StartError::Secrets`]
    pub fn renewed(&self) -> BoxFuture<'_, Result<Option<Self>, StartError>> {
        Box::pin(async {
            let before = self.read_secrets().clone();
            let read = async |name: &'static str| Ok::<_, StartError>((name, self.fetch(name).await?));
            let now = try_join_all(before.keys().map(|name| read(name))).await?.into_iter().collect();
            let aws = OnceCell::new_with(self.aws.get().cloned());
            Ok((before != now).then(|| Self { aws, secrets: Mutex::new(now), ..Self::default() }))
        })
    }

    /// The client of DynamoDB, which knows both tables.
    ///
    /// # Errors
    /// [`StartError::Settings`]
    pub fn dynamo(&self) -> BoxFuture<'_, Result<Dynamo, StartError>> {
        Box::pin(async {
            let connect = async || Ok(Dynamo::new(self.aws().await?, self.settings().await?));
            self.dynamo.get_or_try_init(connect).await.cloned()
        })
    }

    /// The client of Redis, with one connection pool for the whole environment.
    ///
    /// # Errors
    /// [`StartError`]
    pub fn redis(&self) -> BoxFuture<'_, Result<Arc<Redis>, StartError>> {
        let connect = async || {
            let settings = self.settings().await?;
            let token = &self.secret::<FleetSecret>().await?.upstash_token;
            Ok::<_, StartError>(Arc::new(Redis::new(&settings.upstash_url, token, settings.redis_trip)?))
        };
        Box::pin(async move { self.redis.get_or_try_init(connect).await.cloned() })
    }

    /// The one instance of `T` in this environment, which `make` makes if there is none yet.
    ///
    /// # Errors
    /// The error of `make`; the next call tries again.
    pub async fn once<T: Send + Sync + 'static>(
        &self,
        make: impl Future<Output = Result<T, StartError>>,
    ) -> Result<Arc<T>, StartError> {
        if let Some(existing) = self.instance::<T>() {
            return Ok(existing);
        }
        let new: Arc<dyn Any + Send + Sync> = Arc::new(make.await?);
        // If two callers made an instance at the same time, both use the one that was stored first.
        self.instances.lock().unwrap_or_else(PoisonError::into_inner).entry(TypeId::of::<T>()).or_insert(new);
        self.instance::<T>()
            .ok_or_else(|| StartError::Service("an instance was made and is not there".into()))
    }

    /// The instance of `T`, if it has been made.
    fn instance<T: Send + Sync + 'static>(&self) -> Option<Arc<T>> {
        let instances = self.instances.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(instances.get(&TypeId::of::<T>())?).downcast().ok()
    }
}

/// Loads the configuration of the AWS clients: the credentials that Lambda provides, and TLS on ring, the only crypto
/// library of the binaries.
async fn load_aws() -> aws_config::SdkConfig {
    use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};
    let http =
        aws_smithy_http_client::Builder::new().tls_provider(Provider::Rustls(CryptoMode::Ring)).build_https();
    aws_config::defaults(aws_config::BehaviorVersion::v2026_01_12()).http_client(http).load().await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_instance_is_made_once_and_a_failure_is_tried_again() {
        let environment = Environment::default();
        let failed = environment.once::<u8>(async { Err(StartError::Service("not yet".into())) }).await;
        assert_eq!(failed.unwrap_err().to_string(), "not yet");
        let first = environment.once(async { Ok(7_u8) }).await.unwrap();
        let second = environment.once(async { Ok(8_u8) }).await.unwrap();
        assert!(Arc::ptr_eq(&first, &second));
        assert_eq!(*second, 7);
    }
}
