//! A `redis-server` as a child process, on a Unix socket in a folder of its own.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use redis::aio::MultiplexedConnection;
use tempfile::TempDir;
use tokio::process::{Child, Command};

use crate::LocalError;

/// How long the server may take to answer its first `PING`.
const START_WITHIN: Duration = Duration::from_secs(10);

/// A `redis-server` that runs until this is dropped.
pub struct RedisServer {
    process: Child,
    /// The folder of the socket.
    temporary: TempDir,
    /// The folder that keeps the data, or `None` for a server that keeps nothing.
    data: Option<PathBuf>,
}

fn failed(why: impl Into<String>) -> LocalError {
    LocalError::Part { part: "redis-server", why: why.into() }
}

/// Starts the process, which saves a snapshot a minute after a change if it has a folder for data.
fn spawn(temporary: &TempDir, data: Option<&Path>) -> Result<Child, LocalError> {
    let folder = data.unwrap_or(temporary.path());
    std::fs::create_dir_all(folder).map_err(LocalError::io(format!("making {}", folder.display())))?;
    let persistence = if data.is_none() { "" } else { "60 1" };
    Command::new("redis-server")
        .args(["--port", "0", "--appendonly", "no", "--databases", "1", "--save", persistence])
        .arg("--unixsocket")
        .arg(temporary.path().join("s"))
        .arg("--dir")
        .arg(folder)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| {
            failed(format!("{error}; install it: apt-get install redis-server, or brew install redis"))
        })
}

impl RedisServer {
    /// Starts a server that keeps its data in `folder`, or nowhere without one, and returns when it answers.
    ///
    /// # Errors
    /// [`LocalError`] when there is no `redis-server` program or it does not answer.
    pub async fn start(folder: Option<&Path>) -> Result<Self, LocalError> {
        // The path of a Unix socket may have about a hundred bytes, so the socket does not lie in `folder`.
        let temporary = TempDir::with_prefix("hz").map_err(LocalError::io("making a folder for redis"))?;
        let process = spawn(&temporary, folder)?;
        let mut server = Self { process, temporary, data: folder.map(Path::to_owned) };
        server.wait_until_up().await?;
        Ok(server)
    }

    /// Starts the server again after it ended, on the same socket and with the data that it had saved.
    ///
    /// # Errors
    /// [`LocalError`] when it does not answer.
    pub async fn restart(&mut self) -> Result<(), LocalError> {
        self.process = spawn(&self.temporary, self.data.as_deref())?;
        self.wait_until_up().await
    }

    async fn wait_until_up(&mut self) -> Result<(), LocalError> {
        let started = Instant::now();
        loop {
            if let Ok(Some(status)) = self.process.try_wait() {
                return Err(failed(format!("it ended with {status}")));
            }
            if let Ok(mut connection) = self.connect().await
                // No function asks this, so that `Upstash::billed` can leave it out.
                && redis::cmd("DBSIZE").query_async::<u64>(&mut connection).await.is_ok()
            {
                return Ok(());
            }
            if started.elapsed() > START_WITHIN {
                return Err(failed(format!("no answer within {START_WITHIN:?}")));
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Opens a connection to the server.
    ///
    /// # Errors
    /// When the server does not answer.
    pub async fn connect(&self) -> redis::RedisResult<MultiplexedConnection> {
        connect(&self.socket()).await
    }

    /// The path of the server's Unix socket.
    pub fn socket(&self) -> PathBuf {
        self.temporary.path().join("s")
    }

    /// The process, for callers that end it or wait for its end.
    pub fn process(&mut self) -> &mut Child {
        &mut self.process
    }
}

/// Opens a connection to the server behind a Unix socket.
///
/// # Errors
/// When the server does not answer.
pub async fn connect(socket: &Path) -> redis::RedisResult<MultiplexedConnection> {
    let client = redis::Client::open(format!("redis+unix://{}", socket.display()))?;
    client.get_multiplexed_async_connection().await
}
