//! What an execution environment has, connected once and shared by all its endpoints.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use tokio::sync::OnceCell;

use crate::ai::{Gateway, Ledger, OpenAi, Provider};
use crate::auth::access_token::{AccessTokens, TokenKeyError};
use crate::auth::accounts::Accounts;
use crate::auth::derived::DerivedKeys;
use crate::auth::key_store::Keys;
use crate::auth::sessions::Sessions;
use crate::auth::signin::SignIn;
use crate::breaker::{self, Breaker, Breakers};
use crate::coalesce::Coalescer;
use crate::content::{Assistant, Ideas, Messages, Prices, Tools};
use crate::contract::Dependency;
use crate::dynamo::Dynamo;
use crate::gate::Gate;
use crate::idempotency::{Answers, SealingKeyError};
use crate::outbound::OutboundError;
use crate::redis::{Redis, RedisError};
use crate::secrets::{self, Secrets, SecretsError};
use crate::settings::{AiSettings, Settings, SettingsError};
use crate::tenants::creators::Creators;
use crate::tenants::credits::{Credits, DailyStop};
use crate::tenants::cursor::Cursors;
use crate::tenants::generations::Generations;
use crate::tenants::jobs::Jobs;
use crate::tenants::offers::Offers;
use crate::tenants::plans::Plans;
use crate::tenants::posts::Posts;

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
            let region = self.aws().await.region().map_or("nowhere", |region| region.as_ref()).to_owned();
            let redis = self.redis().await?;
            let models = self.models().await?.into_iter();
            let breaker = |(dependency, ai): (Dependency, &AiSettings)| {
                Arc::new(Breaker::new(dependency, &region, &ai.model, breaker::AI, Arc::clone(&redis)))
            };
            Ok(Breakers::new(models.map(breaker).collect()))
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
        let held = self.held().await?;
        let first = held.secrets.ai_key.as_deref();
        let mut chain = Vec::new();
        for (dependency, ai) in self.models().await? {
            let own =
                held.secrets.ai_fallback_key.as_deref().filter(|_| dependency == Dependency::AiFallback);
            let key = own.or(first).ok_or(StartError::NoAiKey)?;
            let breaker = self.breakers().await?.of(&[dependency]).next().cloned();
            chain.push(OpenAi::new(ai, key, breaker.ok_or(StartError::NoAiKey)?)?);
        }
        Ok(if chain.is_empty() { Provider::Builtin } else { Provider::Models(Gateway::new(chain)) })
    }

    /// The models that are configured, in the order in which they are asked.
    async fn models(&self) -> Result<Vec<(Dependency, &AiSettings)>, StartError> {
        let settings = self.settings().await?;
        let first = settings.ai.iter().map(|ai| (Dependency::Ai, ai));
        let second = settings.ai_fallback.iter().map(|ai| (Dependency::AiFallback, ai));
        Ok(first.chain(second).collect())
    }

    /// The ideas.
    ///
    /// # Errors
    /// [`StartError`]
    pub async fn ideas(&self) -> Result<Ideas, StartError> {
        let dynamo = self.dynamo().await?;
        let (creators, posts) = (Creators::new(dynamo.clone()), Posts::new(dynamo));
        let (coalescer, ledger) = (self.coalescer().await?, self.ledger().await?);
        let generations = self.generations().await?;
        Ok(Ideas::new(self.provider().await?, creators, posts, coalescer, ledger, generations))
    }

    /// The messages.
    ///
    /// # Errors
    /// [`StartError`]
    pub async fn messages(&self) -> Result<Messages, StartError> {
        Ok(Messages::new(self.provider().await?, self.ledger().await?, self.generations().await?))
    }

    /// The price advice.
    ///
    /// # Errors
    /// [`StartError`]
    pub async fn prices(&self) -> Result<Prices, StartError> {
        let dynamo = self.dynamo().await?;
        let (creators, offers) = (Creators::new(dynamo.clone()), Offers::new(dynamo));
        Ok(Prices::new(creators, offers, self.generations().await?))
    }

    /// The assistant.
    ///
    /// # Errors
    /// [`StartError`]
    pub async fn assistant(&self) -> Result<Assistant, StartError> {
        let (ideas, credits) = (self.ideas().await?, Credits::new(self.dynamo().await?));
        let tools = Tools::new(ideas, self.prices().await?, credits, self.plans().await?);
        let (creators, ledger) = (Creators::new(self.dynamo().await?), self.ledger().await?);
        Ok(Assistant::new(self.provider().await?, tools, creators, ledger, self.generations().await?))
    }

    /// What was made.
    ///
    /// # Errors
    /// [`StartError`]
    pub async fn generations(&self) -> Result<Generations, StartError> {
        Ok(Generations::new(self.dynamo().await?))
    }

    /// The jobs.
    ///
    /// # Errors
    /// [`StartError`]
    pub async fn jobs(&self) -> Result<Jobs, StartError> {
        Ok(Jobs::new(self.dynamo().await?))
    }

    /// Who pays for models.
    ///
    /// # Errors
    /// [`StartError`]
    pub async fn ledger(&self) -> Result<Ledger, StartError> {
        let limit = self.settings().await?.ai_daily_stop_micro_usd;
        let stop = DailyStop::new(self.dynamo().await?, limit);
        Ok(Ledger::new(Credits::new(self.dynamo().await?), stop, self.plans().await?))
    }
}

/// The configuration of the AWS clients: Lambda's own credentials, TLS on ring.
async fn load_aws() -> aws_config::SdkConfig {
    use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};
    let http =
        aws_smithy_http_client::Builder::new().tls_provider(Provider::Rustls(CryptoMode::Ring)).build_https();
    aws_config::defaults(aws_config::BehaviorVersion::v2026_01_12()).http_client(http).load().await
}
