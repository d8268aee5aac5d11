//! The program `local`: runs the whole API on loopback, and prints what is generated from code. `local --help` lists
//! its commands.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program for people writes to their terminal"
)]

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, Subcommand};
use local::demo::Demo;
use local::private_file::write_secret;
use local::{LocalError, Options, Stack};
use shared::contract;
use tracing::Level;
use tracing_subscriber::Layer as _;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

#[derive(Parser)]
#[command(name = "local", version, about = "Huntaze on this machine: no account, no containers")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Start everything and stay until Ctrl-C
    Serve {
        /// The port on 127.0.0.1
        #[arg(long, default_value_t = 9000)]
        port: u16,
        /// Where data, logs and the stage's secret are kept
        #[arg(long, default_value = ".local")]
        data: PathBuf,
        /// Forget everything in --data first
        #[arg(long)]
        fresh: bool,
        /// An OpenAI-compatible API that writes the ideas; without it, the builtin provider
        #[arg(long, requires = "ai_model")]
        ai_base_url: Option<String>,
        /// The model's name there
        #[arg(long, requires = "ai_base_url")]
        ai_model: Option<String>,
        /// What it costs, in dollars for a million tokens read and written, such as 0.15/0.60, or 0/0 for one of your own
        /// (default: the list in the code, where an unknown model costs as much as the dearest)
        #[arg(long, requires = "ai_model")]
        ai_price: Option<String>,
        /// The API key for it
        #[arg(long, env = "HUNTAZE_LOCAL_AI_KEY", hide_env_values = true)]
        ai_key: Option<String>,
    },
    /// Start what functions need, but not the functions, and write their variables to a file
    Services {
        /// Where to write the variables, as NAME=value lines
        #[arg(long)]
        env_file: PathBuf,
        /// The function whose permissions and variables are used
        #[arg(long, default_value = "anyone")]
        function: String,
        /// Where data is kept
        #[arg(long, default_value = ".local")]
        data: PathBuf,
    },
    /// Measure starts and calls, and print the tables
    Bench {
        /// The folder of the binaries to measure (default: those built with this program)
        #[arg(long)]
        binaries: Option<PathBuf>,
        /// Count only what each request costs in trips, commands and units; no time is measured
        #[arg(long)]
        cost: bool,
    },
    /// Write the skeleton of a function that the contract names and nobody has written yet
    ///
    /// It makes functions/NAME, its block in template.yaml, and a test for each of its operations, and overwrites nothing.
    /// Every endpoint answers 501 until its body is written, and a test tells of each that is not.
    Function {
        /// The `function` of its routes in the contract
        name: String,
    },
    /// Print Cargo.toml with the router of `cargo lambda watch` as template.yaml says
    Router,
    /// Print the OpenAPI document of the contract
    Openapi,
    /// Print the Grafana dashboard
    Dashboard,
    /// Fail if a function has a permission that no test used, by the record of a whole test run
    Permissions {
        /// The folder of the record, which HUNTAZE_LOCAL_USES named during the run
        #[arg(long)]
        used: PathBuf,
    },
    /// Write the secrets that functions read, each to a file of its name, from the root secret in the file `app`
    ///
    /// scripts/secret.sh calls it. Without such a file it makes a root secret, with UPSTASH_TOKEN and AI_KEY.
    Secrets(SecretFiles),
    /// Print an event for `cargo lambda invoke`
    Event {
        /// Which kind of event
        #[arg(value_enum)]
        kind: EventKind,
    },
}

/// The arguments of `local secrets`.
#[derive(clap::Args)]
struct SecretFiles {
    /// The folder of the files
    #[arg(long)]
    folder: PathBuf,
    /// Change the keys of session tokens: the next one signs
    #[arg(long)]
    rotate: bool,
    /// What signed or verified until now does neither any more
    #[arg(long, requires = "rotate")]
    leaked: bool,
    /// The token of Redis, for a new root secret
    #[arg(long, env = "UPSTASH_TOKEN", hide_env_values = true, default_value = "")]
    upstash_token: String,
    /// The API key for the model's provider, for a new root secret
    #[arg(long, env = "AI_KEY", hide_env_values = true, default_value = "")]
    ai_key: String,
}

impl SecretFiles {
    fn write(self) -> Result<(), LocalError> {
        let Self { folder, rotate, leaked, upstash_token, ai_key } = self;
        let ai_key = Some(ai_key).filter(|key| !key.is_empty());
        local::root_secret::write(&folder, upstash_token, ai_key, rotate.then_some(leaked))
    }
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum EventKind {
    /// GET /api/health through API Gateway
    Http,
    /// A scheduled event of EventBridge
    Scheduled,
}

#[tokio::main]
async fn main() -> ExitCode {
    // Dependencies log a lot, and people want to read only what went wrong. The DynamoDB engine even warns of every
    // condition that does not hold, which is an everyday event here.
    let filter = Targets::new().with_default(Level::WARN).with_target("dynoxide", Level::ERROR);
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_filter(filter);
    tracing_subscriber::registry().with(lines).init();
    match run(Cli::parse().command).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(command: Command) -> Result<(), LocalError> {
    match command {
        Command::Serve { port, data, fresh, ai_base_url, ai_model, ai_price, ai_key } => {
            prepare(&data, fresh)?;
            let ai = [("AiBaseUrl", ai_base_url), ("AiModel", ai_model), ("AiPriceUsd", ai_price)];
            let parameters = ai.into_iter().filter_map(|(name, value)| Some((name, value?))).collect();
            let data = Some(data);
            serve(Options { port, data, parameters, ..Options::default() }, ai_key).await
        }
        Command::Services { env_file, function, data } => {
            prepare(&data, false)?;
            services(&env_file, &function, data).await
        }
        Command::Bench { binaries, cost } => {
            let binaries = binaries.unwrap_or_else(local::lambda::binaries);
            if cost {
                println!("{}", local::bench::cost(&binaries).await?);
                return Ok(());
            }
            eprintln!("measuring {}; a minute or two", binaries.display());
            println!("{}", local::bench::run(&binaries).await?);
            Ok(())
        }
        Command::Function { name } => {
            for path in local::skeleton::write(&local::template::repository(), &name)? {
                println!("wrote {}", path.display());
            }
            println!(
                "next: its permissions in template.yaml, its body and its tests; docs/ADDING-A-ROUTE.md"
            );
            Ok(())
        }
        Command::Router => {
            print!(
                "{}",
                local::router::manifest(&local::template::SamTemplate::read(&[("Stage", "local")])?)?
            );
            Ok(())
        }
        Command::Openapi => {
            let document = contract::openapi::document(&contract::operations());
            println!("{document:#}");
            Ok(())
        }
        Command::Dashboard => {
            println!("{:#}", local::dashboard::dashboard());
            Ok(())
        }
        Command::Permissions { used } => {
            let template = local::template::SamTemplate::read(&[("Stage", "local")])?;
            println!("every one of {} permissions is used", local::permissions::all_used(&template, &used)?);
            Ok(())
        }
        Command::Secrets(files) => files.write(),
        Command::Event { kind } => {
            let event = match kind {
                EventKind::Http => local::gateway::sample_event("GET", "/api/health"),
                EventKind::Scheduled => local::gateway::scheduled_event(),
            };
            println!("{event:#}");
            Ok(())
        }
    }
}

/// Makes the folder for data, and with `fresh` first removes what an earlier run left in it.
fn prepare(data: &Path, fresh: bool) -> Result<(), LocalError> {
    if fresh && data.exists() {
        // Nothing else is removed: the folder may contain other things of its owner.
        for name in [
            "dynamodb.sqlite",
            "dynamodb.sqlite-wal",
            "dynamodb.sqlite-shm",
            "secret.json",
            "demo.json",
            "upstash.env",
        ] {
            let file = data.join(name);
            if file.exists() {
                std::fs::remove_file(&file)
                    .map_err(LocalError::io(format!("removing {}", file.display())))?;
            }
        }
        for name in ["redis", "logs"] {
            let folder = data.join(name);
            if folder.exists() {
                std::fs::remove_dir_all(&folder)
                    .map_err(LocalError::io(format!("removing {}", folder.display())))?;
            }
        }
    }
    std::fs::create_dir_all(data).map_err(LocalError::io(format!("making {}", data.display())))
}

/// Runs the whole system and greets the newcomer, until the program is asked to end.
async fn serve(options: Options, ai_key: Option<String>) -> Result<(), LocalError> {
    let data = options.data.clone().unwrap_or_default();
    eprintln!("starting redis-server, DynamoDB, Secrets Manager and the gateway; data in {}", data.display());
    let mut stack = Stack::start(options).await?;
    if let Some(key) = ai_key {
        stack.secret["aiKey"] = key.into();
        stack.fill_secrets(&stack.secret)?;
    }
    write_secret(&data.join("upstash.env"), &stack.upstash_variables())?;
    let demo = Demo::load_or_create(&stack.url(), &data.join("demo.json")).await?;
    println!(
        "{}",
        demo.welcome(
            &stack.url(),
            &stack.stream_url(),
            &stack.logs().display().to_string(),
            stack.scrape_token()
        )
    );
    wait_for_the_end(&mut stack).await?;
    stack.end().await;
    eprintln!("stopped");
    Ok(())
}

/// How long a `redis-server` that was killed stays away: long enough to try what callers see meanwhile.
const REDIS_AWAY: Duration = Duration::from_secs(5);

/// Waits for Ctrl-C or SIGTERM, and starts a `redis-server` that was killed again.
async fn wait_for_the_end(stack: &mut Stack) -> Result<(), LocalError> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate()).map_err(LocalError::io("listening for signals"))?;
    loop {
        tokio::select! {
            _ = tokio::signal::ctrl_c() => break,
            _ = terminate.recv() => break,
            status = stack.redis.process().wait() => {
                let why = status.map_or_else(|error| error.to_string(), |status| status.to_string());
                eprintln!("redis-server ended ({why}); it is started again in {} s", REDIS_AWAY.as_secs());
                tokio::time::sleep(REDIS_AWAY).await;
                stack.redis.restart().await?;
                eprintln!("redis-server is back");
            }
        }
    }
    eprintln!();
    Ok(())
}

/// Runs what functions need, but not the functions, and writes their variables to `env_file`. A name that is no
/// function gets the variables of the first function and may do everything.
async fn services(env_file: &Path, function: &str, data: PathBuf) -> Result<(), LocalError> {
    let mut stack = Stack::start(Options { data: Some(data), ..Options::default() }).await?;
    let any_function = stack.template.functions.keys().next().cloned().unwrap_or_default();
    let is_function = stack.template.functions.contains_key(function);
    let mut variables = stack.variables(if is_function { function } else { &any_function });
    variables.insert("AWS_ACCESS_KEY_ID".to_owned(), function.to_owned());
    let lines: String = variables.iter().map(|(name, value)| format!("{name}={value}\n")).collect();
    std::fs::write(env_file, lines).map_err(LocalError::io(format!("writing {}", env_file.display())))?;
    println!("ready; variables in {}", env_file.display());
    wait_for_the_end(&mut stack).await
}
