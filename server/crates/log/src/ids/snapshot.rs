//! What a snapshot holds of the ids: everything that is not in runs, and the names of the runs.

use hashbrown::HashSet;

use super::io::{DedupeError, Reader, named};
use super::memtable::{Entry, Key};
use super::{DedupeConfig, IdIndex, Place, run_name};

impl IdIndex {
    /// Bytes of a snapshot, roughly: so that its buffer does not grow in steps.
    pub(crate) fn encoded_bytes(&self) -> usize {
        self.in_memory() * 24 + self.runs() * 8 + self.partitions().count() * 32
    }

    /// Appends everything that is not in runs, and the names of the runs. A frozen memtable counts as memory until its
    /// run answers; a run written since is then a stray, and its ids are in the snapshot or behind it.
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.now.to_le_bytes());
        out.extend_from_slice(&self.latest_ahead.map_or(0, |hour| hour + 1).to_le_bytes());
        out.extend_from_slice(&self.next_run.to_le_bytes());
        out.extend_from_slice(&(self.partitions().count() as u32).to_le_bytes());
        for (hour, partition) in self.partitions() {
            let frozen = partition.frozen.as_ref();
            out.push(u8::from(hour.is_some()));
            out.extend_from_slice(&hour.unwrap_or(0).to_le_bytes());
            out.extend_from_slice(&frozen.map_or(partition.from, |frozen| frozen.from).to_le_bytes());
            out.extend_from_slice(&(partition.run_names().count() as u32).to_le_bytes());
            for name in partition.run_names() {
                out.extend_from_slice(&number_of(name).unwrap_or(u64::MAX).to_le_bytes());
            }
            out.extend_from_slice(&(partition.in_memory() as u64).to_le_bytes());
            // The memtable last: it may know an id of the frozen one by a later hour.
            let tables = frozen.map(|frozen| frozen.table.as_ref()).into_iter().chain([&partition.memtable]);
            for entry in tables.flat_map(|table| table.iter()) {
                out.extend_from_slice(&entry.key.0);
                out.extend_from_slice(&entry.hour.to_le_bytes());
            }
        }
    }

    /// Reads what [`Self::encode`] wrote and opens the runs it names. `Ok(None)` if the bytes make no sense.
    pub(crate) fn decode(
        reader: &mut Reader<'_>,
        config: DedupeConfig,
        position: u64,
        log_end: u64,
    ) -> Result<Option<Self>, DedupeError> {
        let mut index = Self::empty(config);
        index.position = position;
        let mut head = || Some((reader.u32()?, reader.u32()?, reader.u64()?, reader.u32()?));
        let Some((now, latest_ahead, next_run, partitions)) = head() else { return Ok(None) };
        (index.now, index.next_run) = (now, next_run);
        index.latest_ahead = latest_ahead.checked_sub(1);
        for _ in 0..partitions {
            let Some((place, runs)) = index.decode_partition(reader) else { return Ok(None) };
            for number in runs {
                let (disk, seed) = (index.config.disk.clone(), index.seed);
                index.partition_mut(place).reopen(disk.as_ref(), run_name(number), seed, log_end)?;
            }
        }
        index.remove_strays()?;
        Ok(Some(index))
    }

    fn decode_partition(&mut self, reader: &mut Reader<'_>) -> Option<(Place, Vec<u64>)> {
        let kept_by_hour = reader.u8()? == 1;
        let hour = reader.u32()?;
        let place = if kept_by_hour { Place::Hour(hour) } else { Place::Other };
        let from = reader.u64()?;
        let runs = reader.u32()?;
        let runs = (0..runs).map(|_| reader.u64()).collect::<Option<Vec<_>>>()?;
        let ids = reader.u64()?;
        self.partition_mut(place).from = from;
        for _ in 0..ids {
            let entry = Entry { key: Key(reader.array()?), hour: reader.u32()? };
            // `latest_ahead` is already what it was; only the memtable is filled here.
            let hash = entry.key.hash(self.seed);
            self.enter(place, None, hash, entry);
        }
        Some((place, runs))
    }

    /// Removes runs that no snapshot names: the log's tail is replayed and brings their ids back.
    pub(super) fn remove_strays(&self) -> Result<(), DedupeError> {
        let disk = self.config.disk.as_ref();
        let used: HashSet<&String> = self.partitions().flat_map(|(_, one)| one.run_names()).collect();
        for name in disk.list().map_err(named("the folder"))? {
            if number_of(&name).is_some() && !used.contains(&name) {
                disk.remove(&name).map_err(named(&name))?;
            }
        }
        Ok(())
    }
}

fn number_of(name: &str) -> Option<u64> {
    u64::from_str_radix(name.strip_suffix(".ids")?, 16).ok()
}
