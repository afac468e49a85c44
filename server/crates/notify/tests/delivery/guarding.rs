//! Requests that must not leave.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use footpath_notify::{DestinationKind, MailSecurity, MailServer, Outcome, Settings, Verdict};

use crate::receiver::{Receiver, answer};
use crate::{Setup, notice, settings, webhook};

async fn sent(settings: &Settings, url: &str) -> Outcome {
    Setup::new(settings).deliverer.send_now(&webhook("d", url), &notice("1")).await
}

fn closed() -> Settings {
    Settings { allow: Vec::new(), ..settings() }
}

fn is_refused(outcome: &Outcome) -> bool {
    outcome.verdict == Verdict::Refused && outcome.words.contains("not allowed")
}

#[tokio::test]
async fn this_machine_is_not_reached_in_any_spelling() {
    let receiver = Receiver::good().await;
    for host in [
        "127.0.0.1",
        "localhost",
        "0x7f.1",
        "2130706433",
        "0.0.0.0",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "[::127.0.0.1]",
    ] {
        let outcome = sent(&closed(), &format!("http://{host}:{}/", receiver.port)).await;
        assert!(is_refused(&outcome), "{host}: {outcome:?}");
    }
    assert!(receiver.seen().is_empty());
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let inside = Receiver::good().await;
    let location = format!("location: {}\r\n", inside.url());
    let receiver = Receiver::start(move |_| Some(answer("307 Temporary Redirect", &location, ""))).await;
    let outcome = sent(&settings(), &receiver.url()).await;
    assert_eq!((outcome.verdict, outcome.status), (Verdict::Refused, Some(307)));
    assert!(inside.seen().is_empty());
}

#[tokio::test]
async fn a_name_that_changes_its_address_is_not_asked_twice() {
    let receiver = Receiver::good().await;
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    // The first answer is allowed (127.0.0.1 stands for the internet here), the next would lead elsewhere.
    let resolver = move |_| {
        let address = if count.fetch_add(1, Ordering::SeqCst) == 0 { "127.0.0.1" } else { "127.0.0.2" };
        Box::pin(async move { Ok(vec![address.parse().unwrap()]) }) as _
    };
    let only_one =
        Settings { allow: vec!["127.0.0.1/32".parse().unwrap()], resolver: Arc::new(resolver), ..settings() };
    let setup = Setup::new(&only_one);
    let destination = webhook("d", &format!("http://rebind.example:{}/", receiver.port));
    let first = setup.deliverer.send_now(&destination, &notice("1")).await;
    assert_eq!((first.verdict, asked.load(Ordering::SeqCst)), (Verdict::Delivered, 1), "{first:?}");
    let second = setup.deliverer.send_now(&destination, &notice("2")).await;
    assert!(is_refused(&second), "{second:?}");
    assert_eq!(receiver.ids(), ["1"]);
}

#[tokio::test]
async fn one_address_inside_refuses_the_name() {
    let receiver = Receiver::good().await;
    let both = || Ok(vec!["127.0.0.1".parse().unwrap(), "10.0.0.1".parse().unwrap()]);
    let mixed = Settings { resolver: Arc::new(move |_| Box::pin(async move { both() })), ..settings() };
    let outcome = sent(&mixed, &format!("http://mixed.example:{}/", receiver.port)).await;
    assert!(is_refused(&outcome), "{outcome:?}");
    assert!(!outcome.words.contains("10.0.0.1"), "the address is nobody's business");
    assert!(receiver.seen().is_empty());
}

#[tokio::test]
async fn a_projects_mail_server_is_guarded_too() {
    let server = MailServer {
        host: "localhost".into(),
        port: 25,
        security: MailSecurity::None,
        username: None,
        password: None,
        from: "a@example.com".into(),
    };
    let kind = DestinationKind::Email { to: vec!["b@example.com".into()], server: Some(server) };
    let destination = footpath_notify::Destination { kind, ..webhook("d", "") };
    let outcome = Setup::new(&closed()).deliverer.send_now(&destination, &notice("1")).await;
    assert!(is_refused(&outcome), "{outcome:?}");
}

#[tokio::test]
async fn what_cannot_be_used_is_said() {
    let strict = Settings { http: false, ..settings() };
    let cases = [
        ("http://hooks.example/", "url must be https://... (the operator can allow http)"),
        ("ftp://hooks.example/", "url must be https://..."),
        ("hooks", "url must be https://host/path"),
        (
            "https://user:pass@hooks.example/",
            "url must have no user and no password: requests are signed instead",
        ),
    ];
    for (url, words) in cases {
        let said = webhook("d", url).check(strict.http).unwrap_err().to_string();
        assert_eq!(said, words);
        assert_eq!(sent(&strict, url).await.verdict, Verdict::Refused);
    }
}
