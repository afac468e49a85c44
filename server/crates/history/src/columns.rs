//! A chunk's columns: rows go in straight from the bytes of their frames.

use footpath_model::props::{Value, undecoded};
use footpath_model::record::{EventHead, EventSpans};
use footpath_model::wire::only_bytes;
use parquet::schema::types::SchemaDescriptor;

use crate::error::HistoryError;
use crate::gather::Frame;
use crate::pages::{Column, Leaf, Packer, RowGroup};
use crate::properties::{MapColumn, Optional, PromotedColumn};
use crate::schema::{Kind, Promoted};
use crate::values::{Bits, Blobs, Bounded, Dictionary, Entries, Numbers, Texts};

/// An event on its way into a chunk.
pub(crate) struct Row<'a> {
    pub(crate) frame: &'a Frame,
    /// Which of the gathered frames it is.
    pub(crate) frame_number: usize,
    pub(crate) head: EventHead,
    pub(crate) spans: EventSpans<'a>,
}

/// How much of something there is.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Extent {
    pub(crate) rows: usize,
    /// Of properties and changes, as they lie in events.
    pub(crate) bytes: usize,
}

impl Extent {
    pub(crate) fn is_full(self, most: Self) -> bool {
        self.rows >= most.rows || self.bytes >= most.bytes
    }
}

/// One column of each, in the order of the schema.
pub(crate) struct RowColumns {
    page: Extent,
    /// Of the row group, the pages that are ended.
    ended: Extent,
    packer: Packer,
    log_offset: Leaf<Bounded>,
    batch_index: Leaf<Numbers>,
    event_id: Leaf<Blobs>,
    event_time: Leaf<Bounded>,
    raw_time: Leaf<Numbers>,
    receive_time: Leaf<Numbers>,
    append_time: Leaf<Numbers>,
    time_rule: Leaf<Numbers>,
    lane: Leaf<Numbers>,
    actor: Leaf<Texts>,
    actor_hash: Leaf<Bounded>,
    install: Optional<Dictionary>,
    stream_epoch: Optional<Dictionary>,
    stream_class: Leaf<Numbers>,
    stream_number: Leaf<Numbers>,
    name: Leaf<Dictionary>,
    anonymous_id: Optional<Texts>,
    user_id: Optional<Texts>,
    session_id: Optional<Texts>,
    context: Optional<Dictionary>,
    historical: Leaf<Bits>,
    changes: Optional<Blobs>,
    maps: Vec<MapColumn>,
    promoted: Vec<PromotedColumn>,
    /// By frame, where its values stand in the dictionaries of the row group; most frames have many rows.
    places: Vec<Option<FramePlaces>>,
}

/// Where a frame's values stand in the dictionaries of their columns; `None` if it has none.
#[derive(Clone, Copy)]
struct FramePlaces {
    install: Option<u32>,
    stream_epoch: Option<u32>,
    context: Option<u32>,
}

impl RowColumns {
    pub(crate) fn new(schema: &SchemaDescriptor, promoted: &[Promoted]) -> Result<Self, HistoryError> {
        let mut leaves = schema.columns().iter().cloned();
        let next = &mut || leaves.next().ok_or_else(|| HistoryError::encode("the schema lacks a column"));
        let text = || Dictionary::new(Entries::Text);
        Ok(Self {
            page: Extent::default(),
            ended: Extent::default(),
            packer: Packer::default(),
            log_offset: Leaf::new(next()?, Bounded::default()),
            batch_index: Leaf::new(next()?, Numbers::default()),
            event_id: Leaf::new(next()?, Blobs::default()),
            event_time: Leaf::new(next()?, Bounded::default()),
            raw_time: Leaf::new(next()?, Numbers::default()),
            receive_time: Leaf::new(next()?, Numbers::default()),
            append_time: Leaf::new(next()?, Numbers::default()),
            time_rule: Leaf::new(next()?, Numbers::default()),
            lane: Leaf::new(next()?, Numbers::default()),
            actor: Leaf::new(next()?, Texts::default()),
            actor_hash: Leaf::new(next()?, Bounded::default()),
            install: Optional::new(next()?, Dictionary::new(Entries::Blobs)),
            stream_epoch: Optional::new(next()?, Dictionary::new(Entries::Numbers)),
            stream_class: Leaf::new(next()?, Numbers::default()),
            stream_number: Leaf::new(next()?, Numbers::default()),
            name: Leaf::new(next()?, text()),
            anonymous_id: Optional::new(next()?, Texts::default()),
            user_id: Optional::new(next()?, Texts::default()),
            session_id: Optional::new(next()?, Texts::default()),
            context: Optional::new(next()?, text()),
            historical: Leaf::new(next()?, Bits::default()),
            changes: Optional::new(next()?, Blobs::default()),
            maps: Kind::ALL.into_iter().map(|kind| MapColumn::new(kind, next)).collect::<Result<_, _>>()?,
            promoted: promoted
                .iter()
                .map(|property| PromotedColumn::new(property.clone(), next))
                .collect::<Result<_, _>>()?,
            places: Vec::new(),
        })
    }

    /// Appends events. Column by column for what all of them have: a few rows stay in the processor's nearest cache.
    pub(crate) fn push(&mut self, rows: &[Row<'_>]) {
        self.push_frames(rows);
        self.push_heads(rows);
        for row in rows {
            self.push_spans(&row.spans);
            self.page.rows += 1;
            self.page.bytes += row.spans.properties.len() + row.spans.changes.len();
        }
    }

    /// The page that was begun.
    pub(crate) fn page(&self) -> Extent {
        self.page
    }

    /// The row group that was begun, its last page included.
    pub(crate) fn group(&self) -> Extent {
        Extent { rows: self.ended.rows + self.page.rows, bytes: self.ended.bytes + self.page.bytes }
    }

    fn push_frames(&mut self, rows: &[Row<'_>]) {
        let frames = || rows.iter().map(|row| row.frame);
        self.log_offset.values.extend(frames().map(|frame| frame.offset.cast_signed()));
        self.append_time.values.extend(frames().map(|frame| frame.append_us));
        self.receive_time.values.extend(frames().map(|frame| frame.head.received_us));
        self.historical.values.extend(frames().map(|frame| frame.head.historical));
        for row in rows {
            let known = self.places.get(row.frame_number).copied().flatten();
            let places = known.unwrap_or_else(|| self.place(row));
            self.install.push_number(places.install);
            self.stream_epoch.push_number(places.stream_epoch);
            self.context.push_number(places.context);
        }
    }

    /// Finds the values of a row's frame in the dictionaries, and remembers where.
    fn place(&mut self, row: &Row<'_>) -> FramePlaces {
        let (producer, context) = (&row.frame.head.producer, &row.frame.context);
        let install = (producer.install != [0; 16]).then(|| self.install.number(&producer.install));
        let epoch = producer.epoch.to_le_bytes();
        let stream_epoch = (producer.epoch != 0).then(|| self.stream_epoch.number(&epoch));
        let context = context.as_ref().map(|context| self.context.number(context.as_bytes()));
        let places = FramePlaces { install, stream_epoch, context };
        if self.places.len() <= row.frame_number {
            self.places.resize(row.frame_number + 1, None);
        }
        self.places[row.frame_number] = Some(places);
        places
    }

    fn push_heads(&mut self, rows: &[Row<'_>]) {
        let heads = || rows.iter().map(|row| &row.head);
        self.batch_index.values.extend(heads().map(|head| head.index.into()));
        self.event_time.values.extend(heads().map(|head| head.time_us));
        self.raw_time.values.extend(heads().map(|head| head.raw_time_us));
        self.time_rule.values.extend(heads().map(|head| head.time_rule as i64));
        self.lane.values.extend(heads().map(|head| head.lane.into()));
        self.actor_hash.values.extend(heads().map(|head| head.actor_key.cast_signed()));
        self.stream_class.values.extend(heads().map(|head| head.class.cast_signed().into()));
        self.stream_number.values.extend(heads().map(|head| head.number.cast_signed()));
        heads().for_each(|head| self.event_id.values.push(&head.id.0));
    }

    fn push_spans(&mut self, spans: &EventSpans<'_>) {
        let (anonymous, user) = (spans.anonymous_id, spans.user_id);
        self.actor.values.push(if user.is_empty() { anonymous } else { user });
        self.name.values.push(spans.name);
        let texts = [
            (&mut self.anonymous_id, anonymous),
            (&mut self.user_id, user),
            (&mut self.session_id, spans.session_id),
        ];
        for (column, text) in texts {
            if let Some(values) = column.row(!text.is_empty()) {
                values.push(text);
            }
        }
        if let Some(values) = self.changes.row(!spans.changes.is_empty()) {
            values.push(spans.changes);
        }
        for (key, value) in undecoded(spans.properties) {
            self.push_encoded(key, value);
        }
    }

    #[inline]
    fn push_encoded(&mut self, key: &[u8], value: &[u8]) {
        // Most values are text, which is copied as it stands.
        if let Some(text) = only_bytes(value, 1).filter(|_| self.promoted.is_empty()) {
            self.maps[Kind::String as usize].push_text(self.page.rows, key, text);
        } else if let Ok(Some(value)) = Value::decode(value) {
            self.push_property(key, &value);
        }
    }

    #[inline]
    fn push_property(&mut self, key: &[u8], value: &Value<'_>) {
        if !self.promoted.iter_mut().any(|column| column.take(self.page.rows, key, value)) {
            self.maps[Kind::of(value) as usize].push(self.page.rows, key, value);
        }
    }

    /// Ends the page.
    pub(crate) fn end_page(&mut self) -> Result<(), HistoryError> {
        self.ended = self.group();
        let Extent { rows, .. } = std::mem::take(&mut self.page);
        self.each(|column, packer| column.end_page(rows, packer))
    }

    /// Moves all pages into the file.
    pub(crate) fn end_group(&mut self, group: &mut RowGroup<'_, '_>) -> Result<(), HistoryError> {
        self.places.clear();
        self.ended = Extent::default();
        self.each(|column, packer| column.end_group(packer, group))
    }

    fn each(
        &mut self,
        mut work: impl FnMut(&mut dyn Column, &mut Packer) -> Result<(), HistoryError>,
    ) -> Result<(), HistoryError> {
        let columns: [&mut dyn Column; 22] = [
            &mut self.log_offset,
            &mut self.batch_index,
            &mut self.event_id,
            &mut self.event_time,
            &mut self.raw_time,
            &mut self.receive_time,
            &mut self.append_time,
            &mut self.time_rule,
            &mut self.lane,
            &mut self.actor,
            &mut self.actor_hash,
            &mut self.install,
            &mut self.stream_epoch,
            &mut self.stream_class,
            &mut self.stream_number,
            &mut self.name,
            &mut self.anonymous_id,
            &mut self.user_id,
            &mut self.session_id,
            &mut self.context,
            &mut self.historical,
            &mut self.changes,
        ];
        columns.into_iter().try_for_each(|column| work(column, &mut self.packer))?;
        self.maps.iter_mut().try_for_each(|column| work(column, &mut self.packer))?;
        self.promoted.iter_mut().try_for_each(|column| work(column, &mut self.packer))
    }
}
