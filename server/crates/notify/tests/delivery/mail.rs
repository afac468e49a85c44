//! Mail to a server on this machine that speaks just enough SMTP.

use std::sync::Arc;

use footpath_notify::{Destination, DestinationKind, MailSecurity, MailServer, Settings, Verdict};
use parking_lot::Mutex;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufStream};
use tokio::net::{TcpListener, TcpStream};

use crate::{Setup, notice, settings, webhook};

struct Sink {
    port: u16,
    /// All lines that clients sent.
    lines: Arc<Mutex<Vec<String>>>,
}

impl Sink {
    /// A server that gives this answer to every recipient.
    async fn start(recipient: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let sink = Self { port: listener.local_addr().unwrap().port(), lines: Arc::default() };
        let lines = Arc::clone(&sink.lines);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(talk(stream, recipient, Arc::clone(&lines)));
            }
        });
        sink
    }

    fn server(&self) -> MailServer {
        MailServer {
            host: "127.0.0.1".into(),
            port: self.port,
            security: MailSecurity::None,
            username: None,
            password: None,
            from: "Footpath <alerts@footpath.example>".into(),
        }
    }
}

async fn talk(stream: TcpStream, recipient: &str, lines: Arc<Mutex<Vec<String>>>) {
    let mut stream = BufStream::new(stream);
    let mut in_data = false;
    let mut answer = "220 sink";
    loop {
        if !answer.is_empty() {
            let _ = stream.write_all(format!("{answer}\r\n").as_bytes()).await;
            let _ = stream.flush().await;
        }
        let mut line = String::new();
        if stream.read_line(&mut line).await.unwrap_or(0) == 0 {
            return;
        }
        let line = line.trim_end().to_owned();
        answer = match line.split([' ', ':']).next().unwrap_or_default() {
            "." if in_data => {
                in_data = false;
                "250 kept as 42"
            }
            _ if in_data => "",
            "RCPT" => recipient,
            "DATA" => {
                in_data = true;
                "354 go on"
            }
            "QUIT" => "221 bye",
            _ => "250 sink",
        };
        lines.lock().push(line);
    }
}

fn email(server: Option<MailServer>) -> Destination {
    let to = vec!["oncall@example.com".into(), "web@example.com".into()];
    Destination { kind: DestinationKind::Email { to, server }, ..webhook("mail", "") }
}

#[tokio::test]
async fn a_message_arrives_at_all_mailboxes() {
    let sink = Sink::start("250 ok").await;
    let outcome = Setup::new(&settings()).deliverer.send_now(&email(Some(sink.server())), &notice("1")).await;
    assert_eq!((outcome.verdict, outcome.status), (Verdict::Delivered, Some(250)), "{outcome:?}");
    assert!(outcome.words.contains("kept as 42"), "{}", outcome.words);
    let lines = sink.lines.lock().clone();
    for expected in [
        "EHLO footpath.example",
        "MAIL FROM:<alerts@footpath.example>",
        "RCPT TO:<oncall@example.com>",
        "RCPT TO:<web@example.com>",
        "Subject: [shop/prod] Checkout rate",
        "Auto-Submitted: auto-generated",
    ] {
        assert!(lines.iter().any(|line| line.starts_with(expected)), "{expected}: {lines:?}");
    }
}

#[tokio::test]
async fn answers_say_whether_to_try_again() {
    for (recipient, verdict, code) in
        [("450 later", Verdict::Retry, 450), ("550 no such user", Verdict::Refused, 550)]
    {
        let sink = Sink::start(recipient).await;
        let outcome =
            Setup::new(&settings()).deliverer.send_now(&email(Some(sink.server())), &notice("1")).await;
        assert_eq!((outcome.verdict, outcome.status), (verdict, Some(code)), "{outcome:?}");
    }
}

#[tokio::test]
async fn nothing_is_sent_without_the_protection_asked_for() {
    let sink = Sink::start("250 ok").await;
    let server = MailServer { security: MailSecurity::Starttls, ..sink.server() };
    let outcome = Setup::new(&settings()).deliverer.send_now(&email(Some(server)), &notice("1")).await;
    assert_ne!(outcome.verdict, Verdict::Delivered, "{outcome:?}");
    assert!(!sink.lines.lock().iter().any(|line| line.starts_with("MAIL")));
}

#[tokio::test]
async fn the_operators_relay_may_be_anywhere() {
    let sink = Sink::start("250 ok").await;
    let closed = Settings { allow: Vec::new(), relay: Some(sink.server()), ..settings() };
    let outcome = Setup::new(&closed).deliverer.send_now(&email(None), &notice("1")).await;
    assert_eq!(outcome.verdict, Verdict::Delivered, "{outcome:?}");
    let nowhere = Setup::new(&settings()).deliverer.send_now(&email(None), &notice("1")).await;
    assert!(nowhere.verdict == Verdict::Refused && nowhere.words.contains("no mail relay"), "{nowhere:?}");
}
