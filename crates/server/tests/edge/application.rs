//! An application that the server asks: for keys, or who somebody is.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// What it answers, and how late.
#[derive(Clone, Debug)]
pub(crate) struct Says {
    pub(crate) status: u16,
    pub(crate) body: String,
    pub(crate) after: Duration,
}

/// An application that answers everything alike.
#[derive(Debug)]
pub(crate) struct Application {
    pub(crate) address: SocketAddr,
    says: Arc<Mutex<Says>>,
    asked: Arc<Mutex<Vec<String>>>,
    serving: JoinHandle<()>,
}

impl Application {
    pub(crate) async fn new(status: u16, body: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let says = Says { status, body: body.to_owned(), after: Duration::ZERO };
        let says = Arc::new(Mutex::new(says));
        let asked = Arc::<Mutex<Vec<String>>>::default();
        let (of_says, of_asked) = (Arc::clone(&says), Arc::clone(&asked));
        let serving = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (says, asked) = (Arc::clone(&of_says), Arc::clone(&of_asked));
                tokio::spawn(async move { answer(stream, &says, &asked).await });
            }
        });
        Self { address, says, asked, serving }
    }

    /// From now on it answers so.
    pub(crate) fn say(&self, status: u16, body: &str, after: Duration) {
        *self.says.lock().unwrap() = Says { status, body: body.to_owned(), after };
    }

    /// The bodies of all requests so far.
    pub(crate) fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

impl Drop for Application {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

/// Answers one request and closes.
async fn answer(mut stream: TcpStream, says: &Mutex<Says>, asked: &Mutex<Vec<String>>) -> Option<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    let head = String::from_utf8(head).ok()?.to_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse().ok());
    let mut body = vec![0; length.unwrap_or(0)];
    stream.read_exact(&mut body).await.ok()?;
    asked.lock().unwrap().push(String::from_utf8(body).ok()?);
    let Says { status, body, after } = says.lock().unwrap().clone();
    tokio::time::sleep(after).await;
    let length = body.len();
    let answer =
        format!("HTTP/1.1 {status} X\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}");
    stream.write_all(answer.as_bytes()).await.ok()
}
