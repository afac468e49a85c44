//! The public API of Footpath: the messages, clients and servers that `footpath/v1/*.proto` define.

/// Version 1 of the API.
#[allow(missing_docs, clippy::doc_markdown, clippy::large_enum_variant)]
pub mod v1 {
    include!(concat!(env!("OUT_DIR"), "/footpath.v1.rs"));
}

/// The file descriptors of the whole API, as an encoded `google.protobuf.FileDescriptorSet`.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/footpath.bin"));
