//! The worker's storage: found, opened, put together again, moved into, taken over from others.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::{Place, Setup, Worker};
use crate::clock::Era;
use crate::error::{Problem, QueueError};
use crate::folder::{Folder, Life};
use crate::intake::{Open, Taken};
use crate::profile::{Consent, Profile};
use crate::queue::{Absorbed, Opened, Queue};
use crate::record::Record;
use crate::ring::{Consumer, Damaged, Producer, Ring};

/// While something happens, what other processes left is looked for this often.
const ADOPT_EVERY: Duration = Duration::from_secs(60);
/// A ring that is only read to its end.
const LEAST_RING: usize = 1 << 16;

/// The storage, once it is open.
pub(super) struct Storage {
    pub(super) queue: Queue,
    pub(super) ring: Consumer,
    pub(super) folder: Option<Folder>,
    /// Calls go through to it, those that waited first: a flush may be measured by it.
    pub(super) complete: bool,
}

impl Storage {
    /// Whether the error says that the database itself is broken.
    pub(super) fn is_broken_by(&self, error: &QueueError) -> bool {
        self.folder.is_some() && (error.is_corrupt() || error.is_doubtful() && self.queue.is_broken())
    }
}

/// What is known of a storage whose ring was not moved yet.
pub(super) struct Opening {
    producer: Producer,
    era: Option<Era>,
    intact: bool,
    ahead: bool,
    denied: bool,
    /// What the ring says of consent, once it was looked through: nothing comes into it.
    may_send: Option<bool>,
}

/// What was found.
struct Found {
    opened: Opened,
    ring: Ring,
    folder: Option<Folder>,
    /// An earlier process had a database here, and it is gone.
    missing: bool,
}

impl Worker {
    /// Opens or makes the storage. Calls go through to it once [`Worker::complete_storage`] is done.
    pub(super) fn open_storage(&mut self) -> Result<(), QueueError> {
        let opened = match self.try_open() {
            Err(error) if error.is_full() && self.make_room() => {
                self.close_storage(&error);
                self.try_open()
            }
            opened => opened,
        };
        opened.inspect_err(|error| self.close_storage(error))
    }

    /// On a full disk, what waits can still be sent and deleted: for that some bytes are kept. Whether there were any.
    pub(super) fn make_room(&mut self) -> bool {
        self.tight = true;
        if let Some(storage) = &mut self.storage {
            storage.queue.spare_the_disk();
        }
        self.ballast.as_ref().is_some_and(|ballast| fs::remove_file(ballast).is_ok())
    }

    /// Whether the disk was full and there is something to send, which makes room.
    pub(super) fn sends_first(&mut self) -> Result<bool, QueueError> {
        if !self.tight || self.is_destroying() {
            return Ok(false);
        }
        let Some(Storage { queue, .. }) = &self.storage else { return Ok(false) };
        self.tight = queue.pending() > 0;
        if self.tight {
            self.delivery.force(queue.last_block()?);
        }
        Ok(self.tight)
    }

    fn try_open(&mut self) -> Result<(), QueueError> {
        let Found { opened, ring, folder, missing } = self.find_storage()?;
        self.suspect = false;
        let Opened { mut queue, era, intact, .. } = opened;
        let Ring { producer, consumer, torn, ahead, denied } = ring;
        queue.check_project(&self.setup.project)?;
        if self.tight {
            queue.spare_the_disk();
        } else {
            folder.as_ref().into_iter().for_each(Folder::reserve);
        }
        if let Some(left) = self.left.first() {
            queue.belong_to(left.queue.install())?;
        }
        self.storage = Some(Storage { queue, ring: consumer, folder, complete: false });
        if missing {
            self.lost("the queue's database was deleted from outside, and everything in it");
        }
        self.note_torn(torn || ahead && !missing);
        self.opening = Some(Opening { producer, era, intact, ahead, denied, may_send: None });
        self.committed_before = self.stats.lock().committed;
        let Some(storage) = &self.storage else { return Ok(()) };
        self.delivery.recall(&storage.queue, self.now())
    }

    /// Moves what an earlier run left in the ring, which may change who the person is, and what they allow.
    fn move_what_was_left(&mut self) -> Result<(), QueueError> {
        let Some(Opening { intact, ahead, denied, .. }) = self.opening else { return Ok(()) };
        self.go_on(intact, ahead)?;
        let profile = self.stored_profile(denied)?;
        let Some(Opening { producer, era, .. }) = self.opening.take() else { return Ok(()) };
        self.open = Some(match self.open.take() {
            Some(open) => Box::new(open.with(producer)),
            None => {
                let Setup { project, shared, clock, random, .. } = &self.setup;
                Box::new(Open::new(project, producer, shared.clone(), profile, era, &**clock, &**random))
            }
        });
        self.committed_before = self.stats.lock().committed;
        Ok(())
    }

    /// On a full disk, what is in the database may be sent before anything is moved into it, unless somebody has said
    /// meanwhile, or in the ring, that it may not.
    pub(super) fn may_send_early(&mut self) -> Result<bool, QueueError> {
        if !self.tight || self.intake.has_early_consent() {
            return Ok(false);
        }
        let is_granted = |consent: Consent| consent == Consent::Granted;
        let Some(opening) = &mut self.opening else {
            return Ok(self.open.as_ref().is_some_and(|open| open.consent().is_none_or(is_granted)));
        };
        if let Some(known) = opening.may_send {
            return Ok(known);
        }
        let first = if self.setup.backend { Consent::Granted } else { self.setup.first_consent };
        let open = self.open.as_ref().and_then(|open| open.consent());
        let Some(Storage { queue, ring, .. }) = &mut self.storage else { return Ok(false) };
        let mut consent = queue.profile()?.map_or(first, |profile| profile.consent);
        loop {
            match ring.next() {
                Ok(Some(record)) => {
                    if let Some(Record::Profile(bytes)) = Record::read(record) {
                        consent = Profile::decode(bytes).map_or(consent, |profile| profile.consent);
                    }
                }
                Ok(None) => break,
                Err(Damaged) => ring.skip_damage(),
            }
        }
        ring.rewind();
        let may_send = !opening.denied && is_granted(open.unwrap_or(consent));
        opening.may_send = Some(may_send);
        Ok(may_send)
    }

    /// Lets calls through, those that waited first, and takes over what others left.
    pub(super) fn complete_storage(&mut self) -> Result<(), QueueError> {
        self.move_what_was_left()?;
        let Some(open) = self.open.take() else { return Ok(()) };
        self.let_in(open)?;
        self.intake.save(); // Whoever it is now is the same one after a kill.
        let now = self.now();
        self.delivery.wait_for_consent(self.consent() == Some(Consent::Pending), now);
        self.consent_due = true; // It is the same device, whoever was asked.
        if let Some(storage) = &mut self.storage {
            storage.complete = true;
        }
        self.delivery.on_stored(true, now);
        self.absorb_at = Some(now); // What has waited is in the ring.
        std::mem::take(&mut self.early).into_iter().for_each(|command| self.obey(command));
        // One that fails is done again.
        self.bring_along().and(self.adopt_orphans())
    }

    /// A storage that has failed: calls wait again. What lies in a folder that was deleted is still there, in files without a
    /// name, until the next storage has taken it over.
    pub(super) fn close_storage(&mut self, error: &QueueError) {
        let Some(mut storage) = self.storage.take() else { return };
        self.suspect |= storage.is_broken_by(error);
        self.opening = None;
        self.open = self.intake.reopen().or_else(|| self.open.take());
        self.delivery.abandon();
        self.delivery.discard();
        if matches!(error, QueueError::Deleted(_)) {
            if let Some(folder) = storage.folder.take() {
                folder.remove_ring(); // A new one in the same place is empty.
            }
            self.left.push(storage);
        }
    }

    pub(super) fn consent(&self) -> Option<Consent> {
        self.intake.who().map(|who| who.consent)
    }

    /// Who the device's person is; `None`: a backend. `denied`: they have said so, and it got no further than the ring.
    fn stored_profile(&self, denied: bool) -> Result<Option<Profile>, QueueError> {
        let Setup { backend, first_consent, random, .. } = &self.setup;
        let (false, Some(storage)) = (*backend, &self.storage) else { return Ok(None) };
        let stored = storage.queue.profile()?;
        let mut profile = stored.unwrap_or_else(|| Profile::new(*first_consent, &**random));
        if denied && profile.consent != Consent::Denied {
            storage.queue.note_withdrawn(&profile.withdraw(&**random))?;
            profile.consent = Consent::Denied;
        }
        Ok(Some(profile))
    }

    fn find_storage(&mut self) -> Result<Found, QueueError> {
        let Setup { sealer, random, ring_bytes, .. } = &self.setup;
        let Place::Folder(base) = &self.setup.place else {
            let opened = Queue::in_memory(sealer.clone(), &**random)?;
            let ring = Ring::in_memory(*ring_bytes, &**random);
            let ring = ring.map_err(|error| QueueError::Folder("memory".into(), error))?;
            return Ok(Found { opened, ring, folder: None, missing: false });
        };
        // What waits for another project's key must not go out with this one's.
        let folder = Folder::claim(&base.join(&self.setup.project), &**random)?;
        self.ballast = Some(folder.ballast());
        let Setup { sealer, random, clock, ring_bytes, .. } = &self.setup;
        let missing = folder.misses_database();
        let found = Life::found(&folder, &**clock);
        let open =
            |found| Queue::open(&folder.database(), sealer.clone(), found, &folder.broken(), &**random);
        if self.suspect && folder.database().exists() {
            self.quarantine(&folder, &folder.path)?;
        }
        let opened = match open(found.as_ref()) {
            Err(error)
                if error.is_corrupt() || error.is_doubtful() && Queue::is_broken_at(&folder.database()) =>
            {
                self.quarantine(&folder, &folder.path)?;
                open(None)?
            }
            opened => opened?,
        };
        let failed = |error| QueueError::Folder(folder.path.clone(), error);
        let ring = Ring::open(&folder.ring(), *ring_bytes, opened.absorbed, !opened.salvaged, &**random)
            .map_err(failed)?;
        let missing = missing && !opened.salvaged && self.left.is_empty();
        Ok(Found { opened, ring, folder: Some(folder), missing })
    }

    /// Goes on where an earlier run has ended. What it left in the ring goes first, with the numbers that it would have
    /// got then: from a restored backup, the server may have it already. Only what comes now needs numbers of its own
    /// there, and where the queue has lost commits, everything does.
    fn go_on(&mut self, intact: bool, ahead: bool) -> Result<(), QueueError> {
        let Setup { random, clock, .. } = &self.setup;
        let (random, clock) = (Arc::clone(random), Arc::clone(clock));
        if let Some(storage) = self.storage.as_mut().filter(|_| ahead) {
            storage.queue.begin_epoch(&*random)?;
        }
        self.absorb_all()?;
        let Some(Storage { queue, ring, folder, .. }) = &mut self.storage else { return Ok(()) };
        // Even if nothing was absorbed yet: a ring that the queue does not know would be taken for somebody else's.
        queue.note_absorbed(ring.position())?;
        if !intact && !ahead {
            queue.begin_epoch(&*random)?;
        }
        let Some(folder) = folder else { return Ok(()) };
        let life = Life::begin(folder, &*clock, &*random);
        queue.set_life(life.map_err(|error| QueueError::Folder(folder.path.clone(), error))?.as_ref())
    }

    /// Puts a broken database aside, into the folder `into`; answers where it is.
    fn quarantine(&self, folder: &Folder, into: &Path) -> Result<PathBuf, QueueError> {
        let aside = folder.quarantine(into, self.setup.clock.wall_us());
        let aside = aside.map_err(|error| QueueError::Folder(folder.path.clone(), error))?;
        tracing::error!(path = %aside.display(), "the queue's database is broken; it is set aside");
        self.setup.notify(&Problem::Quarantined(aside.clone()));
        Ok(aside)
    }

    /// Lets calls through to the ring, those that waited first.
    fn let_in(&mut self, open: Box<Open>) -> Result<(), QueueError> {
        let intake = Arc::clone(&self.intake);
        let mut told = Vec::new();
        let mut failed = None;
        let drain = || match self.absorb_all() {
            Ok(()) => true,
            Err(error) => {
                failed = Some(error);
                false
            }
        };
        let mut left_out = Vec::new();
        let left = intake.open(
            open,
            drain,
            |taken: Taken| told.extend(taken.consent),
            |id, error| left_out.push((id, error)),
        );
        for (consent, key) in told {
            self.on_consent(consent, key);
        }
        self.open = left.err();
        if let Some(Storage { queue, .. }) = &mut self.storage {
            // Somebody may wait for their receipts. Calls are let in already: this must not stop what follows.
            for (id, error) in left_out {
                if let Err(error) = queue.note_rejected(id.as_bytes(), &error.to_string()) {
                    tracing::warn!(%error, "a receipt cannot be noted");
                }
            }
        }
        failed.map_or(Ok(()), Err)
    }

    /// Takes over what storages held whose folders were deleted.
    fn bring_along(&mut self) -> Result<(), QueueError> {
        let Some(Storage { queue, .. }) = &mut self.storage else { return Ok(()) };
        let Setup { clock, random, .. } = &self.setup;
        let (stats, before) = (&self.stats, &mut self.committed_before);
        let mut torn = false;
        while let Some(left) = self.left.last_mut() {
            let count = |absorbed: Absorbed| {
                stats.lock().committed += absorbed.events;
                *before += absorbed.events;
                torn |= absorbed.torn;
            };
            let absorbed = left.queue.absorb_whole(&mut left.ring, clock.wall_us(), &**random, count);
            match absorbed.and_then(|()| queue.take_over(&left.queue)) {
                Err(error) if error.is_corrupt() && !queue.is_broken() => torn = true,
                brought => brought?,
            }
            self.left.pop();
            self.consent_due = true;
        }
        self.note_torn(torn);
        Ok(())
    }

    /// Takes over what other processes left, and keeps bytes for a full disk, but not too often.
    pub(super) fn look_for_orphans(&mut self) -> Result<(), QueueError> {
        if self.now() < self.adopt_at {
            return Ok(());
        }
        let folder = self.storage.as_ref().and_then(|storage| storage.folder.as_ref());
        folder.into_iter().for_each(Folder::reserve); // It may have been let go of.
        self.adopt_orphans()
    }

    /// Takes over what processes that are gone have left. A database of theirs that is broken is set aside, beside this
    /// process's own.
    fn adopt_orphans(&mut self) -> Result<(), QueueError> {
        let now = self.now();
        self.adopt_at = now + ADOPT_EVERY;
        let Some(Storage { folder: Some(folder), .. }) = &self.storage else { return Ok(()) };
        let (main, orphans) = (folder.path.clone(), folder.orphans());
        for orphan in orphans {
            let mut adopted = self.adopt(&orphan);
            if let Err(error) = &adopted
                && (error.is_corrupt() || Queue::is_broken_at(&orphan.database()))
            {
                if self.storage.as_ref().is_some_and(|own| own.queue.is_broken()) {
                    return adopted; // It is this one.
                }
                let aside = self.quarantine(&orphan, &main)?;
                if let Some(Storage { queue, .. }) = &mut self.storage {
                    queue.salvage(&aside)?;
                }
                adopted = self.adopt(&orphan);
            }
            match adopted {
                Ok(()) => {
                    if let Err(error) = orphan.remove() {
                        tracing::warn!(%error, "what a process left is taken over and cannot be deleted");
                    }
                    self.delivery.on_stored(true, now);
                }
                // Of the orphan or of this queue, which notices soon: the next look tries again.
                Err(error) => {
                    tracing::warn!(%error, path = %orphan.path.display(), "what a process left cannot be read");
                }
            }
        }
        Ok(())
    }

    fn adopt(&mut self, orphan: &Folder) -> Result<(), QueueError> {
        let Setup { sealer, random, clock, .. } = &self.setup;
        // It keeps its epoch: no event comes anew, and what is taken over twice has the same numbers.
        let Opened { queue: mut left, absorbed, salvaged, .. } =
            Queue::open(&orphan.database(), sealer.clone(), None, &orphan.broken(), &**random)?;
        let ring = Ring::open(&orphan.ring(), LEAST_RING, absorbed, !salvaged, &**random);
        let mut ring = ring.map_err(|error| QueueError::Folder(orphan.path.clone(), error))?;
        if ring.ahead {
            left.begin_epoch(&**random)?;
        }
        let mut torn = ring.torn || ring.ahead;
        left.absorb_whole(&mut ring.consumer, clock.wall_us(), &**random, |absorbed| torn |= absorbed.torn)?;
        // What cannot be read is named as lost while it is known which numbers were given out there.
        left.give_up_unreadable()?;
        if ring.denied {
            left.note_all_withdrawn()?;
        }
        if let Some(Storage { queue, .. }) = &mut self.storage {
            queue.take_over(&left)?;
        }
        self.consent_due = true;
        self.note_torn(torn);
        Ok(())
    }

    /// Moves everything that is in the ring into the database, and does what consent asks for. Due until it is done.
    pub(super) fn absorb_all(&mut self) -> Result<(), QueueError> {
        let now = self.now();
        self.absorb_at = Some(now);
        self.bring_along()?;
        self.drain()?;
        // Where the ring was full, something may have found no room in it.
        while self.intake.catch_up() {
            self.drain()?;
        }
        self.destroy_withdrawn()?;
        self.absorb_at = None;
        self.know_place();
        Ok(())
    }

    fn drain(&mut self) -> Result<(), QueueError> {
        let now = self.now();
        let Some(Storage { queue, ring, folder, .. }) = &mut self.storage else { return Ok(()) };
        if let Some(folder) = folder.as_ref().filter(|folder| !folder.is_there()) {
            return Err(QueueError::Deleted(folder.path.clone()));
        }
        let Setup { clock, random, limits, .. } = &self.setup;
        let (stats, delivery, mut torn) = (&self.stats, &mut self.delivery, false);
        ring.wakes();
        loop {
            queue.absorb_whole(ring, clock.wall_us(), &**random, |absorbed| {
                if absorbed.events > 0 || absorbed.critical > 0 {
                    delivery.on_stored(absorbed.critical > 0, now);
                }
                stats.lock().committed += absorbed.events;
                torn |= absorbed.torn;
            })?;
            if ring.rests(false) {
                break;
            }
        }
        self.stats.lock().evicted += queue.evict(limits, &**clock, &self.delivery.out())?;
        self.intake.set_critical_room(limits.critical_bytes.saturating_sub(queue.critical().1));
        self.note_torn(torn);
        Ok(())
    }

    /// Whether somebody's events have still to be destroyed. Until that is done, nothing is sent.
    pub(super) fn is_destroying(&self) -> bool {
        let nobody = |storage: &Storage| storage.queue.withdrawn().is_ok_and(|people| people.is_empty());
        let is_due = self.consent_due && self.consent() == Some(Consent::Denied);
        is_due || !self.withdrawing.is_empty() || !self.storage.as_ref().is_none_or(nobody)
    }

    /// Destroys what whoever has withdrawn left.
    fn destroy_withdrawn(&mut self) -> Result<(), QueueError> {
        let denied = self.consent() == Some(Consent::Denied);
        let Some(Storage { queue, folder, ring, .. }) = &mut self.storage else { return Ok(()) };
        if self.consent_due && denied {
            queue.note_all_withdrawn()?;
        }
        self.consent_due = false;
        while let Some(key) = self.withdrawing.last() {
            queue.note_withdrawn(key)?;
            self.withdrawing.pop();
        }
        for person in queue.withdrawn()? {
            self.intake.wipe(ring);
            if let Some(Err(error)) = folder.as_ref().map(Folder::remove_broken) {
                tracing::warn!(%error, "a database that was set aside cannot be deleted");
            }
            self.delivery.discard();
            self.stats.lock().evicted += queue.destroy(&person)?;
        }
        Ok(())
    }

    fn note_torn(&mut self, torn: bool) {
        if torn {
            self.stats.lock().torn += 1;
            self.lost("a part of what was tracked last, after a loss of power or by a damaged file");
        }
    }

    /// Events are gone that nobody can name.
    fn lost(&mut self, what: &str) {
        tracing::error!(what, "events are lost");
        self.setup.notify(&Problem::Lost(what.to_owned()));
    }
}
