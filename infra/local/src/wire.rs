//! A TCP proxy that tests can break: it can cut, hold back, delay and corrupt what passes between two parts.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::LocalError;

/// What a wire does with the bytes that pass through it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WireMode {
    /// Carries everything at once.
    Open,
    /// Closes every connection that is open, and each new one as soon as it is accepted.
    Cut,
    /// Reads everything from both sides and passes nothing on.
    Silent,
    /// Passes every piece on after this delay.
    Slow(Duration),
    /// Answers every request with bytes that are no HTTP, and closes the connection.
    Garbage,
    /// Answers every request with this HTTP status and a page of HTML, and closes the connection.
    Html(u16),
    /// Loses the answer to the next request that contains this text, closes its connection, and carries everything
    /// from then on.
    LoseAnswer(&'static str),
}

/// A TCP proxy in front of one server, whose behaviour can change at any time.
pub struct Wire {
    address: SocketAddr,
    mode: watch::Sender<WireMode>,
    accepting: JoinHandle<()>,
}

impl Wire {
    /// Opens a wire to `target` on any free port of loopback.
    ///
    /// # Errors
    /// When no port can be had.
    pub async fn to(target: SocketAddr) -> Result<Self, LocalError> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.map_err(LocalError::io("opening a wire"))?;
        let address = listener.local_addr().map_err(LocalError::io("opening a wire"))?;
        let (mode, current) = watch::channel(WireMode::Open);
        let sender = mode.clone();
        let accepting = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(carry(client, target, current.clone(), sender.clone()));
            }
        });
        Ok(Self { address, mode, accepting })
    }

    /// The address that clients connect to instead of the server's own.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// How many connections the wire carries.
    pub fn connections(&self) -> usize {
        // Each watches the mode, and so does the loop that accepts them.
        self.mode.receiver_count().saturating_sub(1)
    }

    /// Changes what the wire does, for open connections as well as for new ones.
    pub fn set(&self, mode: WireMode) {
        self.mode.send_replace(mode);
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.accepting.abort();
        self.mode.send_replace(WireMode::Cut);
    }
}

/// Carries one connection until either side closes it or the wire cuts it.
async fn carry(
    mut client: TcpStream,
    target: SocketAddr,
    mut mode: watch::Receiver<WireMode>,
    sender: watch::Sender<WireMode>,
) {
    // Otherwise Nagle's algorithm would add delays that no test asked for.
    let _ = client.set_nodelay(true);
    let Ok(mut server) = TcpStream::connect(target).await else { return };
    let _ = server.set_nodelay(true);
    let mut up = vec![0; 64 * 1024];
    let mut down = vec![0; 64 * 1024];
    let mut loses_answer = false;
    loop {
        let now = *mode.borrow_and_update();
        if now == WireMode::Cut {
            return;
        }
        tokio::select! {
            changed = mode.changed() => if changed.is_err() { return },
            read = client.read(&mut up) => {
                let Ok(bytes @ 1..) = read else { return };
                let answer = match now {
                    WireMode::Garbage => b"\x00\xff\x13garbage\r\n\r\n".to_vec(),
                    WireMode::Html(status) => html(status),
                    WireMode::Silent => continue,
                    WireMode::Slow(delay) => { tokio::time::sleep(delay).await; Vec::new() }
                    WireMode::LoseAnswer(text) if contains(&up[..bytes], text) => {
                        loses_answer = true;
                        sender.send_replace(WireMode::Open);
                        Vec::new()
                    }
                    WireMode::Open | WireMode::Cut | WireMode::LoseAnswer(_) => Vec::new(),
                };
                if answer.is_empty() {
                    if server.write_all(&up[..bytes]).await.is_err() { return }
                } else {
                    let _ = client.write_all(&answer).await;
                    return;
                }
            }
            read = server.read(&mut down) => {
                let Ok(bytes @ 1..) = read else { return };
                match now {
                    _ if loses_answer => return,
                    WireMode::Silent => continue,
                    WireMode::Slow(delay) => tokio::time::sleep(delay).await,
                    _ => {}
                }
                if client.write_all(&down[..bytes]).await.is_err() { return }
            }
        }
    }
}

fn contains(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|window| window == text.as_bytes())
}

/// A whole HTTP response with a page that is not the API's.
fn html(status: u16) -> Vec<u8> {
    let page = "<html><body>Not what you asked for</body></html>";
    format!(
        "HTTP/1.1 {status} Broken\r\ncontent-type: text/html\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{page}",
        page.len()
    )
    .into_bytes()
}
