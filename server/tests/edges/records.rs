//! What clients put on record beside events.

use footpath_client::{Client, PauseReason, Problem, Track};
use footpath_model::id::{actor_key, lane};
use footpath_proto::v1;
use footpath_proto::v1::admin_service_client::AdminServiceClient;
use footpath_proto::v1::ingest_service_client::IngestServiceClient;
use footpath_proto::v1::query_service_client::QueryServiceClient;

use tonic::Code;

use crate::support::{batch, event, reason, start, with};

#[tokio::test]
async fn privacy_requests_are_listed_in_pages() {
    let data = tempfile::tempdir().unwrap();
    let server = start(data.path(), &[]);
    let channel = server.channel().await;
    let token = server.admin_token(&channel).await;
    let request = |n: u32| v1::PrivacyRequest {
        id: format!("0190163d-8694-739b-aea5-{n:012}"),
        kind: v1::PrivacyRequestKind::Delete.into(),
        actor: format!("a-{n}"),
    };
    let sent: Vec<_> = (1..=3).map(request).collect();
    let asked = v1::IngestRequest { privacy_requests: sent.clone(), ..batch(vec![event("view")]) };
    let mut ingest = IngestServiceClient::new(channel.clone());
    let answer = ingest.ingest(with(&server.key, asked)).await.unwrap().into_inner();
    assert_eq!(answer.privacy_requests, 3);

    let mut admin = AdminServiceClient::new(channel);
    let mut page = async |page_size: u32, page_token: String| {
        let asked = v1::ListPrivacyRequestsRequest { project: "default".into(), page_size, page_token };
        admin.list_privacy_requests(with(&token, asked)).await.unwrap().into_inner()
    };
    while page(0, String::new()).await.requests.len() < 3 {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    let first = page(2, String::new()).await;
    let second = page(2, first.next_page_token).await;
    assert!(second.next_page_token.is_empty());
    let listed = first.requests.into_iter().chain(second.requests);
    let listed: Vec<_> = listed.map(|one| (one.request.unwrap(), one.received_at.is_some())).collect();
    assert_eq!(listed, sent.into_iter().map(|one| (one, true)).collect::<Vec<_>>());
}

#[tokio::test]
async fn gaps_are_named_until_they_are_delivered_or_explained() {
    let data = tempfile::tempdir().unwrap();
    let server = start(data.path(), &[]);
    let channel = server.channel().await;
    let token = server.admin_token(&channel).await;
    let class = v1::DeliveryClass::Critical;
    let lane = u32::from(lane(actor_key("default", b"a")));
    let installs = [1, 2].map(|n| format!("0190163d-8694-739b-aea5-{n:012}"));
    let producer = |install: &str| v1::Producer { install_id: install.into(), epoch: 7 };
    let mut ingest = IngestServiceClient::new(channel.clone());
    let mut send = async |install: &str, numbers: &[u64], losses: Vec<v1::LossRange>| {
        let numbered = |&number: &u64| v1::Event {
            delivery_class: class.into(),
            lane: Some(lane),
            number,
            ..event("view")
        };
        let events = numbers.iter().map(numbered).collect();
        let sent = v1::IngestRequest { producer: Some(producer(install)), losses, ..batch(events) };
        let answer = ingest.ingest(with(&server.key, sent)).await.unwrap().into_inner();
        assert_eq!((answer.stored as usize, answer.refused.len()), (numbers.len(), 0));
    };
    let page = async |page_size: u32, page_token: String| {
        let asked = v1::ListGapsRequest { project: "default".into(), page_size, page_token };
        QueryServiceClient::new(channel.clone()).list_gaps(with(&token, asked)).await.unwrap().into_inner()
    };
    for install in &installs {
        send(install, &[1, 4, 6], Vec::new()).await;
    }
    let gap = |install: &str, missing: u64, ranges: &[(u64, u64)]| v1::StreamGap {
        producer: Some(producer(install)),
        delivery_class: class.into(),
        lane,
        missing,
        ranges: ranges.iter().map(|&(from, to)| v1::NumberRange { from, to }).collect(),
    };
    let first = page(1, String::new()).await;
    assert_eq!((first.missing, first.gaps), (6, vec![gap(&installs[0], 3, &[(2, 3), (5, 5)])]));
    let second = page(1, first.next_page_token).await;
    assert_eq!(second.gaps, [gap(&installs[1], 3, &[(2, 3), (5, 5)])]);
    assert!(second.next_page_token.is_empty());

    assert_eq!(server.metric("footpath_events_missing"), Some(6.0));

    send(&installs[0], &[2, 3, 5], Vec::new()).await;
    let lost = v1::LossRange { delivery_class: class.into(), lane, from: 3, to: 5, reason: "evicted".into() };
    send(&installs[1], &[], vec![lost]).await;
    let left = page(0, String::new()).await;
    assert_eq!((left.missing, left.gaps), (1, vec![gap(&installs[1], 1, &[(2, 2)])]));
}

/// Nothing of it is stored in the wrong project, and nothing given up.
#[tokio::test]
async fn a_batch_for_another_project_is_refused_as_a_whole() {
    let data = tempfile::tempdir().unwrap();
    let server = start(data.path(), &[]);
    let mut ingest = IngestServiceClient::new(server.channel().await);
    let named = |project: &str| v1::IngestRequest { project: project.into(), ..batch(vec![event("view")]) };
    let refused = ingest.ingest(with(&server.key, named("shop"))).await.unwrap_err();
    assert_eq!((refused.code(), &*reason(&refused)), (Code::PermissionDenied, "project_not_allowed"));
    assert!(refused.message().contains("\"shop\""), "{}", refused.message());
    let taken = ingest.ingest(with(&server.key, named("default"))).await.unwrap().into_inner();
    assert_eq!(taken.stored, 1);
    // The client's whole journey: it pauses, keeps everything and says so.
    let (tell, told) = std::sync::mpsc::channel();
    let client = Client::builder(format!("http://{}", server.address), &*server.key);
    let client = client.project("shop").queue_in_memory();
    let client = client.on_problem(move |problem| drop(tell.send(problem.clone()))).build().unwrap();
    client.track(Track::new("view")).unwrap();
    let flushed = client.flush_async(std::time::Duration::from_secs(20)).await;
    assert_eq!((flushed.pending, flushed.rejected), (1, 0));
    let Ok(problem) = told.try_recv() else { panic!("nobody was told") };
    assert!(
        matches!(&problem, Problem::Paused(PauseReason::PermissionDenied(why)) if why.contains("shop")),
        "{problem:?}"
    );
}
