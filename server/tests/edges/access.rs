//! Who may call what, through real gRPC: every RPC of the descriptors with every credential.

use std::marker::PhantomData;

use bytes::{Buf as _, BufMut as _, Bytes};
use footpath_api::access::{Need, Role, TABLE};
use footpath_proto::v1;
use footpath_proto::v1::admin_service_client::AdminServiceClient;
use prost::Message as _;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::transport::Channel;
use tonic::{Code, Status};

use crate::support::{Server, reason, start, with};

/// Bytes in, bytes out: no message type is needed to be refused.
#[derive(Default)]
struct Raw(PhantomData<()>);

impl Codec for Raw {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self::default()
    }

    fn decoder(&mut self) -> Self {
        Self::default()
    }
}

impl Encoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, item: Bytes, dst: &mut EncodeBuf<'_>) -> Result<(), Status> {
        dst.put(item);
        Ok(())
    }
}

impl Decoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, src: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(src.copy_to_bytes(src.remaining())))
    }
}

/// Calls an RPC with one message and takes the first answer. A stream that stays open has let the caller in.
pub async fn call(
    channel: &Channel,
    path: &str,
    credential: Option<&str>,
    message: Bytes,
) -> Result<(), Status> {
    let mut grpc = tonic::client::Grpc::new(channel.clone());
    grpc.ready().await.unwrap();
    let mut request = tonic::Request::new(futures_util::stream::iter([message]));
    if let Some(credential) = credential {
        request.metadata_mut().insert("authorization", format!("Bearer {credential}").parse().unwrap());
    }
    let answer = grpc.streaming(request, path.parse().unwrap(), Raw::default()).await?;
    answer.into_inner().message().await.map(|_| ())
}

async fn token(channel: &Channel, admin: &str, role: v1::Role, projects: &[&str]) -> String {
    let asked = v1::CreateTokenRequest {
        subject: "test".into(),
        role: role.into(),
        projects: projects.iter().map(|&project| project.to_owned()).collect(),
        lifetime: None,
    };
    let mut service = AdminServiceClient::new(channel.clone());
    service.create_token(with(admin, asked)).await.unwrap().into_inner().token
}

async fn project(channel: &Channel, admin: &str, id: &str) {
    let project = Some(v1::Project { id: id.into(), ..v1::Project::default() });
    let mut service = AdminServiceClient::new(channel.clone());
    service.create_project(with(admin, v1::CreateProjectRequest { project })).await.unwrap();
}

async fn open(data: &std::path::Path) -> (Server, Channel, String) {
    let server = start(data, &[]);
    let channel = server.channel().await;
    let admin = server.admin_token(&channel).await;
    (server, channel, admin)
}

#[tokio::test]
async fn every_rpc_for_every_credential() {
    let data = tempfile::tempdir().unwrap();
    let (server, channel, admin) = open(data.path()).await;
    let files = prost_types::FileDescriptorSet::decode(footpath_proto::DESCRIPTORS).unwrap().file;
    let services = files.iter().filter(|file| file.package() == "footpath.v1").flat_map(|file| &file.service);
    let paths = services.flat_map(|s| {
        s.method.iter().map(|m| format!("/footpath.v1.{}/{}", s.name(), m.name())).collect::<Vec<_>>()
    });
    let viewer = token(&channel, &admin, v1::Role::Viewer, &["*"]).await;
    let analyst = token(&channel, &admin, v1::Role::Analyst, &["*"]).await;
    let credentials = [
        (None, None),
        (Some("fp_dev_nobodys"), None),
        (Some("not.a.token"), None),
        (Some(server.key.as_str()), Some(None)),
        (Some(viewer.as_str()), Some(Some(Role::Viewer))),
        (Some(analyst.as_str()), Some(Some(Role::Analyst))),
        (Some(admin.as_str()), Some(Some(Role::Admin))),
    ];
    for path in paths {
        let (_, need) = TABLE.iter().find(|(known, _)| *known == path).unwrap();
        for (credential, role) in &credentials {
            let answer = call(&channel, &path, *credential, Bytes::new()).await;
            let what = format!("{path} with {role:?}: {answer:?}");
            let let_in = match (need, role) {
                (Need::Nothing, _) => true,
                (_, None) => {
                    assert_eq!(answer.unwrap_err().code(), Code::Unauthenticated, "{what}");
                    continue;
                }
                (Need::Key, Some(role)) => role.is_none(),
                (Need::Token(least), Some(role)) => role.is_some_and(|role| role >= *least),
            };
            let Err(status) = answer else {
                assert!(let_in, "{what}");
                continue;
            };
            assert!(!matches!(status.code(), Code::Unimplemented | Code::Internal | Code::Unknown), "{what}");
            let refused = ["key_needed", "token_needed", "role_too_low"].contains(&reason(&status).as_str());
            assert_eq!(refused, !let_in, "{what}");
            assert!(let_in || status.code() == Code::PermissionDenied, "{what}");
        }
    }
}

#[tokio::test]
async fn a_token_for_one_project_opens_no_other() {
    let data = tempfile::tempdir().unwrap();
    let (_server, channel, admin) = open(data.path()).await;
    project(&channel, &admin, "a").await;
    project(&channel, &admin, "b").await;
    let own = token(&channel, &admin, v1::Role::Admin, &["a"]).await;
    // Field 1 of every request that names a project, except those that follow.
    let of_project = |path: &str, id: &str| {
        let name = [&[0x0a, 1], id.as_bytes()].concat();
        // Here it is a project whose own field 1 is the id.
        let nested = path.ends_with("/UpdateProject");
        Bytes::from(if nested { [&[0x0a, name.len() as u8], name.as_slice()].concat() } else { name })
    };
    let named = TABLE.iter().filter(|(path, need)| {
        let elsewhere = ["/ListProjects", "/CreateProject", "/CreateToken"];
        matches!(need, Need::Token(_)) && !elsewhere.iter().any(|end| path.ends_with(end))
    });
    for (path, _) in named {
        let status = call(&channel, path, Some(&own), of_project(path, "b")).await.unwrap_err();
        assert_eq!(
            (status.code(), reason(&status).as_str()),
            (Code::PermissionDenied, "project_not_allowed"),
            "{path}"
        );
        let for_all = path.ends_with("/CreateCode"); // Its code opens every project.
        if let Err(status) = call(&channel, path, Some(&own), of_project(path, "a")).await {
            assert_eq!(reason(&status) == "project_not_allowed", for_all, "{path}");
        }
    }
    let mut service = AdminServiceClient::new(channel.clone());
    let seen =
        service.list_projects(with(&own, v1::ListProjectsRequest::default())).await.unwrap().into_inner();
    assert_eq!(seen.projects.iter().map(|project| project.id.as_str()).collect::<Vec<_>>(), ["a"]);
    let more = v1::CreateTokenRequest {
        role: v1::Role::Viewer.into(),
        projects: vec!["b".into()],
        ..v1::CreateTokenRequest::default()
    };
    let status = service.create_token(with(&own, more)).await.unwrap_err();
    assert_eq!(reason(&status), "project_not_allowed");
    let new =
        v1::CreateProjectRequest { project: Some(v1::Project { id: "c".into(), ..v1::Project::default() }) };
    assert_eq!(reason(&service.create_project(with(&own, new)).await.unwrap_err()), "project_not_allowed");
}

#[tokio::test]
async fn reflection_can_be_switched_off() {
    let path = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo";
    let list = Bytes::from_static(&[0x3a, 1, b'*']); // list_services
    for (value, code) in [("true", None), ("false", Some(Code::Unimplemented))] {
        let data = tempfile::tempdir().unwrap();
        let server = start(data.path(), &["--reflection", value]);
        let answer = call(&server.channel().await, path, None, list.clone()).await;
        assert_eq!(answer.err().map(|status| status.code()), code);
    }
}

#[tokio::test]
async fn texts_have_a_limit_and_tokens_are_for_projects_that_exist() {
    let data = tempfile::tempdir().unwrap();
    let server = start(data.path(), &[]);
    let channel = server.channel().await;
    let admin = server.admin_token(&channel).await;
    let mut service = AdminServiceClient::new(channel.clone());
    let key = v1::CreateProjectKeyRequest {
        project: "default".into(),
        label: "x".repeat(257),
        environment: v1::Environment::Dev.into(),
    };
    assert_eq!(reason(&service.create_project_key(with(&admin, key)).await.unwrap_err()), "text_invalid");
    let project = v1::Project { id: "c".into(), title: "a\0b".into(), ..v1::Project::default() };
    let project = v1::CreateProjectRequest { project: Some(project) };
    assert_eq!(reason(&service.create_project(with(&admin, project)).await.unwrap_err()), "text_invalid");
    for (subject, id, why) in
        [("x".repeat(257), "default", "text_invalid"), ("x".into(), "none", "project_unknown")]
    {
        let asked = v1::CreateTokenRequest {
            subject,
            role: v1::Role::Viewer.into(),
            projects: vec![id.into()],
            lifetime: None,
        };
        assert_eq!(reason(&service.create_token(with(&admin, asked)).await.unwrap_err()), why);
    }
}
