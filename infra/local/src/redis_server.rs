//! A `redis-server` child on a socket in a folder of its own.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use redis::aio::MultiplexedConnection;
use tempfile::TempDir;
use tokio::process::{Child, Command};

use crate::LocalError;

const START_WITHIN: Duration = Duration::from_secs(10);

/// A server that ends with this value.
pub struct RedisServer {
    process: Child,
    temporary: TempDir,
    /// Where its data is kept; in memory alone without.
    data: Option<PathBuf>,
}

fn failed(why: impl Into<String>) -> LocalError {
    LocalError::Part { part: "redis-server", why: why.into() }
}

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
    /// Starts a server whose data lies in `folder`; without one, in memory alone.
    ///
    /// # Errors
    /// [`LocalError`] when there is no `redis-server` or it does not come up.
    pub async fn start(folder: Option<&Path>) -> Result<Self, LocalError> {
        // The socket's path must be short, so it lies in a temporary folder in any case.
        let temporary = TempDir::with_prefix("hz").map_err(LocalError::io("making a folder for redis"))?;
        let process = spawn(&temporary, folder)?;
        let mut server = Self { process, temporary, data: folder.map(Path::to_owned) };
        server.is_up().await?;
        Ok(server)
    }

    /// Starts it again after it ended, on the same socket and with what it had kept.
    ///
    /// # Errors
    /// As for the first start.
    pub async fn restart(&mut self) -> Result<(), LocalError> {
        self.process = spawn(&self.temporary, self.data.as_deref())?;
        self.is_up().await
    }

    async fn is_up(&mut self) -> Result<(), LocalError> {
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

    /// A connection to it.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn connect(&self) -> redis::RedisResult<MultiplexedConnection> {
        connect(&self.socket()).await
    }

    /// The path of its socket.
    pub fn socket(&self) -> PathBuf {
        self.temporary.path().join("s")
    }

    /// The process, for tests that end it.
    pub fn process(&mut self) -> &mut Child {
        &mut self.process
    }
}

/// A connection to a server's socket.
///
/// # Errors
/// When it does not answer.
pub async fn connect(socket: &Path) -> redis::RedisResult<MultiplexedConnection> {
    let client = redis::Client::open(format!("redis+unix://{}", socket.display()))?;
    client.get_multiplexed_async_connection().await
}
