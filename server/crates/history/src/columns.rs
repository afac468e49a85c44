//! The builders of a chunk's columns: rows go in straight from the bytes of their frames.

use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanBuilder, Int64Builder};
use arrow::datatypes::{Int8Type, Int16Type, Int32Type, Int64Type, SchemaRef, TimestampMicrosecondType};
use arrow::record_batch::RecordBatch;
use footpath_model::props::{Value, undecoded};
use footpath_model::record::EventView;
use footpath_model::wire::only_bytes;

use crate::error::HistoryError;
use crate::gather::Frame;
use crate::schema::{Kind, Promoted};
use crate::values::{BytesBuilder, MapColumn, Numbers, TextBuilder, Values};

/// One builder per column, in the order of the schema.
pub(crate) struct RowColumns {
    schema: SchemaRef,
    log_offset: Numbers<Int64Type>,
    batch_index: Numbers<Int32Type>,
    event_id: BytesBuilder,
    event_time: Numbers<TimestampMicrosecondType>,
    raw_time: Numbers<TimestampMicrosecondType>,
    receive_time: Numbers<TimestampMicrosecondType>,
    append_time: Numbers<TimestampMicrosecondType>,
    time_rule: Numbers<Int8Type>,
    lane: Numbers<Int16Type>,
    actor: TextBuilder,
    actor_hash: Numbers<Int64Type>,
    install: BytesBuilder,
    stream_epoch: Int64Builder,
    stream_class: Numbers<Int8Type>,
    stream_number: Numbers<Int64Type>,
    name: TextBuilder,
    anonymous_id: TextBuilder,
    user_id: TextBuilder,
    session_id: TextBuilder,
    context: TextBuilder,
    historical: BooleanBuilder,
    changes: BytesBuilder,
    maps: [MapColumn; 8],
    promoted: Vec<PromotedColumn>,
}

struct PromotedColumn {
    property: Promoted,
    values: Values,
    set: bool,
}

impl RowColumns {
    pub(crate) fn new(schema: SchemaRef, promoted: &[Promoted]) -> Self {
        let promoted = promoted.iter().cloned().map(|property| {
            let values = Values::new(property.kind);
            PromotedColumn { property, values, set: false }
        });
        Self {
            schema,
            log_offset: Numbers::default(),
            batch_index: Numbers::default(),
            event_id: BytesBuilder::default(),
            event_time: Numbers::default(),
            raw_time: Numbers::default(),
            receive_time: Numbers::default(),
            append_time: Numbers::default(),
            time_rule: Numbers::default(),
            lane: Numbers::default(),
            actor: TextBuilder::default(),
            actor_hash: Numbers::default(),
            install: BytesBuilder::default(),
            stream_epoch: Int64Builder::new(),
            stream_class: Numbers::default(),
            stream_number: Numbers::default(),
            name: TextBuilder::default(),
            anonymous_id: TextBuilder::default(),
            user_id: TextBuilder::default(),
            session_id: TextBuilder::default(),
            context: TextBuilder::default(),
            historical: BooleanBuilder::new(),
            changes: BytesBuilder::default(),
            maps: Kind::ALL.map(MapColumn::new),
            promoted: promoted.collect(),
        }
    }

    /// Appends an event.
    pub(crate) fn push(&mut self, frame: &Frame, event: &EventView<'_>) {
        self.push_frame(frame);
        self.push_head(event);
        let spans = event.spans();
        let (anonymous, user) = (spans.anonymous_id, spans.user_id);
        self.actor.append_value(if user.is_empty() { anonymous } else { user });
        self.name.append_value(spans.name);
        self.anonymous_id.append_option(set(anonymous));
        self.user_id.append_option(set(user));
        self.session_id.append_option(set(spans.session_id));
        self.changes.append_option(set(spans.changes));
        for (key, value) in undecoded(spans.properties) {
            self.push_encoded(key, value);
        }
        self.end_properties();
    }

    fn push_frame(&mut self, frame: &Frame) {
        let producer = frame.head.producer;
        self.log_offset.push(frame.offset.cast_signed());
        self.append_time.push(frame.append_us);
        self.receive_time.push(frame.head.received_us);
        self.install.append_option((producer.install != [0; 16]).then_some(&producer.install[..]));
        self.stream_epoch.append_option((producer.epoch != 0).then_some(producer.epoch.cast_signed()));
        self.context.append_option(frame.context.as_deref().map(str::as_bytes));
        self.historical.append_value(frame.head.historical);
    }

    fn push_head(&mut self, event: &EventView<'_>) {
        let head = event.head();
        self.batch_index.push(head.index.cast_signed());
        self.event_id.append_value(&head.id.0);
        self.event_time.push(head.time_us);
        self.raw_time.push(head.raw_time_us);
        self.time_rule.push(head.time_rule as i8);
        self.lane.push(head.lane.into());
        self.actor_hash.push(head.actor_key.cast_signed());
        self.stream_class.push(head.class.cast_signed());
        self.stream_number.push(head.number.cast_signed());
    }

    #[inline]
    fn push_encoded(&mut self, key: &[u8], value: &[u8]) {
        // Most values are text, which is copied as it stands.
        if let Some(text) = only_bytes(value, 1).filter(|_| self.promoted.is_empty()) {
            self.maps[Kind::String as usize].push_text(key, text);
        } else if let Ok(Some(value)) = Value::decode(value) {
            self.push_property(key, &value);
        }
    }

    #[inline]
    fn push_property(&mut self, key: &[u8], value: &Value<'_>) {
        let kind = Kind::of(value);
        let mut promoted = self.promoted.iter_mut();
        match promoted.find(|one| one.property.kind == kind && one.property.key.as_bytes() == key && !one.set)
        {
            Some(column) => {
                column.values.push(value);
                column.set = true;
            }
            None => self.maps[kind as usize].push(key, value),
        }
    }

    fn end_properties(&mut self) {
        self.maps.iter_mut().for_each(MapColumn::end_row);
        for column in &mut self.promoted {
            if !column.set {
                column.values.push_null();
            }
            column.set = false;
        }
    }

    /// The rows since the last call.
    pub(crate) fn finish(&mut self) -> Result<RecordBatch, HistoryError> {
        let mut columns: Vec<ArrayRef> = vec![
            Arc::new(self.log_offset.finish()),
            Arc::new(self.batch_index.finish()),
            self.event_id.finish()?,
            Arc::new(self.event_time.finish().with_timezone("UTC")),
            Arc::new(self.raw_time.finish().with_timezone("UTC")),
            Arc::new(self.receive_time.finish().with_timezone("UTC")),
            Arc::new(self.append_time.finish().with_timezone("UTC")),
            Arc::new(self.time_rule.finish()),
            Arc::new(self.lane.finish()),
            self.actor.finish()?,
            Arc::new(self.actor_hash.finish()),
            self.install.finish()?,
            Arc::new(self.stream_epoch.finish()),
            Arc::new(self.stream_class.finish()),
            Arc::new(self.stream_number.finish()),
            self.name.finish()?,
            self.anonymous_id.finish()?,
            self.user_id.finish()?,
            self.session_id.finish()?,
            self.context.finish()?,
            Arc::new(self.historical.finish()),
            self.changes.finish()?,
        ];
        for map in &mut self.maps {
            columns.push(map.finish()?);
        }
        for promoted in &mut self.promoted {
            columns.push(promoted.values.finish()?);
        }
        RecordBatch::try_new(Arc::clone(&self.schema), columns).map_err(HistoryError::encode)
    }
}

fn set(text: &[u8]) -> Option<&[u8]> {
    (!text.is_empty()).then_some(text)
}
