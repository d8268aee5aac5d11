//! What an execution environment has, connected once and shared by all its endpoints.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use tokio::sync::OnceCell;

use crate::ai::{OpenAi, Provider};
use crate::auth::access_token::{AccessTokens, TokenKeyError};
use crate::auth::accounts::Accounts;
use crate::auth::derived::DerivedKeys;
use crate::auth::key_store::Keys;
use crate::auth::sessions::Sessions;
use crate::auth::signin::SignIn;
use crate::breaker::{self, Breaker, Breakers};
use crate::coalesce::Coalescer;
use crate::contract::Dependency;
use crate::dynamo::Dynamo;
use crate::gate::Gate;
use crate::idempotency::{Answers, SealingKeyError};
use crate::outbound::OutboundError;
use crate::redis::{Redis, RedisError};
use crate::secrets::{self, Secrets, SecretsError};
use crate::settings::{Settings, SettingsError};
use crate::tenants::cursor::Cursors;
use crate::tenants::plans::Plans;

/// Why an environment cannot serve.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A setting is missing or malformed.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// The secret cannot be used.
    #[error(transparent)]
    Secrets(#[from] SecretsError),
    /// A signing key cannot be used.
    #[error(transparent)]
    TokenKeys(#[from] TokenKeyError),
    /// URL or token of Redis cannot be used.
    #[error("Redis cannot be used")]
    Redis(#[from] RedisError),
    /// No client for the world outside.
    #[error(transparent)]
    Outbound(#[from] OutboundError),
    /// Kept answers cannot be sealed.
    #[error(transparent)]
    Sealing(#[from] SealingKeyError),
    /// A model is configured, but the secret holds no key for it.
    #[error("setting HUNTAZE_AI_BASE_URL: the secret has no `aiKey` for it")]
    NoAiKey,
}

/// What an execution environment has. Nothing is connected before somebody asks for it.
#[derive(Default)]
pub struct Environment {
    settings: OnceCell<Settings>,
    aws: OnceCell<aws_config::SdkConfig>,
    held: OnceCell<Held>,
    redis: OnceCell<Arc<Redis>>,
    tokens: OnceCell<Arc<AccessTokens>>,
    keys: OnceCell<Arc<Keys>>,
    plans: OnceCell<Arc<Plans>>,
    gate: OnceCell<Arc<Gate>>,
    answers: OnceCell<Arc<Answers>>,
    breakers: OnceCell<Breakers>,
}

/// The secrets and what is derived from them.
struct Held {
    secrets: Secrets,
    derived: DerivedKeys,
}

impl Environment {
    /// The settings.
    ///
    /// # Errors
    /// [`StartError::Settings`]
    pub async fn settings(&self) -> Result<&Settings, StartError> {
        self.settings.get_or_try_init(async || Ok(Settings::from_environment()?)).await
    }

    fn aws(&self) -> BoxFuture<'_, &aws_config::SdkConfig> {
        Box::pin(self.aws.get_or_init(load_aws))
    }

    fn held(&self) -> BoxFuture<'_, Result<&Held, StartError>> {
        Box::pin(self.held.get_or_try_init(async || {
            let secrets = secrets::fetch(self.aws().await, &self.settings().await?.secret_id).await?;
            let derived = DerivedKeys::new(&secrets.root_key);
            Ok(Held { secrets, derived })
        }))
    }

    /// Both tables.
    ///
    /// # Errors
    /// [`StartError::Settings`]
    pub async fn dynamo(&self) -> Result<Dynamo, StartError> {
        Ok(Dynamo::new(self.aws().await, self.settings().await?))
    }

    /// The database of the fleet.
    ///
    /// # Errors
    /// [`StartError`]
    pub async fn redis(&self) -> Result<Arc<Redis>, StartError> {
        let connect = async || {
            let settings = self.settings().await?;
            let token = &self.held().await?.secrets.upstash_token;
            Ok::<_, StartError>(Arc::new(Redis::new(&settings.upstash_url, token, settings.redis_trip)?))
        };
        self.redis.get_or_try_init(connect).await.cloned()
    }

    /// The keys derived from the secret.
    ///
    /// # Errors
    /// [`StartError`]
    pub async fn derived(&self) -> Result<DerivedKeys, StartError> {
        Ok(self.held().await?.derived.clone())
    }

    /// The session tokens.
    ///
    /// # Errors
    /// [`StartError`]
    pub async fn tokens(&self) -> Result<Arc<AccessTokens>, StartError> {
        let make = async || {
            let keys = &self.held().await?.secrets.token_keys;
            Ok::<_, StartError>(Arc::new(AccessTokens::new(&self.settings().await?.stage, keys)?))
        };
        self.tokens.get_or_try_init(make).await.cloned()
    }

    /// The API keys, with one cache for the whole environment.
    ///
    /// # Errors
    /// [`StartError`]
    pub async fn keys(&self) -> Result<Arc<Keys>, StartError> {
        let make =
            async || Ok::<_, StartError>(Arc::new(Keys::new(self.dynamo().await?, self.derived().await?)));
        self.keys.get_or_try_init(make).await.cloned()
    }

    /// The plans of tenants.
    ///
    /// # Errors
    /// [`StartError`]
    pub async fn plans(&self) -> Result<Arc<Plans>, StartError> {
        let make = async || Ok::<_, StartError>(Arc::new(Plans::new(self.dynamo().await?)));
        self.plans.get_or_try_init(make).await.cloned()
    }

    /// The gate.
    ///
    /// # Errors
    /// [`StartError`]
    pub async fn gate(&self) -> Result<Arc<Gate>, StartError> {
        let make = async || {
            let every = self.settings().await?.metrics_flush;
            Ok::<_, StartError>(Arc::new(Gate::new(self.redis().await?, every)))
        };
        self.gate.get_or_try_init(make).await.cloned()
    }

    /// The answers kept under idempotency keys.
    ///
    /// # Errors
    /// [`StartError`]
    pub async fn answers(&self) -> Result<Arc<Answers>, StartError> {
        let make = async || {
            let derived = self.derived().await?;
            Ok::<_, StartError>(Arc::new(Answers::new(self.redis().await?, &derived.answer, derived.seed)?))
        };
        self.answers.get_or_try_init(make).await.cloned()
    }

    /// The breakers of everything that this stage is configured to depend on.
    ///
    /// # Errors
    /// [`StartError`]
    pub async fn breakers(&self) -> Result<&Breakers, StartError> {
        let make = async || {
            let Some(ai) = &self.settings().await?.ai else { return Ok(Breakers::default()) };
            let region = self.aws().await.region().map_or("nowhere", |region| region.as_ref()).to_owned();
            let redis = self.redis().await?;
            let breaker = Breaker::new(Dependency::Ai, &region, &ai.model, breaker::AI, redis);
            Ok(Breakers::new(vec![Arc::new(breaker)]))
        };
        self.breakers.get_or_try_init(make).await
    }

    /// What lets equal requests share.
    ///
    /// # Errors
    /// [`StartError`]
    pub async fn coalescer(&self) -> Result<Coalescer, StartError> {
        Ok(Coalescer::new(self.redis().await?))
    }

    /// What `GET /api/metrics` asks for.
    ///
    /// # Errors
    /// [`StartError`]
    pub async fn scrape_token(&self) -> Result<Option<String>, StartError> {
        Ok(self.held().await?.secrets.scrape_token.clone())
    }

    /// The accounts.
    ///
    /// # Errors
    /// [`StartError`]
    pub async fn accounts(&self) -> Result<Accounts, StartError> {
        Ok(Accounts::new(self.dynamo().await?, self.derived().await?, self.settings().await?.sign_up))
    }

    /// The sessions.
    ///
    /// # Errors
    /// [`StartError`]
    pub async fn sessions(&self) -> Result<Sessions, StartError> {
        Ok(Sessions::new(self.dynamo().await?, self.derived().await?))
    }

    /// Signing in.
    ///
    /// # Errors
    /// [`StartError`]
    pub async fn sign_in(&self) -> Result<SignIn, StartError> {
        Ok(SignIn {
            accounts: self.accounts().await?,
            sessions: self.sessions().await?,
            tokens: self.tokens().await?,
            redis: self.redis().await?,
            keys: self.derived().await?,
        })
    }

    /// The cursors of lists.
    ///
    /// # Errors
    /// [`StartError`]
    pub async fn cursors(&self) -> Result<Cursors, StartError> {
        Ok(Cursors::new(self.derived().await?.cursor))
    }

    /// The provider that writes.
    ///
    /// # Errors
    /// [`StartError`]
    pub async fn provider(&self) -> Result<Provider, StartError> {
        match &self.settings().await?.ai {
            None => Ok(Provider::Builtin),
            Some(ai) => {
                let key = self.held().await?.secrets.ai_key.as_deref().ok_or(StartError::NoAiKey)?;
                let breaker = self.breakers().await?.of(&[Dependency::Ai]).next().cloned();
                let breaker = breaker.ok_or(StartError::NoAiKey)?;
                Ok(Provider::OpenAi(OpenAi::new(ai, key, breaker)?))
            }
        }
    }
}

/// The configuration of the AWS clients: Lambda's own credentials, TLS on ring.
async fn load_aws() -> aws_config::SdkConfig {
    use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};
    let http =
        aws_smithy_http_client::Builder::new().tls_provider(Provider::Rustls(CryptoMode::Ring)).build_https();
    aws_config::defaults(aws_config::BehaviorVersion::v2026_01_12()).http_client(http).load().await
}
