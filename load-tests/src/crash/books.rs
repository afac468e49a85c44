//! The driver's own books: every event that was ever sent, and what was answered.

use std::collections::HashMap;
use std::fmt;

use anyhow::{Context as _, bail, ensure};
use footpath_proto::v1;

use super::source::KEY;

/// Where a numbered event stands.
#[derive(Debug, Clone, Copy)]
pub struct Stream {
    /// The producer's epoch.
    pub epoch: u64,
    /// The actor's lane.
    pub lane: u32,
    /// The number.
    pub number: u64,
}

/// One event.
#[derive(Debug, Clone, Default)]
pub struct Entry {
    /// Names it here, and travels with it as a property.
    pub key: u64,
    /// Its id; empty until the server derived one.
    pub id: String,
    /// Its name.
    pub name: &'static str,
    /// Its anonymous id.
    pub anonymous: String,
    /// Its user id.
    pub user: String,
    /// When it happened, seconds since 1970.
    pub time_s: i64,
    /// Its plan.
    pub plan: &'static str,
    /// Its number, if it has one.
    pub stream: Option<Stream>,
    /// An answer said that it is stored.
    pub acked: bool,
    /// An answer or a listing said that it is stored.
    pub on_disk: bool,
}

impl Entry {
    /// Whom it is stored under; empty for an event that has to be refused.
    pub fn actor(&self) -> &str {
        if self.user.is_empty() { &self.anonymous } else { &self.user }
    }

    fn is_valid(&self) -> bool {
        !self.actor().is_empty()
    }
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "event {:#x} (sender {}, id {:?}, {}", self.key, self.key >> 32, self.id, self.name)?;
        if let Some(Stream { epoch, lane, number }) = self.stream {
            write!(f, ", epoch {epoch:#x} lane {lane} number {number}")?;
        }
        f.write_str(")")
    }
}

/// One batch.
#[derive(Debug)]
struct Batch {
    id: String,
    keys: Vec<u64>,
    /// Attempts whose end nobody knows, since the disk was last looked at.
    unknown: u32,
    /// Two copies are under way at once, and answers may come in either order.
    racing: bool,
    /// How often the disk had been looked at when the batch was sent last.
    sent: u32,
}

/// Events by what answers said of them, and those of attempts without an answer.
#[derive(Debug, Clone, Copy, Default)]
pub struct Tally {
    /// Stored.
    pub stored: u64,
    /// Duplicates.
    pub duplicates: u64,
    /// Refused.
    pub refused: u64,
    /// Of attempts that got no answer: any of the others, or never received.
    pub unknown: u64,
}

/// Everything that was sent.
#[derive(Debug, Default)]
pub struct Books {
    entries: HashMap<u64, Entry>,
    batches: Vec<Batch>,
    /// How often the disk was looked at.
    looks: u32,
    /// What answers said, all together.
    pub tally: Tally,
}

impl Books {
    /// Enters a batch before it is sent for the first time; answers its number here.
    pub fn enter(&mut self, id: String, entries: Vec<Entry>) -> usize {
        let keys = entries.iter().map(|entry| entry.key).collect();
        self.entries.extend(entries.into_iter().map(|entry| (entry.key, entry)));
        self.batches.push(Batch { id, keys, unknown: 0, racing: false, sent: self.looks });
        self.batches.len() - 1
    }

    /// The batch goes out, for the first time or again.
    pub fn sending(&mut self, batch: usize) {
        self.batches[batch].sent = self.looks;
    }

    /// An attempt may have been received or not; nobody will know.
    pub fn unanswered(&mut self, batch: usize) {
        let batch = &mut self.batches[batch];
        batch.unknown += 1;
        self.tally.unknown += batch.keys.len() as u64;
    }

    /// Two copies of the batch are under way from now on, or no more.
    pub fn racing(&mut self, batch: usize, racing: bool) {
        self.batches[batch].racing = racing;
    }

    /// Takes an answer; says whether all of the batch is done with.
    ///
    /// # Errors
    /// If the answer contradicts the books.
    pub fn answered(&mut self, batch: usize, answer: &v1::IngestResponse) -> anyhow::Result<bool> {
        let Batch { id, keys, unknown, racing, sent } = &self.batches[batch];
        let (stored, duplicates) = (u64::from(answer.stored), u64::from(answer.duplicates));
        ensure!(answer.batch_id == *id, "batch {id}: the answer names batch {:?}", answer.batch_id);
        let sum = stored + duplicates + answer.refused.len() as u64;
        ensure!(sum == keys.len() as u64, "batch {id}: {} events, {sum} outcomes: {answer:?}", keys.len());
        let refused: HashMap<usize, &v1::Refusal> =
            answer.refused.iter().map(|one| (one.index as usize, one)).collect();
        let (mut before, mut done) = (0, true);
        for (index, key) in keys.iter().enumerate() {
            let entry = self.entries.get_mut(key).context("an event that is not in the books")?;
            match refused.get(&index) {
                None if !entry.is_valid() => bail!("{entry} was stored without an actor"),
                Some(refusal) if entry.is_valid() && !refusal.retryable => {
                    bail!("{entry} was refused: {refusal:?}")
                }
                Some(refusal) => done &= !refusal.retryable,
                None => {
                    before += u64::from(entry.on_disk);
                    (entry.acked, entry.on_disk) = (true, true);
                }
            }
        }
        let fits = if *unknown > 0 { duplicates >= before } else { duplicates == before };
        // A killed server's last answer may be read only after its disk was looked at: what that look found is no news to it.
        let late = *sent != self.looks;
        ensure!(
            fits || *racing || late,
            "batch {id}: {before} of {} were stored before, {unknown} attempts without an answer since, yet {answer:?}",
            keys.len()
        );
        self.tally.stored += stored;
        self.tally.duplicates += duplicates;
        self.tally.refused += answer.refused.len() as u64;
        Ok(done)
    }

    /// Compares with everything that is stored. `quiet` says that nothing is under way: then every event is there.
    ///
    /// # Errors
    /// Names an event that is missing, there twice, changed, or was never sent.
    pub fn compare(&mut self, listed: &[v1::StoredEvent], quiet: bool) -> anyhow::Result<()> {
        let mut seen: HashMap<u64, &v1::StoredEvent> = HashMap::with_capacity(listed.len());
        for event in listed {
            let key = key(event).with_context(|| format!("stored, but not of the books: {event:?}"))?;
            let entry = self.entries.get_mut(&key).with_context(|| format!("never sent: {event:?}"))?;
            if let Some(first) = seen.insert(key, event) {
                let places = ((first.offset, first.index), (event.offset, event.index));
                bail!("{entry} is stored twice, at {:?} and {:?}", places.0, places.1);
            }
            same(entry, event)?;
            entry.on_disk = true;
        }
        for entry in self.entries.values() {
            let there = seen.contains_key(&entry.key);
            ensure!(there || !entry.acked, "{entry} was acknowledged and is not stored");
            ensure!(there || !quiet || !entry.is_valid(), "{entry} is not stored and no sender is left");
        }
        for batch in &mut self.batches {
            batch.unknown = 0;
        }
        self.looks += 1;
        Ok(())
    }

    /// How many events were acknowledged.
    pub fn acked(&self) -> u64 {
        self.entries.values().filter(|entry| entry.acked).count() as u64
    }

    /// Every stored event.
    pub fn stored(&self) -> impl Iterator<Item = &Entry> {
        self.entries.values().filter(|entry| entry.on_disk)
    }
}

/// What names an event in the books.
pub fn key(event: &v1::StoredEvent) -> Option<u64> {
    let value = event.properties.as_ref()?.fields.get(KEY)?.kind.as_ref()?;
    match value {
        prost_types::value::Kind::NumberValue(number) => Some(*number as u64),
        _ => None,
    }
}

/// Whether it is stored as it was sent.
fn same(entry: &mut Entry, event: &v1::StoredEvent) -> anyhow::Result<()> {
    ensure!(entry.is_valid(), "{entry} is stored without an actor");
    if entry.id.is_empty() {
        entry.id.clone_from(&event.id);
    }
    let sent = (&*entry.id, entry.name, &*entry.anonymous, &*entry.user, Some(entry.time_s));
    let time_s = event.time.as_ref().map(|time| time.seconds);
    let stored = (&*event.id, &*event.name, &*event.anonymous_id, &*event.user_id, time_s);
    ensure!(sent == stored, "{entry} was changed: sent {sent:?}, stored {stored:?}");
    Ok(())
}

#[cfg(test)]
mod tests;
