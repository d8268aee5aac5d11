//! Lambda: execution environments that run the functions' own binaries behind the Runtime API.
//!
//! As on Lambda, one environment runs one request at a time and is frozen in between, requests that
//! overlap get environments of their own, and an environment whose request runs too long is ended.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use lambda_simulator::{FreezeMode, InvocationBuilder, InvocationStatus, Simulator};
use serde_json::Value;
use tokio::sync::Semaphore;

use crate::template::TemplateFunction;

/// The largest number of environments that one function has at a time. Further requests wait for one of them.
const ENVIRONMENTS_MAX: usize = 40;
/// How long an environment may take to ask for its first request; Lambda ends it after ten seconds, too.
const INIT_WITHIN: Duration = Duration::from_secs(10);
/// How long an environment may take to end after SIGTERM; Lambda gives one with an extension the same two seconds.
const RETIRE_WITHIN: Duration = Duration::from_secs(2);
/// How long the simulator has to freeze an environment that reported an error.
const FREEZE_WITHIN: Duration = Duration::from_secs(1);
/// An environment is replaced after this many requests, because its simulator keeps every one of them in memory.
const REQUESTS_PER_ENVIRONMENT: u32 = 500;
/// How long the simulator is waited for before it is asked again. Its wake-up is lost when an answer arrives between
/// its check and its wait, so no single wait may be long.
const POLL_EVERY: Duration = Duration::from_millis(10);

/// Why a function gave no answer.
#[derive(Debug, thiserror::Error)]
pub enum InvokeError {
    /// The function cannot be started, or its process ended before it asked for a request.
    #[error("{function} does not start: {why}")]
    Init {
        /// The name of the function.
        function: String,
        /// What the system, the simulator or the exit status says.
        why: String,
    },
    /// The process of the function ended, or the function answered with an error.
    #[error("{function} failed: {why}")]
    Failed {
        /// The name of the function.
        function: String,
        /// The error of the function, or the exit status of its process.
        why: String,
    },
    /// The function ran longer than its timeout in `template.yaml`.
    #[error("{function} took longer than {after:?}")]
    TimedOut {
        /// The name of the function.
        function: String,
        /// The timeout that passed.
        after: Duration,
    },
}

/// The machine as its functions see it: folders, variables, and whether they are frozen.
#[derive(Debug)]
pub struct Host {
    /// The folder of the functions' binaries.
    pub binaries: PathBuf,
    /// The folder of the logs, with one file for each function.
    pub logs: PathBuf,
    /// Variables that Lambda sets for every function: region, session token and endpoints.
    pub variables: BTreeMap<String, String>,
    /// Whether environments are frozen between requests.
    pub freeze: bool,
    /// Further variables of environments that start from now on; tests give them another clock with these.
    pub extra_variables: Mutex<BTreeMap<String, String>>,
}

/// The execution environments of one function.
pub struct Pool {
    function: TemplateFunction,
    host: Arc<Host>,
    /// The environments that wait for a request. The one used last is taken first.
    idle: Mutex<Vec<SimulatedEnvironment>>,
    /// The process ids of the environments that run a request.
    busy: Mutex<Vec<u32>>,
    /// One permit for each environment that may run at the same time.
    permits: Semaphore,
}

impl Pool {
    /// A pool without environments: each is started when a request finds none that is idle.
    pub fn new(function: TemplateFunction, host: Arc<Host>) -> Self {
        Self {
            function,
            host,
            idle: Mutex::default(),
            busy: Mutex::default(),
            permits: Semaphore::new(ENVIRONMENTS_MAX),
        }
    }

    /// The function as the template describes it.
    pub fn function(&self) -> &TemplateFunction {
        &self.function
    }

    /// Runs the function once, in an idle environment or in a new one, and returns what it answered.
    ///
    /// # Errors
    /// [`InvokeError`] says why there is no answer. The environment is ended then.
    pub async fn invoke(&self, event: Value) -> Result<Value, InvokeError> {
        let _permit = self.permits.acquire().await;
        let idle = self.idle().pop();
        let mut environment = match idle {
            Some(environment) => environment,
            None => SimulatedEnvironment::start(&self.function, &self.host).await?,
        };
        let process = environment.process.id();
        self.busy().push(process);
        let answer = environment.run(&self.function, event).await;
        self.busy().retain(|busy| *busy != process);
        // As on Lambda, one that reported an error goes on; one that took too long, or ended, does not.
        let is_alive = match &answer {
            Ok(_) => true,
            Err(InvokeError::Failed { .. }) => {
                environment.is_frozen_soon(&self.host).await && environment.process.exit_status().is_none()
            }
            Err(InvokeError::Init { .. } | InvokeError::TimedOut { .. }) => false,
        };
        if is_alive && environment.requests < REQUESTS_PER_ENVIRONMENT {
            self.idle().push(environment);
        } else {
            environment.end().await;
        }
        answer
    }

    /// The process ids of the environments that wait for a request.
    pub fn idle_processes(&self) -> Vec<u32> {
        self.idle().iter().map(|environment| environment.process.id()).collect()
    }

    /// The process ids of the environments that answer a request.
    pub fn busy_processes(&self) -> Vec<u32> {
        self.busy().clone()
    }

    /// Ends every idle environment as Lambda does: with SIGTERM, and two seconds to finish.
    pub async fn retire(&self) {
        self.terminate_idle().await;
        let idle = std::mem::take(&mut *self.idle());
        for mut environment in idle {
            let begun = Instant::now();
            while environment.process.exit_status().is_none() && begun.elapsed() < RETIRE_WITHIN {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            environment.end().await;
        }
    }

    /// Sends SIGTERM to every idle environment and does not wait, so that several pools can end at the same time.
    pub async fn terminate_idle(&self) {
        // A process that is frozen would not act on SIGTERM before it runs again.
        for signal in ["-CONT", "-TERM"] {
            let processes: Vec<String> = self.idle_processes().iter().map(u32::to_string).collect();
            if !processes.is_empty() {
                // `kill` also fails when a process has already ended by itself, which is what is wanted.
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

    /// Ends every idle environment at once, without a warning to its process.
    pub async fn end(&self) {
        let idle = std::mem::take(&mut *self.idle());
        for environment in idle {
            environment.end().await;
        }
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<SimulatedEnvironment>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One execution environment: the function's process and the simulator of the Runtime API in front of it.
struct SimulatedEnvironment {
    simulator: Simulator,
    process: Process,
    /// How many requests the environment has been given.
    requests: u32,
}

/// A child process that is killed when this value is dropped, even while it is frozen.
pub(crate) struct Process(Child);

impl Process {
    fn id(&self) -> u32 {
        self.0.id()
    }

    /// How the process ended, or `None` while it runs.
    fn exit_status(&mut self) -> Option<String> {
        self.0.try_wait().ok().flatten().map(|status| status.to_string())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl SimulatedEnvironment {
    /// Starts the process, and returns when it asks for its first request.
    async fn start(function: &TemplateFunction, host: &Host) -> Result<Self, InvokeError> {
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
        let mut environment = Self { simulator, process, requests: 0 };
        let started = Instant::now();
        while !environment.simulator.is_initialized().await {
            if let Some(status) = environment.process.exit_status() {
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
        Ok(environment)
    }

    /// Gives the function one event and waits for its answer, at most as long as its timeout.
    async fn run(&mut self, function: &TemplateFunction, event: Value) -> Result<Value, InvokeError> {
        self.requests += 1;
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
            // An error only says that there was no answer within this short wait.
            if let Ok(state) = self.simulator.wait_for_invocation_complete(&id, POLL_EVERY).await {
                return match (state.status, state.response, state.error) {
                    (InvocationStatus::Success, Some(response), _) => Ok(response.payload),
                    (_, _, Some(error)) => {
                        Err(failed(format!("{}: {}", error.error_type, error.error_message)))
                    }
                    _ => Err(failed("no answer".to_owned())),
                };
            }
            if let Some(status) = self.process.exit_status() {
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

/// The variable that names this machine's root certificates, which may lie elsewhere than on Amazon Linux.
pub fn certificates() -> Option<(&'static str, PathBuf)> {
    let places =
        ["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem"];
    Some(("SSL_CERT_FILE", places.into_iter().map(PathBuf::from).find(|place| place.exists())?))
}

fn log_file(host: &Host, function: &TemplateFunction) -> PathBuf {
    host.logs.join(format!("{}.log", function.name))
}

/// Starts a function behind the Runtime API of `simulator`.
fn spawn(function: &TemplateFunction, host: &Host, simulator: &Simulator) -> std::io::Result<Process> {
    spawn_behind(function, host, simulator.lambda_env_vars())
}

/// Starts a function behind the Runtime API that the variables in `runtime` name.
pub(crate) fn spawn_behind(
    function: &TemplateFunction,
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
        .envs(host.extra_variables.lock().unwrap_or_else(PoisonError::into_inner).iter())
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
    // A test program lies in `deps`, one folder below the binaries.
    if folder.ends_with("deps") { folder.join("..") } else { folder.to_owned() }
}
