//! Who was active lately.

use hashbrown::HashMap;

use crate::funnel::clamp_time;
use crate::identity::ActorKey;
use crate::metric::codec::{BadBytes, put, take, take_array, take_len};

const SECOND_US: i64 = 1_000_000;
const FIVE_MINUTES_S: i64 = 5 * 60;
const HALF_HOUR_S: i64 = 30 * 60;

/// How many distinct persons had an event in each window. A window has a beginning and no end: an event that a client's clock
/// dates ahead counts at once, as in funnels.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Active {
    /// In the last 5 minutes.
    pub five_minutes: u64,
    /// In the last 30 minutes.
    pub half_hour: u64,
    /// Since the day began.
    pub today: u64,
}

/// Each person's last event, and the [`Active`] ones as of a moment, which moves without any event.
///
/// Counted to the second: an event is in the last 5 minutes while its second is at most 300 behind the present one. Who was not
/// seen in the longest window is forgotten, and an event before it changes nothing. So the order of arrival does not
/// matter, given where the moment is moved to. About 20 bytes a person.
#[derive(Debug, Clone)]
pub struct ActiveUsers {
    now_s: i64,
    day_s: i64,
    /// The beginning of the longest window; it never moves back.
    floor_s: i64,
    last_s: HashMap<ActorKey, i64>,
    /// Of the last half hour and what is dated ahead, how many persons were last seen in each second.
    by_second: HashMap<i64, u64>,
    active: Active,
}

impl ActiveUsers {
    /// Nobody, as of `now_us`, on a day that began at `day_start_us` (microseconds since 1970).
    pub fn new(now_us: i64, day_start_us: i64) -> Self {
        let (now_s, day_s) = (second(now_us), second(day_start_us));
        let mut users = Self {
            now_s,
            day_s,
            floor_s: 0,
            last_s: HashMap::new(),
            by_second: HashMap::new(),
            active: Active::default(),
        };
        users.raise_floor();
        users
    }

    /// The counts as of the moment last moved to.
    pub fn active(&self) -> Active {
        self.active
    }

    /// The moment last moved to, microseconds since 1970.
    pub fn now_us(&self) -> i64 {
        self.now_s * SECOND_US
    }

    /// How many persons are remembered.
    pub fn len(&self) -> usize {
        self.last_s.len()
    }

    /// Whether nobody is remembered.
    pub fn is_empty(&self) -> bool {
        self.last_s.is_empty()
    }

    /// A person had an event.
    #[inline]
    pub fn apply(&mut self, person: ActorKey, time_us: i64) {
        self.seen(person, second(time_us));
    }

    /// Two persons became one.
    pub fn merge(&mut self, loser: ActorKey, winner: ActorKey) {
        if loser == winner {
            return;
        }
        if let Some(last_s) = self.forget(loser) {
            self.seen(winner, last_s);
        }
    }

    /// Takes a person out: an erasure. Gives the second of the last event.
    pub fn forget(&mut self, person: ActorKey) -> Option<i64> {
        let last_s = self.last_s.remove(&person)?;
        self.leave(last_s);
        Some(last_s)
    }

    /// Moves to a later moment, on a day that began at `day_start_us`; an earlier moment than before is taken as that one. Takes
    /// time for the seconds that passed, and once a day for everybody.
    ///
    /// If the day begins earlier than before (another zone) who was forgotten stays so, and "today" is complete again
    /// with the next day.
    pub fn advance(&mut self, now_us: i64, day_start_us: i64) {
        let before_s = self.now_s;
        self.now_s = before_s.max(second(now_us));
        let (five, half) = (FIVE_MINUTES_S, HALF_HOUR_S);
        self.active.five_minutes -= self.between(before_s - five, self.now_s - five);
        self.active.half_hour -= self.between(before_s - half, self.now_s - half);
        self.drop_seconds(before_s - half, self.now_s - half);
        let day_s = second(day_start_us);
        if day_s != self.day_s {
            self.day_s = day_s;
            self.active.today = self.last_s.values().filter(|last| **last >= day_s).count() as u64;
        }
        self.raise_floor();
        self.forget_old();
    }

    #[inline]
    fn seen(&mut self, person: ActorKey, time_s: i64) {
        if time_s < self.floor_s {
            return;
        }
        match self.last_s.insert(person, time_s) {
            None => self.enter(time_s),
            Some(before_s) if before_s < time_s => {
                self.leave(before_s);
                self.enter(time_s);
            }
            Some(before_s) => {
                self.last_s.insert(person, before_s);
            }
        }
    }

    fn enter(&mut self, time_s: i64) {
        if time_s >= self.now_s - HALF_HOUR_S {
            *self.by_second.entry(time_s).or_default() += 1;
            self.active.half_hour += 1;
        }
        self.active.five_minutes += u64::from(time_s >= self.now_s - FIVE_MINUTES_S);
        self.active.today += u64::from(time_s >= self.day_s);
    }

    fn leave(&mut self, time_s: i64) {
        if time_s >= self.now_s - HALF_HOUR_S {
            self.active.half_hour -= 1;
            if let Some(persons) = self.by_second.get_mut(&time_s) {
                *persons -= 1;
                if *persons == 0 {
                    self.by_second.remove(&time_s);
                }
            }
        }
        self.active.five_minutes -= u64::from(time_s >= self.now_s - FIVE_MINUTES_S);
        self.active.today -= u64::from(time_s >= self.day_s);
    }

    /// Persons last seen in these seconds. After a long pause there are fewer seconds with persons than seconds.
    fn between(&self, from_s: i64, to_s: i64) -> u64 {
        if to_s - from_s <= self.by_second.len() as i64 {
            return (from_s..to_s).filter_map(|second| self.by_second.get(&second)).sum();
        }
        let inside = self.by_second.iter().filter(|(second, _)| (from_s..to_s).contains(*second));
        inside.map(|(_, persons)| persons).sum()
    }

    fn drop_seconds(&mut self, from_s: i64, to_s: i64) {
        if to_s - from_s <= self.by_second.len() as i64 {
            (from_s..to_s).for_each(|second| {
                self.by_second.remove(&second);
            });
        } else {
            self.by_second.retain(|second, _| *second >= to_s);
        }
    }

    fn raise_floor(&mut self) {
        self.floor_s = self.floor_s.max(self.day_s.min(self.now_s - HALF_HOUR_S));
    }

    /// Goes over everybody only when half of them are old, so that it costs each person a constant.
    fn forget_old(&mut self) {
        let remembered = self.active.today.max(self.active.half_hour) as usize;
        if self.last_s.len() > 2 * remembered + 1024 {
            let floor_s = self.floor_s;
            self.last_s.retain(|_, last_s| *last_s >= floor_s);
        }
    }

    /// Appends the state, persons in the order of their keys.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let persons = self.last_s.iter().filter(|(_, last_s)| **last_s >= self.floor_s);
        let mut persons: Vec<_> = persons.map(|(person, last_s)| (person.0, *last_s)).collect();
        persons.sort_unstable();
        [self.now_s, self.day_s, self.floor_s].iter().for_each(|second| put(out, *second as u64));
        put(out, persons.len() as u64);
        for (person, last_s) in persons {
            out.extend_from_slice(&person.to_le_bytes());
            put(out, last_s as u64);
        }
    }

    /// Reads a state from the front of `bytes` and moves them behind it.
    ///
    /// # Errors
    /// [`BadBytes`] if they are no such state.
    pub fn decode(bytes: &mut &[u8]) -> Result<Self, BadBytes> {
        let mut users = Self::new(take_second(bytes)? * SECOND_US, take_second(bytes)? * SECOND_US);
        users.floor_s = take_second(bytes)?;
        for _ in 0..take_len(bytes)? {
            let person = ActorKey(u64::from_le_bytes(take_array(bytes)?));
            let last_s = take_second(bytes)?;
            if last_s < users.floor_s || users.last_s.insert(person, last_s).is_some() {
                return Err(BadBytes);
            }
            users.enter(last_s);
        }
        Ok(users)
    }
}

fn second(time_us: i64) -> i64 {
    clamp_time(time_us) / SECOND_US
}

fn take_second(bytes: &mut &[u8]) -> Result<i64, BadBytes> {
    let second = i64::try_from(take(bytes)?).map_err(|_| BadBytes)?;
    let known = second <= crate::funnel::MAX_TIME_US / SECOND_US;
    if known { Ok(second) } else { Err(BadBytes) }
}

#[cfg(test)]
mod tests;
