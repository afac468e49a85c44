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
