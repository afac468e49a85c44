//! What clients put on record beside events.

use footpath_proto::v1;
use footpath_proto::v1::admin_service_client::AdminServiceClient;
use footpath_proto::v1::ingest_service_client::IngestServiceClient;

use crate::support::{batch, event, start, with};

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
