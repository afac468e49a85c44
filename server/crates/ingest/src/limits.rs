//! How much a batch may hold.

/// Sizes count after decompression. What exceeds a batch's limits refuses the batch; what exceeds an event's
/// refuses that event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of a batch.
    pub batch_bytes: usize,
    /// Events of a batch; as many loss ranges are taken.
    pub batch_events: usize,
    /// Privacy requests of a batch: each becomes a log record and a transaction of the store.
    pub privacy_requests: usize,
    /// Bytes of a batch's context.
    pub context_bytes: usize,
    /// Bytes of an event as encoded; also of its properties once plain ones are turned into typed ones, times two.
    pub event_bytes: usize,
    /// Bytes of an event's name.
    pub name_bytes: u16,
    /// Bytes of an anonymous id, a user id, a session id, a group's type or a group's id.
    pub id_bytes: u16,
    /// Properties of an event, typed and plain together; also the changes to a person, and to each group.
    pub properties: usize,
    /// Levels of lists and maps in a property's value.
    pub depth: u32,
    /// Groups an event may change.
    pub groups: usize,
}

/// A frame's header, a batch's own bookkeeping.
const FRAME: usize = 256;
/// An event record's header and a lost range's JSON beside its reason: a batch may have as many of both.
const ENTRY: usize = 128 + 96;

impl Limits {
    /// What the largest batch may weigh in the sequencer's queue: its bytes, its records (plain properties may double
    /// when they are typed; so may a loss's reason in JSON) and its control records.
    pub fn heaviest_batch(&self) -> usize {
        3_usize.saturating_mul(self.batch_bytes).saturating_add(self.beside_bytes())
    }

    /// The largest `batch_bytes` with which no batch weighs more than `room`; 0 if the other limits alone do.
    pub fn largest_batch_bytes(&self, room: usize) -> usize {
        room.saturating_sub(self.beside_bytes()) / 3
    }

    /// The part of the weight that does not grow with the bytes.
    fn beside_bytes(&self) -> usize {
        // JSON writes a control character of an actor as six.
        let wish = FRAME + 6 * usize::from(self.id_bytes);
        let entries = self.batch_events.saturating_mul(ENTRY);
        (self.context_bytes + self.privacy_requests * wish + 2 * FRAME).saturating_add(entries)
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            batch_bytes: 4 << 20,
            batch_events: 10_000,
            privacy_requests: 100,
            context_bytes: 8 << 10,
            event_bytes: 32 << 10,
            name_bytes: 255,
            id_bytes: 512,
            properties: 256,
            depth: 5,
            groups: 5,
        }
    }
}
