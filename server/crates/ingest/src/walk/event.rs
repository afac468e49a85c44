//! Judges one event: a record or a reason.

use footpath_engine::identity::{PoisonId, check_id};
use footpath_engine::link::{ALIAS, ALIAS_NAME, IDENTIFY};
use footpath_model::id::{EventId, lane};
use footpath_model::props::{Value, property};
use footpath_model::record::{EventHead, EventSpans, put_event};
use footpath_model::wire::{Field, Fields, put_bytes};
use xxhash_rust::xxh3::xxh3_64;

use super::splice::Splice;
use super::text::is_utf8;
use super::values::{Checker, timestamp};
use super::{Entry, EventKeyHint, IdKind, Refusal, WalkContext, Walked, changes, plain, rewrite};
use crate::reason::Reason;
use crate::time_rule::{EventTime, LATEST_US, event_time};

/// The names of `Event`'s fields, by number.
const FIELDS: [&str; 15] = [
    "",
    "id",
    "raw_id",
    "name",
    "time",
    "anonymous_id",
    "user_id",
    "session_id",
    "delivery_class",
    "lane",
    "number",
    "properties",
    "plain_properties",
    "person",
    "groups",
];

/// A reason and the number of the field it is about; 0 is the event itself.
type Refused = (Reason, u32);

/// An event's fields, undecoded.
#[derive(Default)]
struct Parts<'a> {
    id: &'a [u8],
    raw_id: &'a [u8],
    name: &'a [u8],
    time: Option<&'a [u8]>,
    anonymous: &'a [u8],
    user: &'a [u8],
    session: &'a [u8],
    class: u64,
    lane: Option<u64>,
    number: u64,
    plain: Option<&'a [u8]>,
    properties: usize,
    groups: usize,
    seen: u32,
}

/// Judges the events of one batch; its buffers live as long.
pub(super) struct Judge<'a, 'c> {
    ctx: &'c WalkContext<'c>,
    offset_us: i64,
    assign: &'c mut dyn FnMut() -> EventId,
    checker: Checker<'a, 'c>,
    properties: Splice,
    changes: Splice,
    /// The project's id and a zero byte; the actor is appended to be hashed in one go.
    hashed: Vec<u8>,
    hash_prefix: usize,
}

impl<'a, 'c> Judge<'a, 'c> {
    pub(super) fn new(
        ctx: &'c WalkContext<'c>,
        offset_us: i64,
        assign: &'c mut dyn FnMut() -> EventId,
    ) -> Self {
        let mut hashed = ctx.project_id.as_bytes().to_vec();
        hashed.push(0);
        Self {
            ctx,
            offset_us,
            assign,
            checker: Checker { limits: ctx.limits, mask: ctx.mask, keys: Vec::new(), dirty: false },
            properties: Splice::default(),
            changes: Splice::default(),
            hash_prefix: hashed.len(),
            hashed,
        }
    }

    /// Appends the event's record and entry to `walked`, or its refusal.
    #[inline]
    pub(super) fn event(&mut self, event: &'a [u8], index: u32, walked: &mut Walked) {
        if let Err((reason, field)) = self.judge(event, index, walked) {
            let event_id = readable_id(event).or_else(|| derived(&walked.batch_id, index));
            let detail = FIELDS.get(field as usize).copied().unwrap_or_default().to_owned();
            walked.refused.push(Refusal { index, event_id, reason, detail });
        }
    }

    fn judge(&mut self, event: &'a [u8], index: u32, walked: &mut Walked) -> Result<(), Refused> {
        if event.len() > self.ctx.limits.event_bytes {
            return Err((Reason::EventTooLarge, 0));
        }
        let mut parts = self.read(event)?;
        self.texts(&parts)?;
        self.end_properties(event, &mut parts)?;
        if parts.name == ALIAS.as_bytes() {
            check_alias(&parts, self.properties.bytes(event), self.ctx.limits.id_bytes)?;
        }
        let time = self.time(&parts, walked.historical)?;
        let actor_key = self.actor_key(if parts.user.is_empty() { parts.anonymous } else { parts.user });
        let (class, number) = stream(&parts, lane(actor_key), walked.has_producer)?;
        let (id, id_kind) = match sent_id(parts.id, parts.raw_id)? {
            Some(id) => (id, IdKind::Sent),
            None => self.make_id(&walked.batch_id, index),
        };
        let key = EventKeyHint { id, number, class, lane: lane(actor_key), id_kind };
        let head = head(&key, actor_key, time, index);
        let spans = EventSpans {
            name: parts.name,
            anonymous_id: parts.anonymous,
            user_id: parts.user,
            session_id: parts.session,
            properties: self.properties.bytes(event),
            changes: self.changes.bytes(event),
        };
        let offset = walked.records.len();
        put_event(&mut walked.records, &head, &spans);
        walked.entries.push(Entry { offset, len: walked.records.len() - offset, key, index });
        Ok(())
    }

    /// Sorts the event's fields and checks its properties and changes.
    #[inline]
    fn read(&mut self, event: &'a [u8]) -> Result<Parts<'a>, Refused> {
        let mut parts = Parts::default();
        self.properties.clear();
        self.changes.clear();
        self.checker.keys.clear();
        let mut fields = Fields::new(event);
        loop {
            if let Some(field) = fields.next_short() {
                self.field(event, &field, &mut parts)?;
            } else if let Some(field) = fields.next() {
                let field = field.map_err(|error| (error.into(), 0))?;
                self.long_field(event, &field, &mut parts)?;
            } else {
                break;
            }
        }
        Ok(parts)
    }

    #[inline(never)]
    fn long_field(&mut self, event: &[u8], field: &Field<'a>, parts: &mut Parts<'a>) -> Result<(), Refused> {
        self.field(event, field, parts)
    }

    #[inline(always)]
    fn field(&mut self, event: &[u8], field: &Field<'a>, parts: &mut Parts<'a>) -> Result<(), Refused> {
        let taken = match field.number {
            11 => self.property(event, field, parts),
            1..=14 => self.part(event, field, parts),
            _ => Ok(()),
        };
        taken.map_err(|reason| (reason, field.number))
    }

    #[inline(always)]
    fn part(&mut self, event: &[u8], field: &Field<'a>, parts: &mut Parts<'a>) -> Result<(), Reason> {
        let bit = 1_u32 << field.number;
        if parts.seen & bit != 0 && field.number != 14 {
            return Err(Reason::FieldTwice);
        }
        parts.seen |= bit;
        match field.number {
            1 => parts.id = field.bytes()?,
            2 => parts.raw_id = field.bytes()?,
            3 => parts.name = field.bytes()?,
            4 => parts.time = Some(field.bytes()?),
            5 => parts.anonymous = field.bytes()?,
            6 => parts.user = field.bytes()?,
            7 => parts.session = field.bytes()?,
            8 => parts.class = field.varint()?,
            9 => parts.lane = Some(field.varint()?),
            10 => parts.number = field.varint()?,
            12 => parts.plain = Some(field.bytes()?),
            _ => self.change(event, field, parts)?,
        }
        Ok(())
    }

    #[inline(always)]
    fn property(&mut self, event: &[u8], field: &Field<'a>, parts: &mut Parts<'a>) -> Result<(), Reason> {
        let entry = field.bytes()?;
        parts.properties += 1;
        if parts.properties > self.ctx.limits.properties {
            return Err(Reason::TooManyProperties);
        }
        self.checker.dirty = false;
        self.checker.entry(entry, 0)?;
        if self.checker.dirty {
            rewrite::put_entry(self.properties.buffer(event), 11, entry, self.ctx.mask);
        } else {
            self.properties.add(event, field.span);
        }
        Ok(())
    }

    #[inline(never)]
    fn change(&mut self, event: &[u8], field: &Field<'a>, parts: &mut Parts<'a>) -> Result<(), Reason> {
        let bytes = field.bytes()?;
        self.checker.dirty = false;
        if field.number == 13 {
            changes::check(&mut self.checker, bytes)?;
        } else {
            parts.groups += 1;
            if parts.groups > self.ctx.limits.groups {
                return Err(Reason::TooManyGroups);
            }
            changes::check_group(&mut self.checker, bytes)?;
        }
        if !self.checker.dirty {
            self.changes.add(event, field.span);
            return Ok(());
        }
        let anew = match field.number {
            13 => changes::rewrite(bytes, self.ctx.mask),
            _ => changes::rewrite_group(bytes, self.ctx.mask),
        };
        put_bytes(self.changes.buffer(event), field.number, &anew);
        Ok(())
    }

    /// Adds the plain properties and looks for a key that stands twice.
    #[inline]
    fn end_properties(&mut self, event: &'a [u8], parts: &mut Parts<'a>) -> Result<(), Refused> {
        if let Some(bytes) = parts.plain {
            let out = self.properties.buffer(event);
            plain::put_struct(&mut self.checker, bytes, 11, 0, out).map_err(|reason| (reason, 12))?;
            if self.checker.keys.len() > self.ctx.limits.properties {
                return Err((Reason::TooManyProperties, 12));
            }
        }
        self.checker.end_map(0).map_err(|reason| (reason, 11))
    }

    /// Checks name, actor and session.
    #[inline]
    fn texts(&self, parts: &Parts<'a>) -> Result<(), Refused> {
        let limits = self.ctx.limits;
        if parts.name.is_empty() {
            return Err((Reason::NameMissing, 3));
        }
        if parts.user.is_empty() && parts.anonymous.is_empty() {
            return Err((Reason::ActorMissing, 5));
        }
        check_text(parts.name, limits.name_bytes, (Reason::NameTooLong, 3))?;
        check_text(parts.anonymous, limits.id_bytes, (Reason::ActorTooLong, 5))?;
        check_text(parts.user, limits.id_bytes, (Reason::ActorTooLong, 6))?;
        check_text(parts.session, limits.id_bytes, (Reason::SessionIdTooLong, 7))?;
        if parts.name[0] == b'$' { reserved(parts) } else { Ok(()) }
    }

    #[inline]
    fn time(&self, parts: &Parts<'a>, historical: bool) -> Result<EventTime, Refused> {
        let sent = parts.time.map(timestamp).transpose().map_err(|reason| (reason, 4))?;
        if sent.is_some_and(|us| !(0..=LATEST_US).contains(&us)) {
            return Err((Reason::TimeOutOfRange, 4));
        }
        Ok(event_time(sent, self.ctx.received_us, self.offset_us, historical))
    }

    /// The same as [`footpath_model::id::actor_key`], without its streaming state.
    #[inline]
    fn actor_key(&mut self, actor: &[u8]) -> u64 {
        self.hashed.truncate(self.hash_prefix);
        self.hashed.extend_from_slice(actor);
        xxh3_64(&self.hashed)
    }

    fn make_id(&mut self, batch_id: &str, index: u32) -> (EventId, IdKind) {
        match derived(batch_id, index) {
            Some(id) => (id, IdKind::Derived),
            None => ((self.assign)(), IdKind::Assigned),
        }
    }
}

#[inline]
fn check_text(text: &[u8], most: u16, too_long: Refused) -> Result<(), Refused> {
    if text.len() > usize::from(most) {
        return Err(too_long);
    }
    if is_utf8(text) { Ok(()) } else { Err((Reason::Utf8Invalid, too_long.1)) }
}

/// Of the reserved names only `$identify` and `$alias` are sent by clients; both ids of the first must stand for one person.
fn reserved(parts: &Parts<'_>) -> Result<(), Refused> {
    if parts.name == ALIAS.as_bytes() {
        return Ok(()); // Its properties are not read yet.
    }
    if parts.name != IDENTIFY.as_bytes() {
        return Err((Reason::NameReserved, 3));
    }
    for (id, field) in [(parts.anonymous, 5), (parts.user, 6)] {
        let text = simdutf8::basic::from_utf8(id).map_err(|_| (Reason::Utf8Invalid, field))?;
        check_id(text).map_err(|poison| match poison {
            PoisonId::Empty => (Reason::IdentifyIdMissing, field),
            _ => (Reason::IdentifyIdInvalid, field),
        })?;
    }
    Ok(())
}

/// The actor of `$alias` and its new name must stand for one person.
fn check_alias(parts: &Parts<'_>, properties: &[u8], most: u16) -> Result<(), Refused> {
    let (actor, field) = if parts.user.is_empty() { (parts.anonymous, 5) } else { (parts.user, 6) };
    let actor = simdutf8::basic::from_utf8(actor).map_err(|_| (Reason::Utf8Invalid, field))?;
    check_id(actor).map_err(|_| (Reason::AliasActorInvalid, field))?;
    let name = match property(properties, ALIAS_NAME) {
        Some(Value::String(name)) => name,
        _ => "",
    };
    let fits = name.len() <= usize::from(most);
    if fits && check_id(name).is_ok() { Ok(()) } else { Err((Reason::AliasNameInvalid, 11)) }
}

#[inline]
fn head(key: &EventKeyHint, actor_key: u64, time: EventTime, index: u32) -> EventHead {
    EventHead {
        lane: key.lane,
        class: key.class,
        time_rule: time.rule,
        actor_key,
        id: key.id,
        time_us: time.time_us,
        raw_time_us: time.raw_us,
        number: key.number,
        index,
    }
}

/// The event's place in its stream: class and number, both 0 if it is not numbered.
#[inline]
fn stream(parts: &Parts<'_>, lane: u8, has_producer: bool) -> Result<(u8, u64), Refused> {
    if parts.class > 3 {
        return Err((Reason::DeliveryClassInvalid, 8));
    }
    if parts.lane.is_some_and(|sent| sent != u64::from(lane)) {
        return Err((Reason::LaneMismatch, 9));
    }
    if parts.number == 0 {
        return Ok((0, 0));
    }
    if parts.class == 0 {
        return Err((Reason::ClassMissing, 8));
    }
    if parts.lane.is_none() {
        return Err((Reason::LaneMissing, 9));
    }
    if !has_producer {
        return Err((Reason::ProducerMissing, 10));
    }
    Ok((parts.class as u8, parts.number))
}

/// The id that was sent, if one was. An empty one counts as left out, as proto3 has it.
#[inline]
fn sent_id(text: &[u8], bytes: &[u8]) -> Result<Option<EventId>, Refused> {
    let id = match (text.is_empty(), bytes.is_empty()) {
        (true, true) => return Ok(None),
        (false, false) => return Err((Reason::IdTwice, 2)),
        (false, true) => EventId::parse(text).ok_or((Reason::IdInvalid, 1))?,
        (true, false) => EventId(bytes.try_into().map_err(|_| (Reason::IdInvalid, 2))?),
    };
    if id.0 == [0; 16] { Err((Reason::IdInvalid, 1)) } else { Ok(Some(id)) }
}

/// The same id however the batch's UUID is written; other text counts byte by byte.
fn derived(batch_id: &str, index: u32) -> Option<EventId> {
    if batch_id.is_empty() {
        return None;
    }
    Some(match EventId::parse(batch_id.as_bytes()) {
        Some(uuid) => EventId::derived(uuid.to_string().as_bytes(), index),
        None => EventId::derived(batch_id.as_bytes(), index),
    })
}

/// The id of an event that is refused, as far as it can be read.
fn readable_id(event: &[u8]) -> Option<EventId> {
    let ids = Fields::new(event).map_while(Result::ok).filter(|field| field.number <= 2);
    ids.filter_map(|field| {
        let bytes = field.bytes().ok()?;
        if field.number == 1 { sent_id(bytes, b"").ok()? } else { sent_id(b"", bytes).ok()? }
    })
    .next()
}
