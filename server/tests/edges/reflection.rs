//! What a tool learns by reflection: enough to read errors.

use footpath_proto::v1;
use footpath_proto::v1::ingest_service_client::IngestServiceClient;
use prost::Message as _;
use prost_reflect::{DescriptorPool, DynamicMessage, Value};
use tonic::transport::Channel;
use tonic_reflection::pb::v1::ServerReflectionRequest;
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;

use crate::support::{batch, start};

/// The files that the server answers with.
async fn files(channel: &Channel, asked: MessageRequest) -> Vec<prost_types::FileDescriptorProto> {
    let asked = ServerReflectionRequest { message_request: Some(asked), ..Default::default() };
    let mut client = ServerReflectionClient::new(channel.clone());
    let asked = futures_util::stream::iter([asked]);
    let mut answers = client.server_reflection_info(asked).await.unwrap().into_inner();
    match answers.message().await.unwrap().unwrap().message_response {
        Some(MessageResponse::FileDescriptorResponse(found)) => found
            .file_descriptor_proto
            .iter()
            .map(|bytes| prost_types::FileDescriptorProto::decode(bytes.as_slice()).unwrap())
            .collect(),
        other => panic!("{other:?}"),
    }
}

/// All that is needed to decode `symbol`, as grpcurl gathers it.
async fn described(channel: &Channel, symbol: &str) -> DescriptorPool {
    let mut known = files(channel, MessageRequest::FileContainingSymbol(symbol.into())).await;
    let mut at = 0;
    while at < known.len() {
        for name in known[at].dependency.clone() {
            if !known.iter().any(|file| file.name() == name) {
                known.extend(files(channel, MessageRequest::FileByFilename(name)).await);
            }
        }
        at += 1;
    }
    let mut pool = DescriptorPool::new();
    pool.add_file_descriptor_protos(known).unwrap();
    pool
}

#[tokio::test]
async fn the_details_of_an_error_can_be_decoded() {
    let data = tempfile::tempdir().unwrap();
    let server = start(data.path(), &[]);
    let channel = server.channel().await;
    let nobodys = IngestServiceClient::new(channel.clone()).ingest(batch(vec![v1::Event::default()])).await;
    let status = nobodys.unwrap_err();
    let details = tonic_types::pb::Status::decode(status.details()).unwrap().details;
    assert!(!details.is_empty());
    for detail in details {
        let name = detail.type_url.rsplit('/').next().unwrap();
        let kind = described(&channel, name).await.get_message_by_name(name).unwrap();
        let decoded = DynamicMessage::decode(kind, detail.value.as_slice()).unwrap();
        let field = |name: &str| decoded.get_field_by_name(name).unwrap().into_owned();
        assert_eq!(field("reason"), Value::String("credential_missing".into()));
        assert_eq!(field("domain"), Value::String("footpath".into()));
    }
    for name in ["google.rpc.RetryInfo", "footpath.v1.Event", "grpc.health.v1.HealthCheckRequest"] {
        assert!(described(&channel, name).await.get_message_by_name(name).is_some(), "{name}");
    }
}
