//! What chance decides of a round, and what is printed of it.

use std::fmt;
use std::time::Duration;

use rand::RngExt as _;
use rand::rngs::StdRng;

/// What chance decides of a round.
#[derive(Debug)]
pub struct Plan {
    /// How long the server lives under load.
    pub life: Duration,
    /// Killed again so long after its process began.
    pub in_its_start: Option<Duration>,
    /// Killed again so long after senders were told of it.
    pub in_the_retries: Option<Duration>,
    /// Look at the disk before anything is sent again.
    pub look_first: bool,
}

impl Plan {
    /// Draws one.
    pub fn draw(rng: &mut StdRng) -> Self {
        let ms = Duration::from_millis;
        Self {
            life: ms(rng.random_range(50..=800)),
            in_its_start: rng.random_bool(0.25).then(|| ms(rng.random_range(1..=250))),
            in_the_retries: rng.random_bool(0.25).then(|| ms(rng.random_range(1..=150))),
            look_first: rng.random_bool(0.3),
        }
    }
}

/// What is printed of a round.
pub struct Line {
    /// Of the round's own chances.
    pub seed: u64,
    /// How long the server lived under load.
    pub life: Duration,
    /// SIGKILLs.
    pub kills: u32,
    /// Events acknowledged.
    pub acked: u64,
    /// Events answered as duplicates.
    pub duplicates: u64,
    /// How long the last start took.
    pub up: Duration,
    /// From that start to the first answer.
    pub first_ack: Option<Duration>,
    /// Log records that the tail missed, by its own word, since it began.
    pub trimmed: u64,
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { seed, life, kills, acked, duplicates, up, first_ack, trimmed } = self;
        write!(f, "seed {seed} killed after {:>3} ms, {kills} kills: ", life.as_millis())?;
        write!(f, "acked {acked:>6}, duplicates {duplicates:>5}, up in {} ms, first ack ", up.as_millis())?;
        match first_ack {
            Some(after) => write!(f, "{} ms", after.as_millis())?,
            None => f.write_str("-")?,
        }
        if *trimmed > 0 {
            write!(f, ", the tail has a gap of {trimmed} records")?;
        }
        Ok(())
    }
}
