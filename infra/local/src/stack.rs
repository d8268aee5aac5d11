//! All parts together.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use serde_json::Value;
use tempfile::TempDir;

use crate::LocalError;
use crate::dynamo::Dynamo;
use crate::function_url::FunctionUrl;
use crate::gateway::{Gateway, Pools};
use crate::lambda::{Host, Pool, binaries, certificates};
use crate::permissions::{Permissions, Uses};
use crate::redis_server::RedisServer;
use crate::secrets::{self, Secrets};
use crate::stream::Follower;
use crate::template::Template;
use crate::upstash::Upstash;
use crate::wire::Wire;

/// From the gateway's port to the stream's: `cargo lambda watch` takes those in between.
const STREAM_PORT_AFTER: u16 = 10;

/// How a stack is started.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// The gateway's port on loopback, and the stream's is ten behind it; 0 for any.
    pub port: u16,
    /// Where data and logs are kept; nowhere without.
    pub data: Option<PathBuf>,
    /// The binaries; those built with the running program without.
    pub binaries: Option<PathBuf>,
    /// Parameters of the template beside those of a local stage.
    pub parameters: Vec<(&'static str, String)>,
    /// Environments that are not frozen between requests, for measurements of the functions alone.
    pub never_freeze: bool,
}

/// A system that is running.
pub struct Stack {
    /// The gateway.
    pub gateway: Gateway,
    /// The URL on which the assistant answers piece by piece.
    pub stream: FunctionUrl,
    /// The functions.
    pub functions: Pools,
    /// The database of the tables.
    pub dynamo: Dynamo,
    /// The wire to it.
    pub dynamo_wire: Wire,
    /// The REST front of Redis.
    pub upstash: Upstash,
    /// The wire to it.
    pub upstash_wire: Wire,
    /// Redis itself.
    pub redis: RedisServer,
    /// Secrets Manager.
    pub secrets: Secrets,
    /// The secret of the stage.
    pub secret: Value,
    /// The name of it.
    pub secret_id: String,
    /// The template as the functions see it.
    pub template: Template,
    /// What every function is given beside its own variables.
    pub host: Arc<Host>,
    _follower: Follower,
    _temporary: TempDir,
}

impl Stack {
    /// Starts everything.
    ///
    /// # Errors
    /// [`LocalError`] that names the part and what to do.
    pub async fn start(options: Options) -> Result<Self, LocalError> {
        let temporary =
            TempDir::with_prefix("huntaze").map_err(LocalError::io("making a temporary folder"))?;
        let folder = options.data.as_deref();
        let logs = folder.unwrap_or(temporary.path()).join("logs");
        std::fs::create_dir_all(&logs).map_err(LocalError::io(format!("making {}", logs.display())))?;
        let secret = match folder {
            Some(folder) => secrets::load_or_generate(&folder.join("secret.json"))?,
            None => secrets::generate()?,
        };
        let redis = RedisServer::start(folder.map(|folder| folder.join("redis")).as_deref()).await?;
        let token = secret["upstashToken"].as_str().unwrap_or_default();
        let upstash = Upstash::start(redis.socket(), token).await?;
        let upstash_wire = Wire::to(upstash.address()).await?;
        let template = template(&options, upstash_wire.address())?;
        let permissions = Arc::new(Permissions::of(&template, Uses::from_environment()?));
        let file = folder.map(|folder| folder.join("dynamodb.sqlite"));
        let dynamo = Dynamo::start(&template, Arc::clone(&permissions), file.as_deref()).await?;
        let dynamo_wire = Wire::to(dynamo.address()).await?;
        let secrets = Secrets::start(permissions).await?;
        let secret_id = template.secrets.first().cloned().unwrap_or_default();
        secrets.put(&secret_id, &secret);
        let host = Arc::new(Host {
            binaries: options.binaries.clone().unwrap_or_else(binaries),
            logs,
            variables: aws_variables(dynamo_wire.address(), secrets.address()),
            freeze: !options.never_freeze,
            added: Mutex::default(),
        });
        let streamed = template.functions.values().find(|function| function.has_url);
        let streamed = streamed.ok_or_else(|| LocalError::Template("no function has a URL".to_owned()))?;
        let stream_port = if options.port == 0 { 0 } else { options.port.saturating_add(STREAM_PORT_AFTER) };
        let stream = FunctionUrl::start(streamed.clone(), Arc::clone(&host), stream_port).await?;
        let functions: Pools = template
            .functions
            .values()
            .filter(|function| !function.has_url)
            .map(|function| (function.name.clone(), Arc::new(Pool::new(function.clone(), Arc::clone(&host)))))
            .collect();
        let gateway = Gateway::start(functions.clone(), options.port).await?;
        let followed =
            template.tables.get("TenantTable").map(|table| table.name.as_str()).unwrap_or_default();
        let follower = Follower::start(dynamo.database(), followed, functions.values())?;
        Ok(Self {
            gateway,
            stream,
            functions,
            dynamo,
            dynamo_wire,
            upstash,
            upstash_wire,
            redis,
            secrets,
            secret,
            secret_id,
            template,
            host,
            _follower: follower,
            _temporary: temporary,
        })
    }

    /// The address of the API.
    pub fn url(&self) -> String {
        format!("http://{}", self.gateway.address())
    }

    /// Where the assistant answers piece by piece.
    pub fn stream_url(&self) -> String {
        format!("http://{}", self.stream.address())
    }

    /// The database of the fleet, as `scripts/breaker.sh` reads it.
    pub fn upstash_variables(&self) -> String {
        let token = self.secret["upstashToken"].as_str().unwrap_or_default();
        format!("UPSTASH_URL=http://{}\nUPSTASH_TOKEN={token}\n", self.upstash.address())
    }

    /// What `GET /api/metrics` asks for.
    pub fn scrape_token(&self) -> &str {
        self.secret["scrapeToken"].as_str().unwrap_or_default()
    }

    /// The folder of the logs.
    pub fn logs(&self) -> &Path {
        &self.host.logs
    }

    /// The variables of one function as Lambda would set them, for programs that run it in another way.
    pub fn variables(&self, function: &str) -> BTreeMap<String, String> {
        let mut variables = self.host.variables.clone();
        variables.insert("AWS_ACCESS_KEY_ID".to_owned(), function.to_owned());
        variables.insert("AWS_SECRET_ACCESS_KEY".to_owned(), "local".to_owned());
        variables
            .extend(self.template.functions.get(function).map(|f| f.variables.clone()).unwrap_or_default());
        variables.extend(certificates().map(|(name, file)| (name.to_owned(), file.display().to_string())));
        variables
    }

    /// Ends every environment.
    pub async fn end(&self) {
        for pool in self.functions.values() {
            pool.tell_the_end().await;
        }
        for pool in self.functions.values() {
            pool.retire().await;
        }
    }
}

fn template(options: &Options, upstash: SocketAddr) -> Result<Template, LocalError> {
    let upstash = format!("http://{upstash}");
    let mut parameters = vec![("Stage", "local"), ("SignUp", "open"), ("UpstashUrl", &upstash)];
    parameters.extend(options.parameters.iter().map(|(name, value)| (*name, value.as_str())));
    Template::read(&parameters)
}

/// What Lambda gives every function, with the endpoints of this stack.
fn aws_variables(dynamo: SocketAddr, secrets: SocketAddr) -> BTreeMap<String, String> {
    let variables = [
        ("AWS_REGION", "eu-west-1".to_owned()),
        // With it the door tells an environment from somebody who borrows a function's name.
        ("AWS_SESSION_TOKEN", "local".to_owned()),
        ("AWS_ENDPOINT_URL_DYNAMODB", format!("http://{dynamo}")),
        ("AWS_ENDPOINT_URL_SECRETS_MANAGER", format!("http://{secrets}")),
    ];
    variables.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}
