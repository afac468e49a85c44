//! The batch's own fields.

use footpath_model::context::{LAST_OF_CLIENTS, put_environment};
use footpath_model::id::{EventId, Producer};
use footpath_model::wire::{Field, Fields, put_bytes};

use super::{BatchError, LostRange, PrivacyWish, WalkContext, Walked, WishKind, values};

/// The longest `batch_id`, `clock_era`, `project` or loss reason, in bytes: room for a UUID and a prefix.
const SHORT_TEXT: usize = 128;

/// Reads everything but the events, whose bytes it hands back in order.
pub(super) fn read<'a>(
    bytes: &'a [u8],
    ctx: &WalkContext<'_>,
) -> Result<(Walked, Vec<&'a [u8]>), BatchError> {
    let limits = ctx.limits;
    if bytes.len() > limits.batch_bytes {
        return Err(BatchError::TooLarge { bytes: bytes.len(), limit: limits.batch_bytes });
    }
    let mut walked = Walked::default();
    let mut events = Vec::new();
    let mut seen = Seen::default();
    for field in Fields::new(bytes) {
        let field = field?;
        match field.number {
            7 => events.push(field.bytes()?),
            8 => walked.losses.push(loss(field.bytes()?)?),
            9 => walked.privacy_requests.push(wish(field.bytes()?, ctx)?),
            _ => {
                seen.once(&field, 10)?;
                own_field(&field, ctx, &mut walked)?;
            }
        }
        if events.len().max(walked.losses.len()) > limits.batch_events {
            return Err(BatchError::TooMany { limit: limits.batch_events });
        }
        if walked.privacy_requests.len() > limits.privacy_requests {
            return Err(BatchError::TooManyWishes { limit: limits.privacy_requests });
        }
    }
    if !walked.losses.is_empty() && !walked.has_producer {
        return Err(BatchError::Invalid { field: "losses", need: "loss ranges need a producer" });
    }
    put_environment(&mut walked.context, ctx.environment);
    walked.events_total = events.len() as u32;
    Ok((walked, events))
}

fn own_field(field: &Field<'_>, ctx: &WalkContext<'_>, walked: &mut Walked) -> Result<(), BatchError> {
    match field.number {
        1 => walked.batch_id = short_text(field, "batch_id")?.to_owned(),
        2 => {
            let time = values::timestamp(field.bytes()?).ok();
            let need = "a google.protobuf.Timestamp";
            walked.sent_at_us = Some(time.ok_or(BatchError::Invalid { field: "sent_at", need })?);
        }
        3 => walked.clock_era = short_text(field, "clock_era")?.to_owned(),
        4 => walked.historical = field.varint()? != 0,
        5 => walked.context = context(field.bytes()?, ctx)?,
        6 => {
            walked.producer = producer(field.bytes()?)?;
            walked.has_producer = true;
        }
        10 => own_project(short_text(field, "project")?, ctx.project_id)?,
        _ => {}
    }
    Ok(())
}

/// The key decides whose events these are. Who names the project is told where that is another one.
fn own_project(named: &str, own: &str) -> Result<(), BatchError> {
    if named.is_empty() || named == own {
        return Ok(());
    }
    Err(BatchError::OtherProject { named: named.to_owned() })
}

/// Which singular fields were there.
#[derive(Default)]
struct Seen(u32);

impl Seen {
    /// Fails on the second one of a field up to `known`.
    fn once(&mut self, field: &Field<'_>, known: u32) -> Result<(), BatchError> {
        if field.number > known {
            return Ok(());
        }
        let bit = 1 << field.number;
        if self.0 & bit != 0 {
            return Err(BatchError::FieldTwice(field.number));
        }
        self.0 |= bit;
        Ok(())
    }
}

fn utf8<'a>(field: &Field<'a>) -> Result<&'a str, BatchError> {
    simdutf8::basic::from_utf8(field.bytes()?).map_err(|_| BatchError::Utf8(field.number))
}

fn short_text<'a>(field: &Field<'a>, name: &'static str) -> Result<&'a str, BatchError> {
    let text = utf8(field)?;
    if text.len() > SHORT_TEXT {
        return Err(BatchError::Invalid { field: name, need: "at most 128 bytes" });
    }
    Ok(text)
}

/// A word. Control characters would also make the log's JSON six times as long as what was sent.
fn loss_reason<'a>(field: &Field<'a>) -> Result<&'a str, BatchError> {
    let text = short_text(field, "losses.reason")?;
    if text.contains(char::is_control) {
        return Err(BatchError::Invalid {
            field: "losses.reason",
            need: "a word without control characters",
        });
    }
    Ok(text)
}

fn producer(bytes: &[u8]) -> Result<Producer, BatchError> {
    let need = "install_id must be a UUID";
    let (mut install, mut epoch) = (None, 0);
    let mut seen = Seen::default();
    for field in Fields::new(bytes) {
        let field = field?;
        seen.once(&field, 2)?;
        match field.number {
            1 => install = EventId::parse(field.bytes()?),
            2 => epoch = field.varint()?,
            _ => {}
        }
    }
    match install {
        Some(EventId(install)) if install != [0; 16] => Ok(Producer { install, epoch }),
        _ => Err(BatchError::Invalid { field: "producer", need }),
    }
}

fn loss(bytes: &[u8]) -> Result<LostRange, BatchError> {
    let (mut class, mut lane, mut from, mut to, mut reason) = (0, 0, 0, 0, "");
    let mut seen = Seen::default();
    for field in Fields::new(bytes) {
        let field = field?;
        seen.once(&field, 5)?;
        match field.number {
            1 => class = field.varint()?,
            2 => lane = field.varint()?,
            3 => from = field.varint()?,
            4 => to = field.varint()?,
            5 => reason = loss_reason(&field)?,
            _ => {}
        }
    }
    if !(1..=3).contains(&class) || lane > 255 || from == 0 || to < from {
        let need = "a delivery class, a lane up to 255, and 1 <= from <= to";
        return Err(BatchError::Invalid { field: "losses", need });
    }
    Ok(LostRange { class: class as u8, lane: lane as u8, from, to, reason: reason.to_owned() })
}

fn wish(bytes: &[u8], ctx: &WalkContext<'_>) -> Result<PrivacyWish, BatchError> {
    let (mut id, mut kind, mut actor) = (None, None, "");
    let mut seen = Seen::default();
    for field in Fields::new(bytes) {
        let field = field?;
        seen.once(&field, 3)?;
        match field.number {
            1 => id = EventId::parse(field.bytes()?),
            2 => {
                kind = match field.varint()? {
                    1 => Some(WishKind::Delete),
                    2 => Some(WishKind::Access),
                    _ => None,
                }
            }
            3 => actor = utf8(&field)?,
            _ => {}
        }
    }
    match (id, kind) {
        (Some(id), Some(kind)) if !actor.is_empty() && actor.len() <= usize::from(ctx.limits.id_bytes) => {
            Ok(PrivacyWish { id, kind, actor: actor.to_owned() })
        }
        _ => Err(BatchError::Invalid {
            field: "privacy_requests",
            need: "an id (UUID), a kind and the actor it is about",
        }),
    }
}

/// The fields of the context that clients set, masked. What one sends where the environment stands ends here.
fn context(bytes: &[u8], ctx: &WalkContext<'_>) -> Result<Vec<u8>, BatchError> {
    if bytes.len() > ctx.limits.context_bytes {
        return Err(BatchError::Invalid { field: "context", need: "fewer bytes (8 KiB by default)" });
    }
    let mut out = Vec::with_capacity(bytes.len());
    let mut seen = Seen::default();
    for field in Fields::new(bytes) {
        let field = field?;
        seen.once(&field, LAST_OF_CLIENTS)?;
        match field.number {
            9 => put_bytes(&mut out, 9, &campaign(field.bytes()?, ctx)?),
            1..=LAST_OF_CLIENTS => put_masked(&mut out, &field, ctx)?,
            _ => {}
        }
    }
    Ok(out)
}

fn campaign(bytes: &[u8], ctx: &WalkContext<'_>) -> Result<Vec<u8>, BatchError> {
    let mut out = Vec::with_capacity(bytes.len());
    let mut seen = Seen::default();
    for field in Fields::new(bytes) {
        let field = field?;
        seen.once(&field, 5)?;
        if field.number <= 5 {
            put_masked(&mut out, &field, ctx)?;
        }
    }
    Ok(out)
}

fn put_masked(out: &mut Vec<u8>, field: &Field<'_>, ctx: &WalkContext<'_>) -> Result<(), BatchError> {
    let text = utf8(field)?;
    let masked = ctx.mask.mask(text);
    put_bytes(out, field.number, masked.as_deref().unwrap_or(text).as_bytes());
    Ok(())
}
