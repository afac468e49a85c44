//! Where settings come from, in the real process.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Stdio;

use footpath_proto::v1::ingest_service_client::IngestServiceClient;

use crate::support::{batch, command, event, spawn, start, with};

#[tokio::test]
async fn a_flag_wins_over_the_environment_and_the_environment_over_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("footpath.toml");
    let text = "listen = \"127.0.0.1:1\"\nadmin-listen = \"127.0.0.1:0\"\nproject = \"of-the-file\"\n";
    std::fs::write(&file, text).unwrap();
    let mut command = command(&folder.path().join("data"));
    command.arg("--config").arg(&file).env("FOOTPATH_PROJECT", "of-the-environment");
    command.env("FOOTPATH_LISTEN", "127.0.0.1:2").args(["--listen", "127.0.0.1:0"]);
    let server = spawn(&mut command);
    let channel = server.channel().await;
    let token = server.admin_token(&channel).await;
    let mut admin = footpath_proto::v1::admin_service_client::AdminServiceClient::new(channel);
    let asked = crate::support::with(&token, footpath_proto::v1::ListProjectsRequest::default());
    let projects = admin.list_projects(asked).await.unwrap().into_inner().projects;
    assert_eq!(projects[0].id, "of-the-environment");
}

#[test]
fn an_unknown_key_stops_the_start_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("footpath.toml");
    std::fs::write(&file, "lisen = \"127.0.0.1:0\"\n").unwrap();
    let mut command = command(&folder.path().join("data"));
    let output = command.arg("--config").arg(&file).stderr(Stdio::piped()).output().unwrap();
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success());
    assert!(error.contains("unknown key \"lisen\"; did you mean \"listen\"?"), "{error}");
}

/// Everything below `folder` with its mode.
fn modes(folder: &Path) -> Vec<(String, u32)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let Ok(about) = std::fs::metadata(&path) else { continue }; // A file may go while we look.
        found.push((path.display().to_string(), about.permissions().mode() & 0o777));
        if about.is_dir() {
            found.extend(modes(&path));
        }
    }
    found
}

#[tokio::test]
async fn what_a_server_writes_is_its_owners_alone() {
    let folder = tempfile::tempdir().unwrap();
    let server = start(&folder.path().join("data"), &["--chunk-age", "100ms", "--image-interval", "100ms"]);
    let mut ingest = IngestServiceClient::new(server.channel().await);
    ingest.ingest(with(&server.key, batch(vec![event("view")]))).await.unwrap();
    let has_chunk = || modes(folder.path()).iter().any(|(path, _)| path.ends_with(".parquet"));
    crate::support::until(has_chunk).await;
    for (path, mode) in modes(folder.path()) {
        assert_eq!(mode & 0o077, 0, "{path} has the mode {mode:o}");
    }
}
