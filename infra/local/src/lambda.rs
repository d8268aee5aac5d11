//! Lambda: execution environments that run the functions' own binaries behind the Runtime API.
//!
//! As Lambda does, one environment runs one request at a time and is frozen in between, requests that
//! overlap get environments of their own, and one that runs too long is ended.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use lambda_simulator::{FreezeMode, InvocationBuilder, InvocationStatus, Simulator};
use serde_json::Value;
use tokio::sync::Semaphore;

use crate::template::Function;

/// As many environments of one function at a time; more requests wait.
const ENVIRONMENTS_MAX: usize = 40;
const INIT_WITHIN: Duration = Duration::from_secs(10);
/// What Lambda gives an environment with an extension after SIGTERM.
const RETIRE_WITHIN: Duration = Duration::from_secs(2);
/// How long the simulator has to freeze an environment that reported an error.
const FREEZE_WITHIN: Duration = Duration::from_secs(1);
/// The simulator keeps what it was sent, so an environment is replaced after this many requests.
const REQUESTS_PER_ENVIRONMENT: u32 = 500;
/// The simulator's wake-up can be lost between its look and its wait; a short slice bounds what that costs.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// Why a function gave no answer.
#[derive(Debug, thiserror::Error)]
pub enum InvokeError {
    /// It cannot be started, or it ended while it started.
    #[error("{function} does not start: {why}")]
    Init {
        /// Which.
        function: String,
        /// Why.
        why: String,
    },
    /// It ended, or it answered with an error.
    #[error("{function} failed: {why}")]
    Failed {
        /// Which.
        function: String,
        /// What it said.
        why: String,
    },
    /// It ran longer than `template.yaml` lets it.
    #[error("{function} took longer than {after:?}")]
    TimedOut {
        /// Which.
        function: String,
        /// The time it had.
        after: Duration,
    },
}

/// Where functions run and what they are given.
#[derive(Debug)]
pub struct Host {
    /// The folder of the binaries.
    pub binaries: PathBuf,
    /// The folder of the logs, one file a function.
    pub logs: PathBuf,
    /// Variables that Lambda sets: region, credentials, endpoints.
    pub variables: BTreeMap<String, String>,
    /// Whether environments are frozen between requests.
    pub freeze: bool,
    /// Variables of environments that start from now on, for tests that give them another clock.
    pub added: Mutex<BTreeMap<String, String>>,
}

/// A function and its environments.
pub struct Pool {
    function: Function,
    host: Arc<Host>,
    idle: Mutex<Vec<Running>>,
    busy: Mutex<Vec<u32>>,
    places: Semaphore,
}

impl Pool {
    /// A function without environments; requests bring them.
    pub fn new(function: Function, host: Arc<Host>) -> Self {
        Self {
            function,
            host,
            idle: Mutex::default(),
            busy: Mutex::default(),
            places: Semaphore::new(ENVIRONMENTS_MAX),
        }
    }

    /// The function.
    pub fn function(&self) -> &Function {
        &self.function
    }

    /// Runs the function once.
    ///
    /// # Errors
    /// [`InvokeError`]
    pub async fn invoke(&self, event: Value) -> Result<Value, InvokeError> {
        let _place = self.places.acquire().await;
        let idle = self.lock().pop();
        let mut running = match idle {
            Some(running) => running,
            None => Running::start(&self.function, &self.host).await?,
        };
        let process = running.process.id();
        self.busy().push(process);
        let answer = running.run(&self.function, event).await;
        self.busy().retain(|busy| *busy != process);
        // As on Lambda, one that reported an error goes on; one that took too long, or ended, does not.
        let is_alive = match &answer {
            Ok(_) => true,
            Err(InvokeError::Failed { .. }) => {
                running.is_frozen_soon(&self.host).await && running.process.has_ended().is_none()
            }
            Err(InvokeError::Init { .. } | InvokeError::TimedOut { .. }) => false,
        };
        if is_alive && running.served < REQUESTS_PER_ENVIRONMENT {
            self.lock().push(running);
        } else {
            running.end().await;
        }
        answer
    }

    /// The process ids of the environments that wait for a request.
    pub fn idle_processes(&self) -> Vec<u32> {
        self.lock().iter().map(|running| running.process.id()).collect()
    }

    /// The process ids of the environments that answer a request.
    pub fn busy_processes(&self) -> Vec<u32> {
        self.busy().clone()
    }

    /// Ends every environment that waits as Lambda does: with SIGTERM and a moment to finish.
    pub async fn retire(&self) {
        self.tell_the_end().await;
        let idle = std::mem::take(&mut *self.lock());
        for mut running in idle {
            let begun = Instant::now();
            while running.process.has_ended().is_none() && begun.elapsed() < RETIRE_WITHIN {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            running.end().await;
        }
    }

    /// Sends SIGTERM to every environment that waits, so that several pools can end together.
    pub async fn tell_the_end(&self) {
        for signal in ["-CONT", "-TERM"] {
            let processes: Vec<String> = self.idle_processes().iter().map(u32::to_string).collect();
            if !processes.is_empty() {
                // One that ended by itself is no mistake of ours.
                let kill = tokio::process::Command::new("kill")
                    .arg(signal)
                    .args(processes)
                    .stderr(Stdio::null())
                    .status();
                let _ = kill.await;
            }
        }
    }

    fn busy(&self) -> std::sync::MutexGuard<'_, Vec<u32>> {
        self.busy.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends every environment that waits, at once.
    pub async fn end(&self) {
        let idle = std::mem::take(&mut *self.lock());
        for running in idle {
            running.end().await;
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Running>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One execution environment.
struct Running {
    simulator: Simulator,
    process: Process,
    served: u32,
}

/// A child that ends with this value, also when it is frozen.
pub(crate) struct Process(Child);

impl Process {
    fn id(&self) -> u32 {
        self.0.id()
    }

    fn has_ended(&mut self) -> Option<String> {
        self.0.try_wait().ok().flatten().map(|status| status.to_string())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Running {
    async fn start(function: &Function, host: &Host) -> Result<Self, InvokeError> {
        let failed = |why: String| InvokeError::Init { function: function.name.clone(), why };
        let freeze = if host.freeze { FreezeMode::Process } else { FreezeMode::None };
        let simulator = Simulator::builder()
            .function_name(&function.name)
            .memory_size_mb(function.memory_mb)
            .invocation_timeout(Duration::from_secs(function.timeout_secs))
            .freeze_mode(freeze)
            .build()
            .await
            .map_err(|error| failed(error.to_string()))?;
        let process = spawn(function, host, &simulator).map_err(|error| failed(error.to_string()))?;
        simulator.register_freeze_pid(process.id());
        let mut running = Self { simulator, process, served: 0 };
        let started = Instant::now();
        while !running.simulator.is_initialized().await {
            if let Some(status) = running.process.has_ended() {
                return Err(failed(format!(
                    "it ended with {status}; see {}",
                    log_file(host, function).display()
                )));
            }
            if started.elapsed() > INIT_WITHIN {
                return Err(failed(format!("not ready within {INIT_WITHIN:?}")));
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        Ok(running)
    }

    async fn run(&mut self, function: &Function, event: Value) -> Result<Value, InvokeError> {
        self.served += 1;
        let limit = Duration::from_secs(function.timeout_secs);
        let failed = |why: String| InvokeError::Failed { function: function.name.clone(), why };
        let invocation = InvocationBuilder::new()
            .payload(event)
            .timeout_ms(function.timeout_secs * 1000)
            .build()
            .map_err(|error| failed(error.to_string()))?;
        let id = self.simulator.enqueue(invocation).await;
        let started = Instant::now();
        while started.elapsed() < limit {
            // An error here is only the slice's end.
            if let Ok(state) = self.simulator.wait_for_invocation_complete(&id, LOOK_EVERY).await {
                return match (state.status, state.response, state.error) {
                    (InvocationStatus::Success, Some(response), _) => Ok(response.payload),
                    (_, _, Some(error)) => {
                        Err(failed(format!("{}: {}", error.error_type, error.error_message)))
                    }
                    _ => Err(failed("no answer".to_owned())),
                };
            }
            if let Some(status) = self.process.has_ended() {
                return Err(failed(format!("it ended with {status}")));
            }
        }
        Err(InvokeError::TimedOut { function: function.name.clone(), after: limit })
    }

    /// The simulator tells of an error before it freezes the environment: a request in between would be frozen, too.
    async fn is_frozen_soon(&self, host: &Host) -> bool {
        !host.freeze || self.simulator.wait_for_frozen(FREEZE_WITHIN).await.is_ok()
    }

    async fn end(self) {
        drop(self.process);
        self.simulator.shutdown().await;
    }
}

/// This machine's certificates, which do not lie where Amazon Linux has them.
pub(crate) fn certificates() -> Option<(&'static str, PathBuf)> {
    let places =
        ["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem"];
    Some(("SSL_CERT_FILE", places.into_iter().map(PathBuf::from).find(|place| place.exists())?))
}

fn log_file(host: &Host, function: &Function) -> PathBuf {
    host.logs.join(format!("{}.log", function.name))
}

fn spawn(function: &Function, host: &Host, simulator: &Simulator) -> std::io::Result<Process> {
    spawn_behind(function, host, simulator.lambda_env_vars())
}

/// Starts a function behind the Runtime API that `runtime` names.
pub(crate) fn spawn_behind(
    function: &Function,
    host: &Host,
    runtime: impl IntoIterator<Item = (String, String)>,
) -> std::io::Result<Process> {
    let log = std::fs::OpenOptions::new().create(true).append(true).open(log_file(host, function))?;
    let binary = host.binaries.join(&function.name);
    let process = Command::new(&binary)
        .env_clear()
        .envs(runtime)
        .envs(&host.variables)
        // The signature of every AWS call names the function, so that its policy can be enforced.
        .env("AWS_ACCESS_KEY_ID", &function.name)
        .env("AWS_SECRET_ACCESS_KEY", "local")
        .envs(&function.variables)
        .envs(certificates())
        .envs(host.added.lock().unwrap_or_else(PoisonError::into_inner).iter())
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .spawn();
    process.map(Process).map_err(|error| {
        let hint = "build it first: cargo build --workspace --bins";
        std::io::Error::new(error.kind(), format!("{}: {error}; {hint}", binary.display()))
    })
}

/// The folder of the binaries that were built with the running program.
pub fn binaries() -> PathBuf {
    let program = std::env::current_exe().unwrap_or_default();
    let folder = program.parent().unwrap_or(Path::new("."));
    // Tests lie in `deps`, beside which the binaries are.
    if folder.ends_with("deps") { folder.join("..") } else { folder.to_owned() }
}
