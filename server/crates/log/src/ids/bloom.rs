//! A blocked Bloom filter that grows: one cache line per probe and layer, no build step.

/// Probes per key: 7 x 9 bits fit one 64-bit hash.
const PROBES: u32 = 7;
const BLOCK_BITS: usize = 512;

/// One cache line. A plain array, because only then a new layer is memory that the system zeroes page by page when
/// it is touched, and not tens of megabytes written at once.
type Block = [u64; 8];

#[derive(Debug)]
struct Layer {
    blocks: Vec<Block>,
    room: usize,
}

/// Layers of doubling size. Tells "certainly not" or "perhaps"; never forgets a key.
#[derive(Debug)]
pub(crate) struct Bloom {
    layers: Vec<Layer>,
    bits_per_key: usize,
    first: usize,
}

impl Bloom {
    /// An empty filter whose first layer has room for `first` keys.
    pub(crate) fn new(first: usize, bits_per_key: usize) -> Self {
        Self { layers: Vec::new(), bits_per_key, first: first.max(64) }
    }

    pub(crate) fn insert(&mut self, hash: u64) {
        if self.layers.last().is_none_or(|layer| layer.room == 0) {
            let keys = self.first << self.layers.len().min(20);
            let blocks: Vec<Block> = vec![[0; 8]; (keys * self.bits_per_key).div_ceil(BLOCK_BITS)];
            self.layers.push(Layer { blocks, room: keys });
        }
        if let Some(layer) = self.layers.last_mut() {
            layer.room -= 1;
            let at = block_of(hash, layer.blocks.len());
            let block = &mut layer.blocks[at];
            for (word, bit) in probes(hash) {
                block[word] |= bit;
            }
        }
    }

    pub(crate) fn contains(&self, hash: u64) -> bool {
        self.layers.iter().any(|layer| {
            let block = &layer.blocks[block_of(hash, layer.blocks.len())];
            probes(hash).all(|(word, bit)| block[word] & bit != 0)
        })
    }

    pub(crate) fn bytes(&self) -> usize {
        self.layers.iter().map(|layer| layer.blocks.len() * BLOCK_BITS / 8).sum()
    }
}

/// The block by the hash's upper bits, without a division.
fn block_of(hash: u64, blocks: usize) -> usize {
    ((u128::from(hash) * blocks as u128) >> 64) as usize
}

/// Word and bit of each probe, from bits that the block's choice does not use alone.
fn probes(hash: u64) -> impl Iterator<Item = (usize, u64)> {
    let mixed = (hash ^ (hash >> 32)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    (0..PROBES).map(move |i| {
        let nine = (mixed >> (9 * i)) & 511;
        ((nine >> 6) as usize, 1 << (nine & 63))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use xxhash_rust::xxh3::xxh3_64;

    #[test]
    fn never_forgets_and_rarely_errs_while_it_grows() {
        let mut bloom = Bloom::new(1000, 20);
        let hash = |n: u64| xxh3_64(&n.to_le_bytes());
        (0..20_000).for_each(|n| bloom.insert(hash(n)));
        assert!((0..20_000).all(|n| bloom.contains(hash(n))));
        let wrong = (100_000..200_000).filter(|&n| bloom.contains(hash(n))).count();
        assert!(wrong < 1000, "{wrong} of 100,000");
    }
}
