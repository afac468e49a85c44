//! The way between clients and server: a TCP proxy that a round controls.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Context as _;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use super::answer::Answer;
use super::liar;
use super::weather::Weather;

/// What a server that expects TLS says to somebody who does not speak it, and some more.
const GARBAGE: &[u8] = b"\x15\x03\x01\x00\x02\x02\x46\x16\x03\x03\xff\xff\x00\xde\xad\xbe\xef";
/// Read at a time.
const CHUNK: usize = 4 << 10;

/// See the module.
#[derive(Debug, Clone)]
pub struct Proxy {
    /// Where it listens, as a URL.
    pub url: String,
    weather: watch::Sender<Weather>,
    server: watch::Sender<Option<SocketAddr>>,
}

impl Proxy {
    /// Starts it, with clear weather.
    ///
    /// # Errors
    /// If there is no port.
    pub async fn start() -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await.context("no port")?;
        let url = format!("http://{}", listener.local_addr()?);
        let (weather, server) = (watch::Sender::new(Weather::Clear), watch::Sender::new(None));
        let liar = liar::start(weather.subscribe()).await?;
        let proxy = Self { url, weather, server };
        let accepting = proxy.clone();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(accepting.clone().carry(client, liar));
            }
        });
        Ok(proxy)
    }

    /// Where the server is now, if anywhere.
    pub fn server(&self, address: Option<SocketAddr>) {
        self.server.send_replace(address);
    }

    /// Changes the weather. Connections end with it, but for stalled ones: whoever holds one has to notice.
    pub fn set(&self, weather: Weather) {
        self.weather.send_replace(weather);
    }

    async fn carry(self, mut client: TcpStream, liar: SocketAddr) {
        let mut changes = self.weather.subscribe();
        let weather = changes.borrow_and_update().clone();
        let to = match &weather {
            Weather::Down => return,
            Weather::Garbage => return drop(client.write_all(GARBAGE).await),
            Weather::Lie(_) => Some(liar),
            _ => *self.server.borrow(),
        };
        let Some(to) = to else { return };
        let Ok(server) = TcpStream::connect(to).await else { return };
        let (_, _) = (client.set_nodelay(true), server.set_nodelay(true));
        let stalls = matches!(weather, Weather::Stall { .. });
        let change = async {
            match stalls {
                true => std::future::pending().await,
                false => drop(changes.changed().await),
            }
        };
        tokio::select! {
            () = pass(client, server, &weather) => {}
            () = change => {}
        }
    }
}

/// Carries both directions until one ends.
async fn pass(client: TcpStream, server: TcpStream, weather: &Weather) {
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let both = async {
        tokio::select! {
            () = pump(&mut from_client, &mut to_server, weather, true) => {}
            () = pump(&mut from_server, &mut to_client, weather, false) => {}
        }
    };
    match weather {
        Weather::Flap(every) => drop(timeout(*every, both).await),
        _ => both.await,
    }
}

/// Carries one direction.
async fn pump(
    from: &mut (impl AsyncRead + Unpin),
    to: &mut (impl AsyncWrite + Unpin),
    weather: &Weather,
    is_up: bool,
) {
    let (mut chunk, mut passed, mut answer) = ([0; CHUNK], 0, Answer::default());
    loop {
        let bytes = match from.read(&mut chunk).await {
            Ok(0) | Err(_) => return,
            Ok(count) => &chunk[..count],
        };
        let allowed = match weather {
            Weather::Stall { up, down, after } if (is_up && *up) || (!is_up && *down) => {
                after.saturating_sub(passed).min(bytes.len()) // The rest is swallowed.
            }
            Weather::Cut(after) if !is_up => answer.passes(bytes, *after),
            _ => bytes.len(),
        };
        if let Weather::Slow(rate) = weather {
            sleep(Duration::from_micros(bytes.len() as u64 * 1_000_000 / rate)).await;
        }
        if to.write_all(&bytes[..allowed]).await.is_err() {
            return;
        }
        passed += bytes.len();
        if answer.is_cut() {
            return;
        }
    }
}
