//! A TCP wire that can be broken: cut, silent, slow, or full of garbage.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::LocalError;

/// What the wire does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Carries everything.
    Open,
    /// Refuses new connections after accepting them, and closes those there are.
    Cut,
    /// Takes everything and carries nothing.
    Silent,
    /// Carries every piece after this time.
    Slow(Duration),
    /// Answers with bytes that mean nothing.
    Garbage,
    /// Answers every HTTP request with this status and a page of HTML.
    Html(u16),
}

/// A wire to a server.
pub struct Wire {
    address: SocketAddr,
    mode: watch::Sender<Mode>,
    accepting: JoinHandle<()>,
}

impl Wire {
    /// A wire to `target`.
    ///
    /// # Errors
    /// When no port can be had.
    pub async fn to(target: SocketAddr) -> Result<Self, LocalError> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.map_err(LocalError::io("opening a wire"))?;
        let address = listener.local_addr().map_err(LocalError::io("opening a wire"))?;
        let (mode, current) = watch::channel(Mode::Open);
        let accepting = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(carry(client, target, current.clone()));
            }
        });
        Ok(Self { address, mode, accepting })
    }

    /// Where to connect.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// How many connections it carries.
    pub fn connections(&self) -> usize {
        // Each watches the mode, and so does the loop that accepts them.
        self.mode.receiver_count().saturating_sub(1)
    }

    /// Changes what the wire does, for the connections there are, too.
    pub fn set(&self, mode: Mode) {
        self.mode.send_replace(mode);
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.accepting.abort();
        self.mode.send_replace(Mode::Cut);
    }
}

async fn carry(mut client: TcpStream, target: SocketAddr, mut mode: watch::Receiver<Mode>) {
    // Nagle's delays are no fault that anyone asked for.
    let _ = client.set_nodelay(true);
    let Ok(mut server) = TcpStream::connect(target).await else { return };
    let _ = server.set_nodelay(true);
    let (mut up, mut down) = (vec![0; 64 * 1024], vec![0; 64 * 1024]);
    loop {
        let now = *mode.borrow_and_update();
        if now == Mode::Cut {
            return;
        }
        tokio::select! {
            changed = mode.changed() => if changed.is_err() { return },
            read = client.read(&mut up) => {
                let Ok(bytes @ 1..) = read else { return };
                let answer = match now {
                    Mode::Garbage => b"\x00\xff\x13garbage\r\n\r\n".to_vec(),
                    Mode::Html(status) => html(status),
                    Mode::Silent => continue,
                    Mode::Slow(delay) => { tokio::time::sleep(delay).await; Vec::new() }
                    Mode::Open | Mode::Cut => Vec::new(),
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
                    Mode::Silent => continue,
                    Mode::Slow(delay) => tokio::time::sleep(delay).await,
                    _ => {}
                }
                if client.write_all(&down[..bytes]).await.is_err() { return }
            }
        }
    }
}

fn html(status: u16) -> Vec<u8> {
    let page = "<html><body>Not what you asked for</body></html>";
    format!(
        "HTTP/1.1 {status} Broken\r\ncontent-type: text/html\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{page}",
        page.len()
    )
    .into_bytes()
}
