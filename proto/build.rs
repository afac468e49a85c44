//! Compiles the API without protoc, and keeps its descriptors for reflection and for the page.

use std::path::PathBuf;

use prost::Message as _;

const FILES: [&str; 10] = [
    "footpath/v1/event.proto",
    "footpath/v1/ingest_service.proto",
    "footpath/v1/measure.proto",
    "footpath/v1/live_service.proto",
    "footpath/v1/query_service.proto",
    "footpath/v1/definition_service.proto",
    "footpath/v1/person_service.proto",
    "footpath/v1/catalog_service.proto",
    "footpath/v1/admin_service.proto",
    "footpath/v1/alert_service.proto",
];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo:rerun-if-changed=footpath");
    let descriptors = protox::compile(FILES, ["."])?;
    let out = PathBuf::from(std::env::var("OUT_DIR")?);
    std::fs::write(out.join("footpath.bin"), descriptors.encode_to_vec())?;
    let services = std::env::var_os("CARGO_FEATURE_GRPC").is_some();
    tonic_prost_build::configure().build_client(services).build_server(services).compile_fds(descriptors)?;
    Ok(())
}
