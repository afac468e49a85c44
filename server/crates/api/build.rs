//! The ingest service is generated with a codec that hands over bytes: full decoding is what a plain server
//! spends most of its time on (docs/adr/0003-wire-path.md).

use tonic_build::manual::{Builder, Method, Service};

fn main() {
    let method = |name: &str, route: &str, output: &str| {
        Method::builder()
            .name(name)
            .route_name(route)
            .input_type("bytes::Bytes")
            .output_type(output)
            .codec_path("crate::raw::RawCodec")
    };
    let service = Service::builder()
        .name("IngestService")
        .package("footpath.v1")
        .method(method("ingest", "Ingest", "footpath_proto::v1::IngestResponse").build())
        .method(
            method("ingest_stream", "IngestStream", "footpath_proto::v1::IngestStreamResponse")
                .client_streaming()
                .server_streaming()
                .build(),
        )
        .build();
    Builder::new().build_client(false).compile(&[service]);
}
