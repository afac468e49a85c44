//! The kinds of definitions: what is the same for all of them is said once, in terms of this trait.

use std::collections::BTreeMap;

use footpath_model::alert::CountedRule;
use footpath_model::control::{Control, CountedFunnel, CountedMetric};
use footpath_model::definition::SegmentDefinition;
use footpath_proto::v1;
use footpath_store::{DefinitionKind, DefinitionRow};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tonic::{Code, Status};

use super::known::Definitions;
use super::uses::Uses;
use crate::convert;
use crate::cursor::Kind as CursorKind;
use crate::status::{not_found, with_reason};

/// A kind of definition.
pub trait Kind: Clone + PartialEq + Serialize + DeserializeOwned + Uses + Send {
    /// As the API shows it.
    type Message: Clone + Default + Send;
    /// What its rows are filed under.
    const KIND: DefinitionKind;
    /// What it is called in errors.
    const NAME: &'static str;
    /// Its page tokens.
    const PAGES: CursorKind;
    /// How many of them a project may have.
    const MOST: usize = usize::MAX;

    /// From the API; `zone` is the project's.
    ///
    /// # Errors
    /// INVALID_ARGUMENT that names the field.
    fn read(message: &Self::Message, version: u64, zone: &str) -> Result<Self, Status>;
    /// As the API shows it.
    fn message(&self) -> Self::Message;
    /// Its id.
    fn id(&self) -> &str;
    /// Its version.
    fn version(&self) -> u64;
    /// The same as another version.
    #[must_use]
    fn with_version(self, version: u64) -> Self;
    /// The record that puts it there.
    fn put(self) -> Control;
    /// The record that takes it away.
    fn delete(id: String) -> Control;
    /// The id and etag of a message.
    fn name_of(message: &Self::Message) -> (&str, &str);
    /// There is none with an id.
    fn unknown() -> Status;
    /// There is one with this id and other content.
    fn exists() -> Status;
    /// Those of this kind.
    fn among(all: &Definitions) -> &BTreeMap<String, Self>;
    /// Those of this kind, to be changed.
    fn among_mut(all: &mut Definitions) -> &mut BTreeMap<String, Self>;
    /// Takes one field of `wanted` over into `known`; false if there is no such field, or it cannot be changed.
    fn take(known: &mut Self::Message, wanted: &Self::Message, field: &str) -> bool;
}

/// Takes over the fields that a mask can name.
macro_rules! take {
    ($known:ident, $wanted:ident, $path:ident, $($field:ident),+) => {
        match $path {
            $(stringify!($field) => $known.$field.clone_from(&$wanted.$field),)+
            _ => return false,
        }
    };
}

impl Kind for CountedFunnel {
    type Message = v1::Funnel;
    const KIND: DefinitionKind = DefinitionKind::Funnel;
    const NAME: &'static str = "funnel";
    const PAGES: CursorKind = CursorKind::Funnels;

    fn read(message: &v1::Funnel, version: u64, zone: &str) -> Result<Self, Status> {
        convert::funnel(message, version, zone)
    }

    fn message(&self) -> v1::Funnel {
        convert::funnel_message(self)
    }

    fn id(&self) -> &str {
        &self.definition.id
    }

    fn version(&self) -> u64 {
        self.definition.version
    }

    fn with_version(mut self, version: u64) -> Self {
        self.definition.version = version;
        self
    }

    fn put(self) -> Control {
        Control::PutFunnel(Box::new(self))
    }

    fn delete(id: String) -> Control {
        Control::DeleteFunnel { id }
    }

    fn name_of(message: &v1::Funnel) -> (&str, &str) {
        (&message.id, &message.etag)
    }

    fn unknown() -> Status {
        not_found("funnel_unknown", "no such funnel; ListFunnels names them")
    }

    fn exists() -> Status {
        let what = "a funnel with this id and other content exists; update it or choose another id";
        with_reason(Code::AlreadyExists, "funnel_exists", what, None)
    }

    fn among(all: &Definitions) -> &BTreeMap<String, Self> {
        &all.funnels
    }

    fn among_mut(all: &mut Definitions) -> &mut BTreeMap<String, Self> {
        &mut all.funnels
    }

    fn take(known: &mut v1::Funnel, wanted: &v1::Funnel, field: &str) -> bool {
        take!(
            known,
            wanted,
            field,
            title,
            steps,
            window,
            range,
            preset,
            window_from,
            entry,
            order,
            ties,
            tie_tolerance,
            counting,
            group_type,
            exclusions,
            exclusion_effect,
            hold_constant,
            breakdown,
            window_funnel,
            include_internal
        );
        true
    }
}

impl Kind for CountedMetric {
    type Message = v1::Metric;
    const KIND: DefinitionKind = DefinitionKind::Metric;
    const NAME: &'static str = "metric";
    const PAGES: CursorKind = CursorKind::Metrics;

    fn read(message: &v1::Metric, version: u64, _zone: &str) -> Result<Self, Status> {
        convert::metric(message, version)
    }

    fn message(&self) -> v1::Metric {
        convert::metric_message(self)
    }

    fn id(&self) -> &str {
        &self.definition.id
    }

    fn version(&self) -> u64 {
        self.definition.version
    }

    fn with_version(mut self, version: u64) -> Self {
        self.definition.version = version;
        self
    }

    fn put(self) -> Control {
        Control::PutMetric(Box::new(self))
    }

    fn delete(id: String) -> Control {
        Control::DeleteMetric { id }
    }

    fn name_of(message: &v1::Metric) -> (&str, &str) {
        (&message.id, &message.etag)
    }

    fn unknown() -> Status {
        not_found("metric_unknown", "no such metric; ListMetrics names them")
    }

    fn exists() -> Status {
        let what = "a metric with this id and other content exists; update it or choose another id";
        with_reason(Code::AlreadyExists, "metric_exists", what, None)
    }

    fn among(all: &Definitions) -> &BTreeMap<String, Self> {
        &all.metrics
    }

    fn among_mut(all: &mut Definitions) -> &mut BTreeMap<String, Self> {
        &mut all.metrics
    }

    fn take(known: &mut v1::Metric, wanted: &v1::Metric, field: &str) -> bool {
        // The parts of the oneof are the measure by another name.
        let field =
            if matches!(field, "events" | "ratio" | "sessions" | "conversion") { "measure" } else { field };
        take!(known, wanted, field, title, measure, breakdown, include_internal);
        true
    }
}

impl Kind for SegmentDefinition {
    type Message = v1::Segment;
    const KIND: DefinitionKind = DefinitionKind::Segment;
    const NAME: &'static str = "segment";
    const PAGES: CursorKind = CursorKind::Segments;

    fn read(message: &v1::Segment, version: u64, _zone: &str) -> Result<Self, Status> {
        convert::segment(message, version)
    }

    fn message(&self) -> v1::Segment {
        convert::segment_message(self)
    }

    fn id(&self) -> &str {
        &self.id
    }

    fn version(&self) -> u64 {
        self.version
    }

    fn with_version(self, version: u64) -> Self {
        Self { version, ..self }
    }

    fn put(self) -> Control {
        Control::PutSegment(Box::new(self))
    }

    fn delete(id: String) -> Control {
        Control::DeleteSegment { id }
    }

    fn name_of(message: &v1::Segment) -> (&str, &str) {
        (&message.id, &message.etag)
    }

    fn unknown() -> Status {
        not_found("segment_unknown", "no such segment; ListSegments names them")
    }

    fn exists() -> Status {
        let what = "a segment with this id and other content exists; update it or choose another id";
        with_reason(Code::AlreadyExists, "segment_exists", what, None)
    }

    fn among(all: &Definitions) -> &BTreeMap<String, Self> {
        &all.segments
    }

    fn among_mut(all: &mut Definitions) -> &mut BTreeMap<String, Self> {
        &mut all.segments
    }

    fn take(known: &mut v1::Segment, wanted: &v1::Segment, field: &str) -> bool {
        take!(known, wanted, field, title, filter);
        true
    }
}

impl Kind for CountedRule {
    type Message = v1::AlertRule;
    const KIND: DefinitionKind = DefinitionKind::Rule;
    const NAME: &'static str = "alert_rule";
    const PAGES: CursorKind = CursorKind::AlertRules;
    // Each may be a view of the live path.
    const MOST: usize = 500;

    fn read(message: &v1::AlertRule, version: u64, zone: &str) -> Result<Self, Status> {
        convert::rule(message, version, zone)
    }

    fn message(&self) -> v1::AlertRule {
        convert::rule_message(self)
    }

    fn id(&self) -> &str {
        &self.definition.id
    }

    fn version(&self) -> u64 {
        self.definition.version
    }

    fn with_version(mut self, version: u64) -> Self {
        self.definition.version = version;
        self
    }

    fn put(self) -> Control {
        Control::PutRule(Box::new(self))
    }

    fn delete(id: String) -> Control {
        Control::DeleteRule { id }
    }

    fn name_of(message: &v1::AlertRule) -> (&str, &str) {
        (&message.id, &message.etag)
    }

    fn unknown() -> Status {
        not_found("alert_rule_unknown", "no such alert rule; ListAlertRules names them")
    }

    fn exists() -> Status {
        let what = "an alert rule with this id and other content exists; update it or choose another id";
        with_reason(Code::AlreadyExists, "alert_rule_exists", what, None)
    }

    fn among(all: &Definitions) -> &BTreeMap<String, Self> {
        &all.rules
    }

    fn among_mut(all: &mut Definitions) -> &mut BTreeMap<String, Self> {
        &mut all.rules
    }

    fn take(known: &mut v1::AlertRule, wanted: &v1::AlertRule, field: &str) -> bool {
        // The parts of the oneof are the condition by another name.
        let of_condition = matches!(field, "threshold" | "change" | "anomaly" | "no_data");
        let field = if of_condition { "condition" } else { field };
        take!(
            known,
            wanted,
            field,
            title,
            metric_id,
            filter,
            breakdown,
            top,
            environments,
            include_internal,
            every,
            delay,
            condition,
            min_volume,
            min_effect,
            min_effect_percent,
            for_buckets,
            cooldown,
            severity,
            owner,
            runbook,
            destinations,
            disabled
        );
        true
    }
}

/// A row as what it says.
///
/// # Errors
/// INTERNAL if the row was written by something else.
pub fn read_row<K: Kind>(row: &DefinitionRow) -> Result<K, Status> {
    serde_json::from_str(&row.json).map_err(|error| {
        let what = format!("the stored {} {:?} cannot be read: {error}", K::NAME, row.id);
        crate::status::internal(&what)
    })
}
