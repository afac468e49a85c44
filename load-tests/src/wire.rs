//! A tonic codec that sends batches already encoded and decodes the answer by prost.

use bytes::{BufMut as _, Bytes};
use footpath_proto::v1::IngestResponse;
use prost::Message as _;
use tonic::Status;
use tonic::codec::{BufferSettings, Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};

/// Room for a usual batch, so that the buffer is reserved once and not doubled from 8 KiB.
const BUFFER_BYTES: usize = 256 * 1024;

/// Bytes out, [`IngestResponse`] in.
#[derive(Debug, Clone, Copy, Default)]
pub struct RawCodec;

impl Codec for RawCodec {
    type Encode = Bytes;
    type Decode = IngestResponse;
    type Encoder = RawEncoder;
    type Decoder = ResponseDecoder;

    fn encoder(&mut self) -> RawEncoder {
        RawEncoder
    }

    fn decoder(&mut self) -> ResponseDecoder {
        ResponseDecoder
    }
}

/// Copies a message that is encoded already.
#[derive(Debug, Clone, Copy)]
pub struct RawEncoder;

impl Encoder for RawEncoder {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, item: Bytes, dst: &mut EncodeBuf<'_>) -> Result<(), Status> {
        dst.put_slice(&item);
        Ok(())
    }

    fn buffer_settings(&self) -> BufferSettings {
        BufferSettings::new(BUFFER_BYTES, BUFFER_BYTES)
    }
}

/// Decodes the answer.
#[derive(Debug, Clone, Copy)]
pub struct ResponseDecoder;

impl Decoder for ResponseDecoder {
    type Item = IngestResponse;
    type Error = Status;

    fn decode(&mut self, src: &mut DecodeBuf<'_>) -> Result<Option<IngestResponse>, Status> {
        IngestResponse::decode(src)
            .map(Some)
            .map_err(|error| Status::internal(format!("the answer is not an IngestResponse: {error}")))
    }
}
