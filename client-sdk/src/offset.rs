//! How wrong the device's wall clock is, learnt from exchanges with the server.

use std::time::Duration;

use footpath_proto::v1::IngestResponse;

/// The server's clock less this device's, as far as it is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClockOffset {
    /// Microseconds to add to the wall clock.
    pub offset_us: i64,
    /// The true offset lies within so many microseconds of it.
    pub uncertainty_us: i64,
}

/// The exchange with the smallest round trip is the best witness (RFC 5905, section 10, without its statistics: a phone
/// asks too rarely for them). One that is much newer replaces it, as clocks drift.
#[derive(Debug, Default, Clone)]
pub(crate) struct Offset {
    best: Option<(ClockOffset, Duration)>,
}

impl Offset {
    /// After this long a wider exchange is believed more than a narrow old one.
    const OLD: Duration = Duration::from_secs(6 * 60 * 60);
    /// The clock was set: nothing learnt before holds.
    const JUMP_US: i64 = 2_000_000;

    /// Learns from an exchange: the wall clock when it was sent, and the continuous one at both ends.
    pub(crate) fn learn(&mut self, answer: &IngestResponse, sent_us: i64, sent: Duration, got: Duration) {
        let (Some(received), Some(answered)) = (micros(answer.received_at), micros(answer.answered_at))
        else {
            return;
        };
        let trip = i64::try_from(got.saturating_sub(sent).as_micros()).unwrap_or(i64::MAX);
        let there = answered.saturating_sub(received).max(0);
        let on_the_way = trip.saturating_sub(there).max(0);
        // Sent and received, answered and got: each gives a bound; the middle is the estimate.
        let offset_us = received.saturating_sub(sent_us).saturating_sub(on_the_way / 2);
        let found = ClockOffset { offset_us, uncertainty_us: on_the_way / 2 + 1 };
        let keep = self.best.is_some_and(|(best, at)| {
            let agrees = best.offset_us.saturating_sub(offset_us).saturating_abs()
                <= Self::JUMP_US.max(best.uncertainty_us.saturating_add(found.uncertainty_us));
            agrees && best.uncertainty_us <= found.uncertainty_us && got.saturating_sub(at) < Self::OLD
        });
        if !keep {
            self.best = Some((found, got));
        }
    }

    pub(crate) fn best(&self) -> Option<ClockOffset> {
        self.best.map(|(offset, _)| offset)
    }
}

fn micros(time: Option<prost_types::Timestamp>) -> Option<i64> {
    let time = time?;
    time.seconds.checked_mul(1_000_000)?.checked_add(i64::from(time.nanos) / 1_000)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn exchange(offset: &mut Offset, true_us: i64, out_us: u64, there_us: u64, back_us: u64, at_s: u64) {
        let (sent_us, sent) = (1_000_000_000_000_000, Duration::from_secs(at_s));
        let received = sent_us + true_us + out_us as i64;
        let stamp = |us: i64| {
            Some(prost_types::Timestamp { seconds: us / 1_000_000, nanos: (us % 1_000_000 * 1_000) as i32 })
        };
        let answer = IngestResponse {
            received_at: stamp(received),
            answered_at: stamp(received + there_us as i64),
            ..IngestResponse::default()
        };
        offset.learn(&answer, sent_us, sent, sent + Duration::from_micros(out_us + there_us + back_us));
    }

    proptest! {
        #[test]
        fn the_truth_is_within_the_bound(
            true_us in -100_000_000_000i64..100_000_000_000,
            trips in prop::collection::vec((0..20_000_000u64, 0..500_000u64, 0..20_000_000u64), 1..20),
        ) {
            let mut offset = Offset::default();
            for (at, (out, there, back)) in trips.iter().enumerate() {
                exchange(&mut offset, true_us, *out, *there, *back, at as u64 * 60);
                let best = offset.best().unwrap();
                prop_assert!((best.offset_us - true_us).abs() <= best.uncertainty_us, "{best:?} {true_us}");
            }
            let narrowest = trips.iter().map(|(out, _, back)| (out + back) as i64 / 2 + 1).min();
            prop_assert!(offset.best().unwrap().uncertainty_us <= narrowest.unwrap().max(20_000_001));
        }
    }

    #[test]
    fn the_narrowest_stays_until_the_clock_is_set_or_it_is_old() {
        let mut offset = Offset::default();
        exchange(&mut offset, 5_000, 10_000, 0, 10_000, 0);
        exchange(&mut offset, 5_000, 900_000, 0, 100_000, 60);
        assert_eq!(offset.best(), Some(ClockOffset { offset_us: 5_000, uncertainty_us: 10_001 }));
        exchange(&mut offset, 60_000_000, 900_000, 0, 100_000, 120);
        assert_eq!(offset.best().map(|best| best.uncertainty_us), Some(500_001));
        exchange(&mut offset, 60_000_000, 100, 0, 100, 180);
        exchange(&mut offset, 60_000_000, 900_000, 0, 100_000, 180 + 6 * 3_600 + 1);
        assert_eq!(offset.best().map(|best| best.uncertainty_us), Some(500_001));
    }
}
