//! A server of its own for each test.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use footpath_proto::v1;
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Status};
use tonic_types::StatusExt as _;

/// Longer than anything here takes on a busy machine; a test that needs it has failed.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A running server; killed when dropped.
pub struct Server {
    child: Child,
    pub address: String,
    pub admin: String,
    pub key: String,
    code: String,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill(); // It may be gone already.
        let _ = self.child.wait();
    }
}

pub fn command(data: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_footpath"));
    command.env_clear().args(["serve", "--data"]).arg(data).stdout(Stdio::piped());
    command
}

/// Starts a server on free ports.
pub fn start(data: &Path, args: &[&str]) -> Server {
    let mut command = command(data);
    command.args(["--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"]).args(args);
    spawn(&mut command)
}

/// Starts a server and reads how to get in.
pub fn spawn(command: &mut Command) -> Server {
    let mut child = command.spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut server = Server {
        child,
        address: String::new(),
        admin: String::new(),
        key: String::new(),
        code: String::new(),
    };
    while server.code.is_empty() {
        let line = lines.next().expect("the server did not start").unwrap();
        if let Some(key) = line.strip_prefix("project key: ") {
            server.key = key.to_owned();
        }
        if let Some(admin) = line.strip_prefix("admin: http://") {
            server.admin = admin.to_owned();
        }
        if let Some((link, code)) = line.split_once("/?code=") {
            server.address = link.split_once("//").unwrap().1.to_owned();
            server.code = code.to_owned();
        }
    }
    server
}

impl Server {
    pub async fn channel(&self) -> Channel {
        Endpoint::new(format!("http://{}", self.address)).unwrap().connect().await.unwrap()
    }

    pub async fn admin_token(&self, channel: &Channel) -> String {
        let mut admin = v1::admin_service_client::AdminServiceClient::new(channel.clone());
        admin
            .exchange_code(v1::ExchangeCodeRequest { code: self.code.clone() })
            .await
            .unwrap()
            .into_inner()
            .token
    }

    /// GET on the admin port: status line and body.
    pub fn get(&self, path: &str) -> (String, String) {
        http(&self.admin, &format!("GET {path} HTTP/1.1\r\nHost: admin\r\nConnection: close\r\n\r\n"), &[])
    }

    /// The value of a metric, with its labels as they are printed.
    pub fn metric(&self, name: &str) -> Option<f64> {
        let (_, page) = self.get("/metrics");
        let line = page.lines().find(|line| line.split(' ').next() == Some(name))?;
        line.rsplit(' ').next()?.parse().ok()
    }

    pub async fn until_ready(&self) {
        until(|| self.get("/readyz").0.contains("200")).await;
    }

    /// SIGTERM; returns without waiting.
    pub fn terminate(&self) {
        let id = rustix::process::Pid::from_raw(self.child.id().cast_signed()).unwrap();
        rustix::process::kill_process(id, rustix::process::Signal::TERM).unwrap();
    }

    pub async fn ended(&mut self) -> ExitStatus {
        let mut status = None;
        until(|| {
            status = self.child.try_wait().unwrap();
            status.is_some()
        })
        .await;
        status.unwrap()
    }
}

/// One HTTP/1.1 exchange: status line and body.
pub fn http(address: &str, head: &str, body: &[u8]) -> (String, String) {
    let answer = exchange(address, head, body);
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    (head.lines().next().unwrap_or_default().to_owned(), body.to_owned())
}

/// One HTTP/1.1 exchange: all that came back.
pub fn exchange(address: &str, head: &str, body: &[u8]) -> String {
    let mut socket = TcpStream::connect(address).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket.write_all(head.as_bytes()).unwrap();
    let _ = socket.write_all(body); // The server may have answered before it was all sent.
    let mut answer = Vec::new();
    let _ = socket.read_to_end(&mut answer); // A reset behind the answer does not matter.
    String::from_utf8_lossy(&answer).into_owned()
}

/// Waits for a condition.
pub async fn until(mut done: impl FnMut() -> bool) {
    let waiting = async {
        while !done() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, waiting).await.expect("it never happened");
}

pub fn with<T>(token: &str, message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.metadata_mut().insert("authorization", format!("Bearer {token}").parse().unwrap());
    request
}

pub fn event(name: &str) -> v1::Event {
    v1::Event { name: name.into(), anonymous_id: "a".into(), ..v1::Event::default() }
}

pub fn batch(events: Vec<v1::Event>) -> v1::IngestRequest {
    v1::IngestRequest { events, ..v1::IngestRequest::default() }
}

/// The stable reason of a status.
pub fn reason(status: &Status) -> String {
    let info = status.get_error_details().error_info().cloned();
    let info = info.unwrap_or_else(|| panic!("no reason: {status:?}"));
    assert_eq!(info.domain, "footpath");
    info.reason
}
