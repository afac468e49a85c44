//! Streams: what they announce, and where they go on.

use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use footpath_api::access::{Access, Claims, Role};
use footpath_proto::v1;
use footpath_proto::v1::admin_service_client::AdminServiceClient;
use footpath_proto::v1::ingest_service_client::IngestServiceClient;
use footpath_proto::v1::live_service_client::LiveServiceClient;
use footpath_proto::v1::watch_response::Message;
use footpath_store::{EmbeddedStore, KeyStore as _, MemoryStore, SecretRow};
use tonic::{Code, Status, Streaming};

use crate::support::{PATIENCE, batch, event, reason, start, with};

/// Lets the server sign with a secret that the test knows.
fn known_secret(data: &Path) -> Access {
    let store = EmbeddedStore::open(&data.join("state.redb")).unwrap();
    store.put_secret(&SecretRow { name: "jwt".into(), bytes: vec![7; 32] }).unwrap();
    let clock = std::sync::Arc::new(footpath_model::clock::SystemClock);
    Access::new(std::sync::Arc::new(MemoryStore::new()), clock, vec![7; 32])
}

fn token(access: &Access, role: Role, lifetime: Duration) -> String {
    #[allow(clippy::disallowed_methods)] // A test of the real process lives in real time.
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let exp = (now + lifetime).as_secs().cast_signed();
    access.sign(&Claims { sub: "test".into(), role, projects: vec!["*".into()], exp }).unwrap()
}

pub fn events(cursor: &str, names: &[&str]) -> v1::WatchRequest {
    let names = names.iter().map(|&name| name.to_owned()).collect();
    let target = v1::subscription::Target::Events(v1::EventSubscription { names, actor: String::new() });
    let one = v1::Subscription { id: "e".into(), target: Some(target), cursor: cursor.into() };
    v1::WatchRequest { project: "default".into(), subscriptions: vec![one] }
}

/// The next message that is not a heartbeat.
pub async fn next(stream: &mut Streaming<v1::WatchResponse>) -> Result<Option<Message>, Status> {
    let work = async {
        loop {
            match stream.message().await?.and_then(|message| message.message) {
                Some(Message::Heartbeat(_)) => {}
                other => return Ok(other),
            }
        }
    };
    tokio::time::timeout(PATIENCE, work).await.expect("no message came")
}

#[tokio::test]
async fn a_watch_says_that_its_token_expires_and_ends_then() {
    let data = tempfile::tempdir().unwrap();
    let access = known_secret(data.path());
    let server = start(data.path(), &[]);
    let mut live = LiveServiceClient::new(server.channel().await);
    let token = token(&access, Role::Analyst, Duration::from_secs(3));
    let mut stream = live.watch(with(&token, events("", &[]))).await.unwrap().into_inner();
    assert!(matches!(next(&mut stream).await.unwrap(), Some(Message::Started(_))));
    let Some(Message::Ending(ending)) = next(&mut stream).await.unwrap() else { panic!("no announcement") };
    assert_eq!(ending.reason, "token_expired");
    assert!(ending.at.is_some());
    let status = next(&mut stream).await.unwrap_err();
    assert_eq!((status.code(), reason(&status).as_str()), (Code::Unauthenticated, "token_expired"));
}

#[tokio::test]
async fn a_viewer_watches_numbers_not_events() {
    let data = tempfile::tempdir().unwrap();
    let access = known_secret(data.path());
    let server = start(data.path(), &[]);
    let mut live = LiveServiceClient::new(server.channel().await);
    let viewer = token(&access, Role::Viewer, Duration::from_secs(600));
    let status = live.watch(with(&viewer, events("", &[]))).await.unwrap_err();
    assert_eq!((status.code(), reason(&status).as_str()), (Code::PermissionDenied, "role_too_low"));
    let none = v1::WatchRequest { project: "default".into(), subscriptions: Vec::new() };
    assert!(live.watch(with(&viewer, none)).await.is_ok());
}

#[tokio::test]
async fn a_stream_ends_when_its_key_is_revoked() {
    let data = tempfile::tempdir().unwrap();
    let server = start(data.path(), &[]);
    let channel = server.channel().await;
    let admin = server.admin_token(&channel).await;
    let (sender, receiver) = tokio::sync::mpsc::channel(4);
    let send = async |sequence| {
        let batch = Some(batch(vec![event("view")]));
        sender.send(v1::IngestStreamRequest { sequence, batch }).await.unwrap();
    };
    let mut ingest = IngestServiceClient::new(channel.clone());
    let batches = tokio_stream::wrappers::ReceiverStream::new(receiver);
    let mut answers = ingest.ingest_stream(with(&server.key, batches)).await.unwrap().into_inner();
    let silent = with(&server.key, tokio_stream::pending());
    let mut idle = ingest.ingest_stream(silent).await.unwrap().into_inner();
    send(1).await;
    use v1::ingest_stream_response::Message::{Ack, Ending};
    let Some(Ack(ack)) = answers.message().await.unwrap().unwrap().message else { panic!("no ack") };
    assert_eq!(ack.response.unwrap().stored, 1);

    let mut service = AdminServiceClient::new(channel);
    let asked = v1::ListProjectKeysRequest { project: "default".into(), ..Default::default() };
    let keys = service.list_project_keys(with(&admin, asked)).await.unwrap().into_inner().keys;
    let asked =
        v1::RevokeProjectKeyRequest { project: "default".into(), key_id: keys[0].id.clone(), overlap: None };
    service.revoke_project_key(with(&admin, asked)).await.unwrap();
    send(2).await;
    let Some(Ack(ack)) = answers.message().await.unwrap().unwrap().message else { panic!("no ack") };
    assert_eq!((ack.sequence, ack.error.unwrap().reason.as_str()), (2, "key_revoked"));
    let Some(Ending(ending)) = answers.message().await.unwrap().unwrap().message else { panic!("no ending") };
    assert_eq!(ending.reason, "key_revoked");
    let status = answers.message().await.unwrap_err();
    assert_eq!((status.code(), reason(&status).as_str()), (Code::Unauthenticated, "key_revoked"));
    let Some(Ending(ending)) = idle.message().await.unwrap().unwrap().message else { panic!("no ending") };
    assert_eq!(ending.reason, "key_revoked");
    assert_eq!(reason(&idle.message().await.unwrap_err()), "key_revoked");
}

#[tokio::test]
async fn a_tail_goes_on_from_its_cursor_and_a_cursor_fits_its_own_subscription_only() {
    let data = tempfile::tempdir().unwrap();
    let server = start(data.path(), &[]);
    let channel = server.channel().await;
    let admin = server.admin_token(&channel).await;
    let mut ingest = IngestServiceClient::new(channel.clone());
    let mut live = LiveServiceClient::new(channel.clone());
    let mut stream = live.watch(with(&admin, events("", &[]))).await.unwrap().into_inner();
    assert!(matches!(next(&mut stream).await.unwrap(), Some(Message::Started(_))));
    ingest.ingest(with(&server.key, batch(vec![event("one"), event("two")]))).await.unwrap();
    let Some(Message::Events(page)) = next(&mut stream).await.unwrap() else { panic!("no events") };
    assert_eq!(page.events.len(), 2);
    drop(stream);
    ingest.ingest(with(&server.key, batch(vec![event("three")]))).await.unwrap();
    let mut stream = live.watch(with(&admin, events(&page.cursor, &[]))).await.unwrap().into_inner();
    assert!(matches!(next(&mut stream).await.unwrap(), Some(Message::Started(_))));
    let Some(Message::Events(rest)) = next(&mut stream).await.unwrap() else { panic!("no events") };
    assert_eq!(rest.events.iter().map(|event| event.name.as_str()).collect::<Vec<_>>(), ["three"]);

    let status = live.watch(with(&admin, events(&page.cursor, &["one"]))).await.unwrap_err();
    assert_eq!(reason(&status), "cursor_mismatch");
    let mut query = v1::query_service_client::QueryServiceClient::new(channel);
    let asked = v1::ListEventsRequest {
        project: "default".into(),
        page_token: page.cursor,
        ..v1::ListEventsRequest::default()
    };
    let status = query.list_events(with(&admin, asked.clone())).await.unwrap_err();
    assert_eq!(reason(&status), "cursor_mismatch");
    assert!(status.message().starts_with("page_token: "), "{status:?}");
    let mut asked = v1::ListEventsRequest { page_token: String::new(), page_size: 2, ..asked };
    let first = query.list_events(with(&admin, asked.clone())).await.unwrap().into_inner();
    asked.page_token = first.next_page_token;
    let second = query.list_events(with(&admin, asked)).await.unwrap().into_inner();
    assert_eq!((first.events.len(), second.events.len()), (2, 1));
}

#[tokio::test]
async fn a_change_of_a_watch_is_made_whole_or_not_at_all() {
    let data = tempfile::tempdir().unwrap();
    let server = start(data.path(), &[]);
    let channel = server.channel().await;
    let admin = server.admin_token(&channel).await;
    let mut live = LiveServiceClient::new(channel.clone());
    let mut stream = live.watch(with(&admin, events("", &[]))).await.unwrap().into_inner();
    let Some(Message::Started(started)) = next(&mut stream).await.unwrap() else { panic!("not started") };
    let one = |id: &str, names: &[&str]| {
        let subscription = events("", names).subscriptions.remove(0);
        v1::Subscription { id: id.into(), ..subscription }
    };
    let without_target = v1::Subscription { target: None, ..one("bad", &[]) };
    let hasty = v1::Subscription {
        target: Some(v1::subscription::Target::Funnel(v1::FunnelSubscription {
            funnel_id: "f".into(),
            interval_ms: 19,
        })),
        ..one("bad", &[])
    };
    let foreign_cursor = v1::Subscription { cursor: "AAAA".into(), ..one("bad", &[]) };
    let many = (0..101).map(|at| one(&format!("m{at}"), &[])).collect();
    let changes = [
        (vec![one("new", &[]), without_target], "subscription_target_missing"),
        (vec![one("new", &[]), hasty], "interval_invalid"),
        (vec![one("new", &[]), foreign_cursor], "cursor_invalid"),
        (vec![one("new", &[]), one("", &[])], "subscription_id_invalid"),
        (vec![one("new", &[]), one("new", &[])], "subscription_id_invalid"),
        (many, "too_many_subscriptions"),
    ];
    let mut change = async |remove: &[&str], add| {
        let remove = remove.iter().map(|&id| id.to_owned()).collect();
        let (project, watch_id) = ("default".into(), started.watch_id.clone());
        live.change_watch(with(&admin, v1::ChangeWatchRequest { project, watch_id, add, remove })).await
    };
    for (add, why) in changes {
        assert_eq!(reason(&change(&["e"], add).await.unwrap_err()), why);
        assert_eq!(server.metric("footpath_subscriptions"), Some(1.0), "{why}");
    }
    let mut ingest = IngestServiceClient::new(channel);
    ingest.ingest(with(&server.key, batch(vec![event("one")]))).await.unwrap();
    let Some(Message::Events(page)) = next(&mut stream).await.unwrap() else { panic!("no events") };
    assert_eq!(page.subscription_id, "e");
    // An id that ends in a change may begin again in it.
    change(&["e"], vec![one("e", &["two"]), one("new", &["three"])]).await.unwrap();
    assert_eq!(server.metric("footpath_subscriptions"), Some(2.0));
    ingest.ingest(with(&server.key, batch(vec![event("one"), event("two")]))).await.unwrap();
    let Some(Message::Events(page)) = next(&mut stream).await.unwrap() else { panic!("no events") };
    assert_eq!((page.subscription_id.as_str(), page.events[0].name.as_str()), ("e", "two"));
}
