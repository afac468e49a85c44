//! TLS with a certificate made here.

use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;

use footpath_proto::v1::ingest_service_client::IngestServiceClient;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};
use tonic::transport::{Certificate, ClientTlsConfig, Endpoint};

use crate::support::{batch, command, event, spawn, with};

struct Files {
    cert: String,
    key: String,
    authority: rcgen::Certificate,
}

fn make(folder: &Path) -> Files {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let (cert, key) = (folder.join("cert.pem"), folder.join("key.pem"));
    std::fs::write(&cert, made.cert.pem()).unwrap();
    std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    let text = |path: std::path::PathBuf| path.into_os_string().into_string().unwrap();
    Files { cert: text(cert), key: text(key), authority: made.cert }
}

#[tokio::test]
async fn grpc_and_plain_https_speak_tls() {
    let folder = tempfile::tempdir().unwrap();
    let files = make(folder.path());
    let mut command = command(&folder.path().join("data"));
    command.args(["--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"]);
    command.args(["--tls-cert", &files.cert, "--tls-key", &files.key]);
    let server = spawn(&mut command);
    let port = server.address.rsplit(':').next().unwrap();

    let tls = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(files.authority.pem()));
    let endpoint = Endpoint::new(format!("https://localhost:{port}")).unwrap().tls_config(tls).unwrap();
    let mut ingest = IngestServiceClient::new(endpoint.connect().await.unwrap());
    let stored = ingest.ingest(with(&server.key, batch(vec![event("view")]))).await.unwrap();
    assert_eq!(stored.into_inner().stored, 1);

    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from(files.authority.der().to_vec())).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let tcp = tokio::net::TcpStream::connect(&server.address).await.unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    let mut socket = TlsConnector::from(Arc::new(config)).connect(name, tcp).await.unwrap();
    socket.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").await.unwrap();
    let mut answer = Vec::new();
    let _ = socket.read_to_end(&mut answer).await; // The end may come without close_notify.
    assert!(answer.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&answer));

    let plain = Endpoint::new(format!("http://localhost:{port}")).unwrap().connect().await;
    if let Ok(channel) = plain {
        assert!(IngestServiceClient::new(channel).ingest(batch(vec![event("view")])).await.is_err());
    }
}

#[test]
fn a_key_of_another_certificate_stops_the_start_by_name() {
    let (folder, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (files, others) = (make(folder.path()), make(other.path()));
    let run = |args: &[&str]| {
        let mut command = command(&folder.path().join("data"));
        command.args(["--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"]).args(args);
        let output = command.stderr(Stdio::piped()).output().unwrap();
        assert!(!output.status.success());
        String::from_utf8(output.stderr).unwrap()
    };
    let error = run(&["--tls-cert", &files.cert, "--tls-key", &others.key]);
    assert!(error.contains(&others.key) && error.contains(&files.cert), "{error}");
    let error = run(&["--tls-cert", &files.cert, "--tls-key", "/nowhere/key.pem"]);
    assert!(error.contains("/nowhere/key.pem"), "{error}");
    assert!(run(&["--tls-cert", &files.cert]).contains("--tls-key"));
}
