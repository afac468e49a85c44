//! An event in 16 bytes, for tails.

/// 52 bits of time, 20 bits of mask, 56 bits that stand for the id; compared as one number it sorts by time.
///
/// The id only tells a second copy from another event of the same microsecond. Both paths compare it in this
/// form, so they agree even in the one case in 2^56 where two such ids look alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Packed([u64; 2]);

const MASK_BITS: u32 = 20;
const TIME_BITS: u32 = 52;
/// The upper word holds the time and this many bits of the mask.
const MASK_HIGH_BITS: u32 = 64 - TIME_BITS;
const MASK_LOW_BITS: u32 = MASK_BITS - MASK_HIGH_BITS;
const TAG_BITS: u32 = 64 - MASK_LOW_BITS;

impl Packed {
    pub(crate) const EMPTY: Self = Self([0; 2]);

    /// `time_us` lies in `0..=MAX_TIME_US` and `mask` below 2^20.
    #[inline]
    pub(crate) fn new(time_us: i64, tag: u64, mask: u32) -> Self {
        let mask = u64::from(mask);
        let high = (time_us as u64) << MASK_HIGH_BITS | mask >> MASK_LOW_BITS;
        let low = mask << TAG_BITS | tag;
        Self([high, low])
    }

    #[inline]
    pub(crate) fn time_us(self) -> i64 {
        (self.0[0] >> MASK_HIGH_BITS) as i64
    }

    #[inline]
    pub(crate) fn mask(self) -> u32 {
        let high = self.0[0] & ((1 << MASK_HIGH_BITS) - 1);
        (high << MASK_LOW_BITS | self.0[1] >> TAG_BITS) as u32
    }

    #[inline]
    pub(crate) fn tag(self) -> u64 {
        self.0[1] & ((1 << TAG_BITS) - 1)
    }

    pub(crate) fn words(self) -> [u64; 2] {
        self.0
    }

    pub(crate) fn from_words(words: [u64; 2]) -> Self {
        Self(words)
    }
}

/// 56 bits that stand for an event's id. Mixed, because the ids of one client share most of their bits.
#[inline]
pub(crate) fn tag(id: u128) -> u64 {
    // The odd constants of SplitMix64's finaliser.
    let mut x = (id >> 64) as u64 ^ (id as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (x ^ (x >> 31)) >> (64 - TAG_BITS)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::funnel::MAX_TIME_US;

    proptest! {
        #[test]
        fn what_goes_in_comes_out(time in 0..=MAX_TIME_US, id: u128, mask in 0_u32..1 << 20) {
            let tag = tag(id);
            let packed = Packed::new(time, tag, mask);
            prop_assert_eq!((packed.time_us(), packed.tag(), packed.mask()), (time, tag, mask));
        }
    }
}
