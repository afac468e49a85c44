//! From the ring into the database: numbers are given, blocks are sealed.

use std::collections::HashMap;

use footpath_proto::v1;
use rusqlite::{Transaction, params};

use super::ledger::set_receipt;
use super::{
    Absorbed, BlockRow, Queue, QueueError, Receipt, WITHDRAWN, insert_block, key_of, note_position,
    note_totals, place, set_meta, synchronous,
};
use crate::block::{Builder, Number, Owner};
use crate::clock::{Era, Randomness};
use crate::profile::{Consent, Profile};
use crate::record::{Record, Wish};
use crate::ring::{Consumer, Position};
use crate::seal::Sealer;

/// Events of one commit: enough to spread its cost, few enough to keep it short.
const MAX_COMMIT: usize = 2_000;

impl Queue {
    /// Moves what waits in the ring into the database, all or nothing. Where there is a critical event, it is on the disk
    /// when this returns.
    pub(crate) fn absorb(
        &mut self,
        ring: &mut Consumer,
        now_us: i64,
        random: &dyn Randomness,
    ) -> Result<Absorbed, QueueError> {
        let mut draft = Draft::new(&self.person);
        let mut torn = false;
        let mut read = 0;
        let more = |draft: &Draft, read| draft.events >= MAX_COMMIT || read >= self.commit_bytes;
        while !more(&draft, read) {
            match ring.next() {
                Ok(None) => break,
                Ok(Some(bytes)) => {
                    read += bytes.len();
                    draft.take(bytes, &self.streams);
                }
                Err(crate::ring::Damaged) => {
                    torn = true;
                    break;
                }
            }
        }
        let more = more(&draft, read);
        if draft.is_empty() && !torn {
            return Ok(Absorbed::default());
        }
        if torn {
            ring.skip_damage();
        }
        if let Err(error) = self.store(&draft, ring.position(), now_us, random) {
            ring.rewind();
            return Err(error);
        }
        ring.release(torn || self.sealer.encrypts());
        self.person = draft.person;
        Ok(Absorbed {
            events: draft.events as u64,
            critical: (draft.critical.len() + draft.wishes.len()) as u64,
            more,
            torn,
        })
    }

    /// Moves everything that is in the ring; `each` is told of every commit.
    pub(crate) fn absorb_whole(
        &mut self,
        ring: &mut Consumer,
        now_us: i64,
        random: &dyn Randomness,
        mut each: impl FnMut(Absorbed),
    ) -> Result<(), QueueError> {
        loop {
            let absorbed = self.absorb(ring, now_us, random)?;
            each(absorbed);
            // Behind what is damaged there may be more.
            if !absorbed.more && !absorbed.torn {
                return Ok(());
            }
        }
    }

    fn store(
        &mut self,
        draft: &Draft,
        position: Position,
        now_us: i64,
        random: &dyn Randomness,
    ) -> Result<(), QueueError> {
        let durable = !draft.critical.is_empty() || !draft.wishes.is_empty() || !draft.withdrawn.is_empty();
        synchronous(&self.db, durable)?;
        let tx = self.db.transaction()?;
        for era in &draft.eras {
            let mut insert =
                tx.prepare_cached("INSERT OR REPLACE INTO eras (id, boot, base_us) VALUES (?1, ?2, ?3)")?;
            insert.execute(params![era.id.cast_signed(), era.boot, era.base_us])?;
            set_meta(&tx, "era", era.id.cast_signed())?;
        }
        for ((class, lane), last) in &draft.numbers {
            let mut update =
                tx.prepare_cached("INSERT OR REPLACE INTO streams (class, lane, last) VALUES (?1, ?2, ?3)")?;
            update.execute(params![class, lane, last.cast_signed()])?;
        }
        for (class, (era, person), builder) in &draft.blocks {
            let owner = Owner {
                install: self.install.clone(),
                epoch: self.epoch,
                era: *era,
                class: (*class).into(),
                key: key_of(person, &self.sealer).to_owned(),
            };
            let (numbers, body) = builder.seal(&owner, &self.sealer, random).map_err(QueueError::Key)?;
            let (count, bytes) = (builder.count(), builder.bytes());
            let (numbers, body) = (&*numbers, &*body);
            insert_block(
                &tx,
                &BlockRow { owner: &owner, person, at_us: now_us, count, bytes, numbers, body },
            )?;
        }
        for id in &draft.critical {
            set_receipt(&tx, id, &Receipt::Queued)?;
        }
        for wish in &draft.wishes {
            insert_wish(&tx, wish, &self.sealer, random)?;
        }
        for person in &draft.withdrawn {
            set_meta(&tx, &format!("{WITHDRAWN}{person}"), 1)?;
        }
        if let Some(profile) = &draft.profile {
            store_profile(&tx, profile, &self.sealer, random)?;
        }
        note_position(&tx, position)?;
        let (mut sizes, mut streams) = (self.sizes, self.streams.clone());
        streams.extend(&draft.numbers);
        for (class, _, builder) in &draft.blocks {
            let total = &mut sizes[place(*class)];
            total.events += builder.count() as u64;
            total.bytes += builder.bytes() as u64;
        }
        note_totals(&tx, &sizes, &streams)?;
        tx.commit()?;
        (self.sizes, self.streams) = (sizes, streams);
        (self.unsynced, self.fresh) = (!durable, !durable && (self.fresh || draft.events > 0));
        Ok(())
    }

    /// Everything before this place in the ring is in the queue.
    pub(crate) fn note_absorbed(&self, position: Position) -> Result<(), QueueError> {
        note_position(&self.db, position)
    }
}

/// What one transaction will store.
struct Draft {
    person: String,
    numbers: HashMap<(u8, u8), u64>,
    /// By class, and by era and person within it.
    blocks: Vec<(u8, (u64, String), Builder)>,
    eras: Vec<Era>,
    profile: Option<Profile>,
    /// Those who no longer want to be followed.
    withdrawn: Vec<String>,
    wishes: Vec<Wish>,
    /// Ids of critical events.
    critical: Vec<[u8; 16]>,
    events: usize,
}

impl Draft {
    fn new(person: &str) -> Self {
        Self {
            person: person.to_owned(),
            numbers: HashMap::new(),
            blocks: Vec::new(),
            eras: Vec::new(),
            profile: None,
            withdrawn: Vec::new(),
            wishes: Vec::new(),
            critical: Vec::new(),
            events: 0,
        }
    }

    fn is_empty(&self) -> bool {
        self.events == 0 && self.eras.is_empty() && self.profile.is_none() && self.wishes.is_empty()
    }

    fn take(&mut self, record: &[u8], streams: &HashMap<(u8, u8), u64>) {
        match Record::read(record) {
            Some(Record::Event { class, lane, era, event }) => self.event(class, lane, era, event, streams),
            Some(Record::Era(era)) => self.eras.push(era),
            Some(Record::Profile(bytes)) => {
                if let Some(profile) = Profile::decode(bytes) {
                    // The key goes with the consent. Said here, it outlives whatever comes between.
                    if profile.consent == Consent::Denied && ![&*profile.key, ""].contains(&&*self.person) {
                        self.withdrawn.push(self.person.clone());
                    }
                    self.person.clone_from(&profile.key);
                    self.profile = Some(profile);
                }
            }
            Some(Record::Wish(wish)) => self.wishes.push(wish),
            None => tracing::error!("a record of the ring is of no known kind; it is skipped"),
        }
    }

    fn event(&mut self, class: u8, lane: u8, era: u64, event: &[u8], streams: &HashMap<(u8, u8), u64>) {
        let last = streams.get(&(class, lane)).copied().unwrap_or(0);
        let number = self.numbers.entry((class, lane)).or_insert(last);
        *number += 1;
        let at = Number { lane, number: *number };
        let owner = (era, self.person.clone());
        let fits = |block: &&mut (u8, (u64, String), Builder)| block.0 == class;
        let open = self.blocks.iter_mut().rev().find(fits);
        let builder = match open {
            Some((_, same, builder)) if *same == owner && !builder.is_full() => builder,
            _ => {
                self.blocks.push((class, owner, Builder::default()));
                let Some((.., builder)) = self.blocks.last_mut() else { return };
                builder
            }
        };
        builder.push(event, class.into(), at);
        self.events += 1;
        if i32::from(class) == v1::DeliveryClass::Critical as i32
            && let Some(id) = crate::wire::first_bytes(event, 2)
        {
            self.critical.push(id);
        }
    }
}

fn store_profile(
    tx: &Transaction<'_>,
    profile: &Profile,
    sealer: &Sealer,
    random: &dyn Randomness,
) -> Result<(), QueueError> {
    let key = sealer.install_key();
    let sealed = sealer.seal(key, &profile.encode(), b"profile", random).map_err(QueueError::Key)?;
    set_meta(tx, "profile", sealed)?;
    set_meta(tx, "profile_key", key)
}

fn insert_wish(
    tx: &Transaction<'_>,
    wish: &Wish,
    sealer: &Sealer,
    random: &dyn Randomness,
) -> Result<(), QueueError> {
    let key = sealer.install_key();
    let sealed = sealer.seal(key, &wish.put(), b"wish", random).map_err(QueueError::Key)?;
    let mut insert =
        tx.prepare_cached("INSERT OR REPLACE INTO wishes (id, sealed, key) VALUES (?1, ?2, ?3)")?;
    insert.execute(params![wish.id, sealed, key])?;
    Ok(())
}
