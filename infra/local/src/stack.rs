//! The local stack: starts every part of the system, connects them, and ends them.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use serde_json::Value;
use tempfile::TempDir;

use crate::LocalError;
use crate::dynamo::LocalDynamo;
use crate::function_url::FunctionUrl;
use crate::gateway::{LocalGateway, Pools};
use crate::lambda::{Host, Pool, binaries, certificates};
use crate::permissions::{Permissions, UseRecord};
use crate::redis_server::RedisServer;
use crate::secrets::{self, LocalSecrets};
use crate::table_stream::StreamFollower;
use crate::template::SamTemplate;
use crate::upstash::Upstash;
use crate::wire::Wire;

/// How far the streaming function's port is above the gateway's. `cargo lambda watch` takes a port in between.
const STREAM_PORT_OFFSET: u16 = 10;

/// The name of the stage that the stack is.
const STAGE: &str = "local";

/// What can be chosen when a stack is started.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// The gateway's port on loopback; the streaming function's port is ten higher. 0 takes any free ports.
    pub port: u16,
    /// The folder that keeps data and logs. `None` keeps nothing: all of it goes when the stack ends.
    pub data: Option<PathBuf>,
    /// The folder of the functions' binaries. `None` means those that were built with the running program.
    pub binaries: Option<PathBuf>,
    /// Parameters of `template.yaml` in addition to those that every local stage sets.
    pub parameters: Vec<(&'static str, String)>,
    /// Whether environments run on between requests; benchmarks ask for it, to measure the functions alone.
    pub never_freeze: bool,
}

/// A whole system that runs until this is dropped.
pub struct Stack {
    /// The HTTP API, which answers every route of the template.
    pub gateway: LocalGateway,
    /// The URL on which the assistant answers piece by piece.
    pub stream: FunctionUrl,
    /// The environments of every function behind the gateway, by the function's name.
    pub functions: Pools,
    /// The database of the tables.
    pub dynamo: LocalDynamo,
    /// The wire between the functions and DynamoDB.
    pub dynamo_wire: Wire,
    /// Upstash's REST API in front of Redis.
    pub upstash: Upstash,
    /// The wire between the functions and Upstash.
    pub upstash_wire: Wire,
    /// The `redis-server` behind the REST API.
    pub redis: RedisServer,
    /// The Secrets Manager from which the functions read the stage's secrets.
    pub secrets: LocalSecrets,
    /// The root secret of the stage; the functions see a change of it only after [`Stack::fill_secrets`].
    pub secret: Value,
    /// `template.yaml` with the parameters of this stack.
    pub template: SamTemplate,
    /// What every function is given beside its own variables.
    pub host: Arc<Host>,
    _follower: StreamFollower,
    _temporary: TempDir,
}

impl Stack {
    /// Starts every part, and returns when all of them take requests.
    ///
    /// # Errors
    /// [`LocalError`] that names the part that does not start and what to do about it.
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
        let permissions = Arc::new(Permissions::of(&template, UseRecord::from_environment()?));
        let file = folder.map(|folder| folder.join("dynamodb.sqlite"));
        let dynamo = LocalDynamo::start(&template, Arc::clone(&permissions), file.as_deref()).await?;
        let dynamo_wire = Wire::to(dynamo.address()).await?;
        let secrets = LocalSecrets::start(permissions).await?;
        secrets.fill(STAGE, &secret)?;
        let host = Arc::new(Host {
            binaries: options.binaries.clone().unwrap_or_else(binaries),
            logs,
            variables: aws_variables(dynamo_wire.address(), secrets.address()),
            freeze: !options.never_freeze,
            extra_variables: Mutex::default(),
        });
        let streaming = template.functions.values().find(|function| function.has_url);
        let streaming = streaming.ok_or_else(|| LocalError::Template("no function has a URL".to_owned()))?;
        let stream_port = if options.port == 0 { 0 } else { options.port.saturating_add(STREAM_PORT_OFFSET) };
        let stream = FunctionUrl::start(streaming.clone(), Arc::clone(&host), stream_port).await?;
        let functions: Pools = template
            .functions
            .values()
            .filter(|function| !function.has_url)
            .map(|function| (function.name.clone(), Arc::new(Pool::new(function.clone(), Arc::clone(&host)))))
            .collect();
        let gateway = LocalGateway::start(functions.clone(), options.port).await?;
        let tenant_table =
            template.tables.get("TenantTable").map(|table| table.name.as_str()).unwrap_or_default();
        let follower = StreamFollower::start(dynamo.database(), tenant_table, functions.values())?;
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
            template,
            host,
            _follower: follower,
            _temporary: temporary,
        })
    }

    /// Makes the secrets that functions read from a root secret.
    ///
    /// # Errors
    /// [`LocalError`] when the root secret is malformed.
    pub fn fill_secrets(&self, root: &Value) -> Result<(), LocalError> {
        self.secrets.fill(STAGE, root)
    }

    /// The base URL of the API.
    pub fn url(&self) -> String {
        format!("http://{}", self.gateway.address())
    }

    /// The base URL on which the assistant answers piece by piece.
    pub fn stream_url(&self) -> String {
        format!("http://{}", self.stream.address())
    }

    /// The lines of `upstash.env`: the URL and token of the fleet's Redis, as `scripts/breaker.sh` reads them.
    pub fn upstash_variables(&self) -> String {
        let token = self.secret["upstashToken"].as_str().unwrap_or_default();
        format!("UPSTASH_URL=http://{}\nUPSTASH_TOKEN={token}\n", self.upstash.address())
    }

    /// The bearer token that `GET /api/metrics` asks for.
    pub fn scrape_token(&self) -> &str {
        self.secret["scrapeToken"].as_str().unwrap_or_default()
    }

    /// The folder of the logs, with one file for each function.
    pub fn logs(&self) -> &Path {
        &self.host.logs
    }

    /// The variables of one function as Lambda would set them, for programs that run it without this stack's
    /// gateway.
    pub fn variables(&self, function: &str) -> BTreeMap<String, String> {
        let mut variables = self.host.variables.clone();
        variables.insert("AWS_ACCESS_KEY_ID".to_owned(), function.to_owned());
        variables.insert("AWS_SECRET_ACCESS_KEY".to_owned(), "local".to_owned());
        variables
            .extend(self.template.functions.get(function).map(|f| f.variables.clone()).unwrap_or_default());
        variables.extend(certificates().map(|(name, file)| (name.to_owned(), file.display().to_string())));
        variables
    }

    /// Ends every idle environment as Lambda does, so that each can still write its metrics.
    pub async fn end(&self) {
        // All get the signal before the first is waited for: they end at the same time, and not in turn.
        for pool in self.functions.values() {
            pool.terminate_idle().await;
        }
        for pool in self.functions.values() {
            pool.retire().await;
        }
    }
}

/// Reads `template.yaml` with the parameters of a local stage and those of `options`.
fn template(options: &Options, upstash: SocketAddr) -> Result<SamTemplate, LocalError> {
    let upstash = format!("http://{upstash}");
    let mut parameters = vec![("Stage", STAGE), ("SignUp", "open"), ("UpstashUrl", &upstash)];
    parameters.extend(options.parameters.iter().map(|(name, value)| (*name, value.as_str())));
    SamTemplate::read(&parameters)
}

/// The variables that Lambda gives every function, with the endpoints of this stack in place of those of AWS.
fn aws_variables(dynamo: SocketAddr, secrets: SocketAddr) -> BTreeMap<String, String> {
    let variables = [
        ("AWS_REGION", "eu-west-1".to_owned()),
        // The permission check takes only a caller with this token for an environment: a test that borrows a
        // function's name as its access key has none.
        ("AWS_SESSION_TOKEN", "local".to_owned()),
        ("AWS_ENDPOINT_URL_DYNAMODB", format!("http://{dynamo}")),
        ("AWS_ENDPOINT_URL_SECRETS_MANAGER", format!("http://{secrets}")),
    ];
    variables.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}
