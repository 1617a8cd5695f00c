//! One Redis server.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use super::{PATIENCE, free_port, wait_for};

/// A Redis server on the loopback interface. It ends when this is dropped.
#[derive(Debug)]
pub struct RedisServer {
    port: u16,
    settings: Vec<String>,
    folder: PathBuf,
    process: Option<Child>,
}

impl RedisServer {
    /// Starts one, and waits until it answers.
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    /// Starts one with more settings, as on its command line (`["--requirepass", "secret"]`), and waits until it answers.
    pub fn start_with(settings: &[&str]) -> Self {
        let mut server = Self::absent_with(settings);
        server.resume();
        server
    }

    /// Starts one that speaks TLS only, with this certificate and its key, in PEM.
    pub fn start_tls(certificate: &str, key: &str) -> Self {
        let mut server = Self::absent();
        let file = |name: &str, text: &str| {
            let path = server.folder.join(name);
            std::fs::write(&path, text).unwrap();
            path.to_str().unwrap().to_owned()
        };
        let (certificate, key) = (file("certificate.pem", certificate), file("key.pem", key));
        let port = server.port.to_string();
        let settings = [
            ["--port", "0"],
            ["--tls-port", &port],
            ["--tls-cert-file", &certificate],
            ["--tls-key-file", &key],
            ["--tls-ca-cert-file", &certificate],
            ["--tls-auth-clients", "no"],
        ];
        server.settings = settings.concat().into_iter().map(str::to_owned).collect();
        server.resume();
        server
    }

    /// One that is not running yet, at a port where nobody listens.
    pub fn absent() -> Self {
        Self::absent_with(&[])
    }

    fn absent_with(settings: &[&str]) -> Self {
        let port = free_port();
        let folder = std::env::temp_dir().join(format!("quire-redis-{}-{port}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let settings = settings.iter().map(|setting| (*setting).to_owned()).collect();
        Self { port, settings, folder, process: None }
    }

    /// Where it listens.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.process.as_ref().expect("it runs").id()
    }

    /// Its URL, without a password.
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Where it runs: files of tests that go with it.
    pub fn folder(&self) -> &std::path::Path {
        &self.folder
    }

    /// Kills it, as a crash would.
    pub fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill().unwrap();
            process.wait().unwrap();
        }
    }

    /// Starts it at the port that it has always had, and waits until it answers.
    pub fn resume(&mut self) {
        assert!(self.process.is_none(), "it runs");
        let log = std::fs::File::create(self.folder.join("log")).unwrap();
        let process = Command::new("redis-server")
            .args([
                "--port",
                &self.port.to_string(),
                "--bind",
                "127.0.0.1",
                "--save",
                "",
                "--appendonly",
                "no",
            ])
            .arg("--dir")
            .arg(&self.folder)
            .args(&self.settings)
            .stdin(Stdio::null())
            .stdout(log)
            .stderr(Stdio::null())
            .spawn();
        match process {
            Ok(process) => self.process = Some(process),
            Err(error) if error.kind() == ErrorKind::NotFound => {
                panic!("redis-server is not installed (on Debian: apt-get install redis-server)")
            }
            Err(error) => panic!("redis-server does not start: {error}"),
        }
        wait_for("a Redis server", || {
            if let Some(status) = self.process.as_mut().unwrap().try_wait().unwrap() {
                let log = std::fs::read_to_string(self.folder.join("log")).unwrap_or_default();
                panic!("redis-server has ended ({status}):\n{log}");
            }
            let mut stream = TcpStream::connect(("127.0.0.1", self.port)).ok()?;
            if self.settings.iter().any(|setting| setting == "--tls-port") {
                // It takes connections only when it can speak on them.
                return Some(());
            }
            // It answers, be it that a password is needed.
            stream.set_read_timeout(Some(PATIENCE)).ok()?;
            stream.write_all(b"PING\r\n").ok()?;
            stream.read(&mut [0]).ok().map(drop)
        });
    }

    /// Sends one command on a connection of its own, and gives the answer as it came, by RESP2.
    pub fn command(&self, words: &[&str]) -> String {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let head = format!("*{}\r\n", words.len());
        let words = words.iter().map(|word| format!("${}\r\n{word}\r\n", word.len()));
        let request: String = std::iter::once(head).chain(words).collect();
        stream.write_all(request.as_bytes()).unwrap();
        // All that this is used for is answered in one piece; more of it may take a moment.
        let (mut answer, mut piece) = (Vec::new(), [0; 4096]);
        loop {
            match stream.read(&mut piece) {
                Ok(0) => break,
                Ok(count) => answer.extend_from_slice(&piece[..count]),
                Err(_) => break,
            }
            stream.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
        }
        String::from_utf8_lossy(&answer).into_owned()
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        self.kill();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}
