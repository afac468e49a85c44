//! Funnels that cannot be asked for or defined.

use footpath_proto::v1;
use footpath_proto::v1::definition_service_client::DefinitionServiceClient;
use footpath_proto::v1::query_service_client::QueryServiceClient;

use crate::support::{reason, start, with};

fn funnel(id: &str, title: &str) -> v1::Funnel {
    let step = v1::FunnelStep { events: vec!["view".into()], ..v1::FunnelStep::default() };
    v1::Funnel {
        id: id.into(),
        title: title.into(),
        steps: vec![step],
        window: Some(prost_types::Duration { seconds: 60, nanos: 0 }),
        ..v1::Funnel::default()
    }
}

#[tokio::test]
async fn a_question_is_for_one_funnel() {
    let data = tempfile::tempdir().unwrap();
    let server = start(data.path(), &[]);
    let channel = server.channel().await;
    let admin = server.admin_token(&channel).await;
    let mut query = QueryServiceClient::new(channel);
    let mut ask = async |funnel_id: &str, funnel| {
        let (project, funnel_id) = ("default".into(), funnel_id.into());
        let asked =
            v1::QueryFunnelRequest { project, funnel_id, funnel, ..v1::QueryFunnelRequest::default() };
        query.query_funnel(with(&admin, asked)).await
    };
    for (id, funnel) in [("", None), ("checkout", Some(funnel("once", "")))] {
        let status = ask(id, funnel).await.unwrap_err();
        assert_eq!(reason(&status), "query_invalid");
        assert!(status.message().contains("funnel_id"), "{status:?}");
    }
    assert_eq!(reason(&ask("checkout", None).await.unwrap_err()), "funnel_unknown");
    for id in ["once", ""] {
        assert_eq!(ask("", Some(funnel(id, ""))).await.unwrap().into_inner().reached, [0]);
    }
}

#[tokio::test]
async fn a_definition_that_is_refused_names_the_fields_of_the_api() {
    let data = tempfile::tempdir().unwrap();
    let server = start(data.path(), &[]);
    let channel = server.channel().await;
    let admin = server.admin_token(&channel).await;
    let wrong = v1::Funnel { window: None, ..funnel("checkout", "a\0b") };
    let asked = v1::CreateFunnelRequest { project: "default".into(), funnel: Some(wrong) };
    let status = DefinitionServiceClient::new(channel).create_funnel(with(&admin, asked)).await.unwrap_err();
    assert_eq!(reason(&status), "definition_invalid");
    let told = "title: no control characters; window: from 1 s to 366 d, not 0 s";
    assert_eq!(status.message(), told);
}
