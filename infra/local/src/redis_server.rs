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
    folder: PathBuf,
    _temporary: Option<TempDir>,
}

fn failed(why: impl Into<String>) -> LocalError {
    LocalError::Part { part: "redis-server", why: why.into() }
}

impl RedisServer {
    /// Starts a server whose data lies in `folder`; without one, in memory alone.
    ///
    /// # Errors
    /// [`LocalError`] when there is no `redis-server` or it does not come up.
    pub async fn start(folder: Option<&Path>) -> Result<Self, LocalError> {
        // The socket's path must be short, so it lies in a temporary folder in any case.
        let temporary = TempDir::with_prefix("hz").map_err(LocalError::io("making a folder for redis"))?;
        let folder = folder.unwrap_or(temporary.path());
        std::fs::create_dir_all(folder).map_err(LocalError::io(format!("making {}", folder.display())))?;
        let socket = temporary.path().join("s");
        let persistence = if folder == temporary.path() { "" } else { "60 1" };
        let process = Command::new("redis-server")
            .args(["--port", "0", "--appendonly", "no", "--databases", "1", "--save", persistence])
            .arg("--unixsocket")
            .arg(&socket)
            .arg("--dir")
            .arg(folder)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| {
                failed(format!("{error}; install it: apt-get install redis-server, or brew install redis"))
            })?;
        let mut server = Self { process, folder: temporary.path().to_owned(), _temporary: Some(temporary) };
        let started = Instant::now();
        loop {
            if let Ok(Some(status)) = server.process.try_wait() {
                return Err(failed(format!("it ended with {status}")));
            }
            if let Ok(mut connection) = server.connect().await
                && redis::cmd("PING").query_async::<String>(&mut connection).await.is_ok()
            {
                return Ok(server);
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
        self.folder.join("s")
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
