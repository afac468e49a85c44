//! The builders of a chunk's columns: rows go in straight from the bytes of their frames.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryBuilder, BooleanBuilder, Int8Builder, Int16Builder, Int32Builder, Int64Builder,
    StringBuilder, TimestampMicrosecondBuilder,
};
use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use footpath_model::props::{Value, properties};
use footpath_model::record::{EventView, text};

use crate::error::HistoryError;
use crate::gather::Frame;
use crate::schema::{Kind, Promoted};
use crate::values::{MapColumn, Values};

/// One builder per column, in the order of the schema.
pub(crate) struct RowColumns {
    schema: SchemaRef,
    log_offset: Int64Builder,
    batch_index: Int32Builder,
    event_id: BinaryBuilder,
    event_time: TimestampMicrosecondBuilder,
    raw_time: TimestampMicrosecondBuilder,
    receive_time: TimestampMicrosecondBuilder,
    append_time: TimestampMicrosecondBuilder,
    time_rule: Int8Builder,
    lane: Int16Builder,
    actor: StringBuilder,
    actor_hash: Int64Builder,
    install: BinaryBuilder,
    stream_epoch: Int64Builder,
    stream_class: Int8Builder,
    stream_number: Int64Builder,
    name: StringBuilder,
    anonymous_id: StringBuilder,
    user_id: StringBuilder,
    session_id: StringBuilder,
    context: StringBuilder,
    historical: BooleanBuilder,
    changes: BinaryBuilder,
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
        let time = || TimestampMicrosecondBuilder::new().with_timezone("UTC");
        let promoted = promoted.iter().cloned().map(|property| {
            let values = Values::new(property.kind);
            PromotedColumn { property, values, set: false }
        });
        Self {
            schema,
            log_offset: Int64Builder::new(),
            batch_index: Int32Builder::new(),
            event_id: BinaryBuilder::new(),
            event_time: time(),
            raw_time: time(),
            receive_time: time(),
            append_time: time(),
            time_rule: Int8Builder::new(),
            lane: Int16Builder::new(),
            actor: StringBuilder::new(),
            actor_hash: Int64Builder::new(),
            install: BinaryBuilder::new(),
            stream_epoch: Int64Builder::new(),
            stream_class: Int8Builder::new(),
            stream_number: Int64Builder::new(),
            name: StringBuilder::new(),
            anonymous_id: StringBuilder::new(),
            user_id: StringBuilder::new(),
            session_id: StringBuilder::new(),
            context: StringBuilder::new(),
            historical: BooleanBuilder::new(),
            changes: BinaryBuilder::new(),
            maps: Kind::ALL.map(MapColumn::new),
            promoted: promoted.collect(),
        }
    }

    /// Appends an event.
    pub(crate) fn push(&mut self, frame: &Frame, event: &EventView<'_>) {
        self.push_frame(frame);
        self.push_head(event);
        let spans = event.spans();
        let (anonymous, user) = (text(spans.anonymous_id), text(spans.user_id));
        self.actor.append_value(if user.is_empty() { anonymous } else { user });
        self.name.append_value(text(spans.name));
        self.anonymous_id.append_option(set(anonymous));
        self.user_id.append_option(set(user));
        self.session_id.append_option(set(text(spans.session_id)));
        self.changes.append_option((!spans.changes.is_empty()).then_some(spans.changes));
        for (key, value) in properties(spans.properties) {
            self.push_property(key, &value);
        }
        self.end_properties();
    }

    fn push_frame(&mut self, frame: &Frame) {
        let producer = frame.head.producer;
        self.log_offset.append_value(frame.offset.cast_signed());
        self.append_time.append_value(frame.append_us);
        self.receive_time.append_value(frame.head.received_us);
        self.install.append_option((producer.install != [0; 16]).then_some(producer.install));
        self.stream_epoch.append_option((producer.epoch != 0).then_some(producer.epoch.cast_signed()));
        self.context.append_option(frame.context.as_deref());
        self.historical.append_value(frame.head.historical);
    }

    fn push_head(&mut self, event: &EventView<'_>) {
        let head = event.head();
        self.batch_index.append_value(head.index.cast_signed());
        self.event_id.append_value(head.id.0);
        self.event_time.append_value(head.time_us);
        self.raw_time.append_value(head.raw_time_us);
        self.time_rule.append_value(head.time_rule as i8);
        self.lane.append_value(head.lane.into());
        self.actor_hash.append_value(head.actor_key.cast_signed());
        self.stream_class.append_value(head.class.cast_signed());
        self.stream_number.append_value(head.number.cast_signed());
    }

    #[inline]
    fn push_property(&mut self, key: &str, value: &Value<'_>) {
        let kind = Kind::of(value);
        let mut promoted = self.promoted.iter_mut();
        match promoted.find(|one| one.property.kind == kind && one.property.key == key && !one.set) {
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
            Arc::new(self.event_id.finish()),
            Arc::new(self.event_time.finish()),
            Arc::new(self.raw_time.finish()),
            Arc::new(self.receive_time.finish()),
            Arc::new(self.append_time.finish()),
            Arc::new(self.time_rule.finish()),
            Arc::new(self.lane.finish()),
            Arc::new(self.actor.finish()),
            Arc::new(self.actor_hash.finish()),
            Arc::new(self.install.finish()),
            Arc::new(self.stream_epoch.finish()),
            Arc::new(self.stream_class.finish()),
            Arc::new(self.stream_number.finish()),
            Arc::new(self.name.finish()),
            Arc::new(self.anonymous_id.finish()),
            Arc::new(self.user_id.finish()),
            Arc::new(self.session_id.finish()),
            Arc::new(self.context.finish()),
            Arc::new(self.historical.finish()),
            Arc::new(self.changes.finish()),
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

fn set(text: &str) -> Option<&str> {
    (!text.is_empty()).then_some(text)
}
