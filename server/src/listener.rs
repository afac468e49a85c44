//! The main port's connections: a bounded number of them, in TLS where a certificate is configured.

use std::io;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use anyhow::Context as _;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::Sleep;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::server::TlsStream;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::server::Connected;

/// Whoever has not shaken hands by then is not a client.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// How long to wait when the system has no more file descriptors.
const BREATH: Duration = Duration::from_millis(100);

/// The beginning of HTTP/2; no request of HTTP/1 that says where it goes is much shorter.
const FIRST_BYTES: usize = 24;

/// A connection; closing it makes room for the next.
pub struct Connection {
    stream: Stream,
    silence: Option<Silence>,
    _room: OwnedSemaphorePermit,
}

/// Until a connection has said enough to be a client's: it may not hold its room for ever.
struct Silence {
    heard: usize,
    ends: Pin<Box<Sleep>>,
}

impl Connection {
    fn new(stream: Stream, room: OwnedSemaphorePermit) -> Self {
        let silence = Silence { heard: 0, ends: Box::pin(tokio::time::sleep(HANDSHAKE)) };
        Self { stream, silence: Some(silence), _room: room }
    }
}

enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

/// Reads a certificate chain and its key, both PEM.
///
/// # Errors
/// If a file cannot be read or they do not belong together; the message names the file.
pub fn tls(cert: &Path, key: &Path) -> anyhow::Result<TlsAcceptor> {
    let chain = CertificateDer::pem_file_iter(cert).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let chain = chain.with_context(|| format!("cannot read the certificate {}", cert.display()))?;
    let secret = PrivateKeyDer::from_pem_file(key);
    let secret = secret.with_context(|| format!("cannot read the private key {}", key.display()))?;
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, secret)
        .with_context(|| format!("{} does not fit {}", key.display(), cert.display()))?;
    // HTTP/1.1 as well: phones' own stacks post over it, and gRPC-Web may.
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}

/// Accepts until the stream is dropped, which also closes the port. Where `room` has none left, connections wait in
/// the system's queue.
pub fn connections(
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    room: Arc<Semaphore>,
) -> ReceiverStream<io::Result<Connection>> {
    let (sender, receiver) = mpsc::channel(1);
    tokio::spawn(async move {
        tokio::select! {
            () = sender.closed() => {}
            () = accept(&listener, tls, room, &sender) => {}
        }
    });
    ReceiverStream::new(receiver)
}

type Sender = mpsc::Sender<io::Result<Connection>>;

async fn accept(listener: &TcpListener, tls: Option<TlsAcceptor>, room: Arc<Semaphore>, sender: &Sender) {
    while let Ok(room) = Arc::clone(&room).acquire_owned().await {
        let tcp = loop {
            match listener.accept().await {
                Ok((tcp, _)) => break tcp, // The peer's address goes no further than this.
                Err(error) => tracing::warn!(%error, "a connection cannot be accepted"),
            }
            tokio::time::sleep(BREATH).await;
        };
        if let Err(error) = tcp.set_nodelay(true) {
            tracing::debug!(%error, "a connection was gone at once");
            continue;
        }
        let sender = sender.clone();
        match tls.clone() {
            None => {
                let connection = Connection::new(Stream::Plain(tcp), room);
                let _ = sender.send(Ok(connection)).await; // Fails only when the server stops.
            }
            Some(tls) => {
                tokio::spawn(async move {
                    // Most failed handshakes are port scans; they are no news.
                    if let Ok(Ok(stream)) = tokio::time::timeout(HANDSHAKE, tls.accept(tcp)).await {
                        let connection = Connection::new(Stream::Tls(Box::new(stream)), room);
                        let _ = sender.send(Ok(connection)).await;
                    }
                });
            }
        }
    }
}

impl Connected for Connection {
    /// Nothing: the peer's address is not kept.
    type ConnectInfo = ();

    fn connect_info(&self) {}
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let read = match &mut self.stream {
            Stream::Plain(stream) => Pin::new(stream).poll_read(cx, buf),
            Stream::Tls(stream) => Pin::new(stream).poll_read(cx, buf),
        };
        let Some(silence) = &mut self.silence else { return read };
        silence.heard += buf.filled().len() - before;
        if silence.heard >= FIRST_BYTES {
            self.silence = None;
        } else if read.is_pending() && silence.ends.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        read
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match &mut self.stream {
            Stream::Plain(stream) => Pin::new(stream).poll_write(cx, buf),
            Stream::Tls(stream) => Pin::new(stream).poll_write(cx, buf),
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match &mut self.stream {
            Stream::Plain(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
            Stream::Tls(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match &self.stream {
            Stream::Plain(stream) => stream.is_write_vectored(),
            Stream::Tls(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.stream {
            Stream::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Stream::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.stream {
            Stream::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Stream::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}
