//! One attempt and what it comes to.

use std::sync::Arc;

use footpath_notify::{Secret, Settings, Verdict, signature};
use parking_lot::Mutex;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;

use crate::receiver::{self, Receiver, Seen, answer};
use crate::{SECRET, Setup, notice, settings, webhook};

#[tokio::test]
async fn a_request_is_signed_over_what_arrives() {
    let receiver = Receiver::good().await;
    let outcome =
        Setup::new(&settings()).deliverer.send_now(&webhook("d", &receiver.url()), &notice("n-1")).await;
    assert_eq!((outcome.verdict, outcome.status), (Verdict::Delivered, Some(200)), "{outcome:?}");
    assert_eq!(outcome.words, "answered 200 OK: thanks");
    let seen = &receiver.seen()[0];
    let timestamp_s = seen.header("webhook-timestamp").parse().unwrap();
    let expected = signature(&Secret::new(SECRET), "n-1", timestamp_s, &seen.body).unwrap();
    assert_eq!((seen.header("webhook-id"), seen.header("webhook-signature")), ("n-1".into(), expected));
    assert!(seen.head.starts_with("POST /hook HTTP/1.1\r\n"));
}

#[tokio::test]
async fn a_receiver_that_hangs_is_given_up_in_time() {
    let receiver = Receiver::start(|_| None).await;
    let outcome =
        Setup::new(&settings()).deliverer.send_now(&webhook("d", &receiver.url()), &notice("1")).await;
    assert_eq!((outcome.verdict, outcome.words.as_str()), (Verdict::Retry, "no answer in time"));
    assert!((400_000..2_000_000).contains(&outcome.took_us), "{}", outcome.took_us);
}

#[tokio::test]
async fn a_huge_answer_is_cut_and_secrets_are_not_repeated() {
    let huge = format!("{SECRET} {}", "x".repeat(8 * 1_024 * 1_024));
    let receiver = Receiver::start(move |_| Some(answer("400 Bad Request", "", &huge))).await;
    let outcome =
        Setup::new(&settings()).deliverer.send_now(&webhook("d", &receiver.url()), &notice("1")).await;
    assert_eq!(outcome.verdict, Verdict::Refused);
    assert!(outcome.words.starts_with("answered 400 Bad Request: [secret] xxx"), "{}", outcome.words);
    assert!(outcome.words.len() < 300);
}

#[tokio::test]
async fn a_head_without_end_is_not_read() {
    let receiver =
        Receiver::start(|_| Some(format!("HTTP/1.1 200 OK\r\nx: {}", "x".repeat(1 << 20)).into_bytes()))
            .await;
    let outcome =
        Setup::new(&settings()).deliverer.send_now(&webhook("d", &receiver.url()), &notice("1")).await;
    assert_eq!(outcome.verdict, Verdict::Retry, "{outcome:?}");
}

#[tokio::test]
async fn tls_is_for_the_name_in_the_url() {
    let made = rcgen::generate_simple_self_signed(vec!["hooks.example".to_owned()]).unwrap();
    let (port, seen) = tls_receiver(&made).await;
    let trusting = Settings {
        authorities: vec![made.cert.der().to_vec()],
        resolver: Arc::new(|_| Box::pin(async { Ok(vec!["127.0.0.1".parse().unwrap()]) })),
        ..settings()
    };
    let send = |settings: Settings, host: &str| {
        let destination = webhook("d", &format!("https://{host}:{port}/"));
        async move { Setup::new(&settings).deliverer.send_now(&destination, &notice("1")).await }
    };
    let right = send(trusting.clone(), "hooks.example").await;
    assert_eq!(right.verdict, Verdict::Delivered, "{right:?}");
    assert_eq!(seen.lock()[0].header("host"), format!("hooks.example:{port}"));
    let other_name = send(trusting.clone(), "other.example").await;
    let unknown_authority = send(Settings { authorities: Vec::new(), ..trusting }, "hooks.example").await;
    for wrong in [other_name, unknown_authority] {
        assert!(wrong.verdict == Verdict::Retry && wrong.words.starts_with("TLS failed"), "{wrong:?}");
    }
    assert_eq!(seen.lock().len(), 1);
}

async fn tls_receiver(made: &rcgen::CertifiedKey<rcgen::KeyPair>) -> (u16, Arc<Mutex<Vec<Seen>>>) {
    let key = made.signing_key.serialize_der().try_into().unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let seen: Arc<Mutex<Vec<Seen>>> = Arc::default();
    let kept = Arc::clone(&seen);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let Ok(stream) = acceptor.accept(stream).await else { continue };
            let answers: receiver::Answers = Arc::new(|_| Some(answer("204 No Content", "", "")));
            receiver::serve(stream, Arc::clone(&kept), answers).await;
        }
    });
    (port, seen)
}
