//! Events that must be refused, each kind for another reason.

use footpath_model::wire::{put_bytes, put_uint, put_varint};
use footpath_proto::v1 as pb;
use prost::Message as _;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

/// An event that must be refused.
pub fn event(seed: u64) -> Vec<u8> {
    let mut random = StdRng::seed_from_u64(seed);
    let good = pb::Event { name: "open".into(), anonymous_id: "a".into(), ..Default::default() };
    let mut bytes = good.encode_to_vec();
    match seed % 12 {
        0 => bytes.clear(),
        1 => put_bytes(&mut bytes, 3, b"twice"),
        2 => put_bytes(&mut bytes, 7, &[0xff, 0xfe]),
        3 => put_uint(&mut bytes, 7, 1),
        4 => bytes.extend([0x80, 0x80, 0x00]),
        5 => put_varint(&mut bytes, 99 << 3 | 3),
        6 => put_bytes(&mut bytes, 7, &vec![b'x'; 40_000]),
        7 => put_bytes(&mut bytes, 7, &vec![b'x'; 600]),
        8 => put_uint(&mut bytes, 10, 5),
        9 => put_bytes(&mut bytes, 4, &[0x08, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01]),
        10 => put_bytes(&mut bytes, 1, b"not an id"),
        _ => {
            let len = random.random_range(1..40);
            bytes = (0..len).map(|_| random.random_range(0x80..0xff)).collect();
        }
    }
    bytes
}
