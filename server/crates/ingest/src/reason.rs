//! Why events and batches are refused: every reason in one place.

use footpath_model::wire::WireError;

/// Declares the reasons once: variant, stable name, what to do, whether the same event can succeed later.
macro_rules! reasons {
    ($($variant:ident $name:literal $retry:literal $message:literal)+) => {
        /// Why one event was refused. The names are part of the API and never change; docs/errors.md lists them.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Reason {
            $(#[doc = $message] $variant,)+
        }

        impl Reason {
            /// Every reason.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The stable name, in lower_snake_case.
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name),+ }
            }

            /// For people: what to do.
            pub fn message(self) -> &'static str {
                match self { $(Self::$variant => $message),+ }
            }

            /// Whether sending the same event again can succeed.
            pub fn retryable(self) -> bool {
                match self { $(Self::$variant => $retry),+ }
            }
        }
    };
}

reasons! {
    EventTooLarge "event_too_large" false "The event is larger than the limit; send fewer or shorter properties."
    Malformed "malformed" false "The event's bytes are not a protobuf message; encode it with a generated client."
    GroupNotAllowed "group_not_allowed" false "The event holds a protobuf group; encode it as a proto3 message."
    VarintOverLong "varint_over_long" false "A varint has more bytes than its value needs; use a standard encoder."
    WireTypeWrong "wire_type_wrong" false "A field has another wire type than the schema; regenerate the client from proto/footpath/v1."
    FieldTwice "field_twice" false "A field that may stand once stands twice; do not concatenate encoded events."
    Utf8Invalid "utf8_invalid" false "A string is not valid UTF-8; convert it before sending."
    NameMissing "name_missing" false "Set `name` to what happened, for example \"checkout_started\"."
    NameTooLong "name_too_long" false "Shorten `name`; put details into properties."
    NameReserved "name_reserved" false "Names that begin with \"$\" are reserved; choose another. The ones to send are `$identify` and `$alias`."
    IdentifyIdMissing "identify_id_missing" false "`$identify` needs both `anonymous_id` and `user_id`."
    IdentifyIdInvalid "identify_id_invalid" false "An id of `$identify` stands for nobody in particular (such as \"null\", \"guest\" or zeros); send it only with real ids."
    AliasNameInvalid "alias_name_invalid" false "`$alias` needs its property `alias`: the new name, a text that stands for one person and is no longer than an id."
    AliasActorInvalid "alias_actor_invalid" false "The actor of `$alias` stands for nobody in particular (such as \"null\", \"guest\" or zeros); send it only with real ids."
    ActorMissing "actor_missing" false "Set `anonymous_id` or `user_id`."
    ActorTooLong "actor_too_long" false "Shorten `anonymous_id` or `user_id`."
    SessionIdTooLong "session_id_too_long" false "Shorten `session_id`."
    IdInvalid "id_invalid" false "Send `id` as a UUID in text, or `raw_id` as its 16 bytes; not the nil UUID."
    IdTwice "id_twice" false "Set one of `id` and `raw_id`, not both."
    TimeOutOfRange "time_out_of_range" false "Set `time` between 1970 and 2100, with nanoseconds from 0 to 999,999,999."
    DeliveryClassInvalid "delivery_class_invalid" false "Use a `delivery_class` of the schema."
    ClassMissing "class_missing" false "A numbered event needs its `delivery_class`."
    LaneMissing "lane_missing" false "A numbered event needs its `lane`."
    LaneMismatch "lane_mismatch" false "`lane` must be xxh3_64(project id, 0x00, actor) mod 256; check the project id and the actor."
    ProducerMissing "producer_missing" false "A numbered event needs the batch's `producer`."
    PropertyKeyInvalid "property_key_invalid" false "A property key has 1 to 255 bytes."
    ValueMissing "value_missing" false "A property's value has no kind; set one, or leave the property out."
    PropertyTwice "property_twice" false "A property key stands twice; send each key once, in `properties` or in `plain_properties`."
    TooManyProperties "too_many_properties" false "Send fewer properties on one event."
    NestedTooDeep "nested_too_deep" false "Flatten the property: lists and maps are nested too deep."
    NumberNotFinite "number_not_finite" false "A number is NaN or infinite; leave it out."
    DecimalInvalid "decimal_invalid" false "Write the decimal as digits with an optional sign and point, for example \"12.340\"."
    MoneyInvalid "money_invalid" false "Money needs an ISO 4217 currency, and units and nanos of the same sign with nanos below a unit."
    TimeValueInvalid "time_value_invalid" false "A property's time must lie in the years 1 to 9999."
    TooManyGroups "too_many_groups" false "Change fewer groups in one event."
    GroupInvalid "group_invalid" false "A group change needs a short `type` and a short `id`."
}

impl From<WireError> for Reason {
    fn from(error: WireError) -> Self {
        match error {
            WireError::Truncated | WireError::FieldNumber => Self::Malformed,
            WireError::Varint => Self::VarintOverLong,
            WireError::WireType(3 | 4) => Self::GroupNotAllowed,
            WireError::WireType(_) => Self::Malformed,
            WireError::FieldType(_) => Self::WireTypeWrong,
        }
    }
}

/// Why a whole batch was refused; nothing of it is stored.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BatchError {
    /// More bytes than a batch may have.
    #[error("the batch has {bytes} bytes or more, the limit is {limit}: send smaller batches")]
    TooLarge {
        /// What it has, decompressed, as far as it was read.
        bytes: usize,
        /// What it may have.
        limit: usize,
    },
    /// More events or loss ranges than a batch may have.
    #[error("the batch has more than {limit} entries: send smaller batches")]
    TooMany {
        /// What it may have.
        limit: usize,
    },
    /// More privacy requests than a batch may have.
    #[error("the batch has more than {limit} privacy requests: send them in several batches")]
    TooManyWishes {
        /// What it may have.
        limit: usize,
    },
    /// The batch is not a protobuf message.
    #[error("the batch is not a valid footpath.v1.IngestRequest: {0}")]
    Framing(#[from] WireError),
    /// A field of the batch that may stand once stands twice.
    #[error("field {0} of the batch stands twice: do not concatenate encoded batches")]
    FieldTwice(u32),
    /// A string of the batch is not UTF-8.
    #[error("field {0} of the batch is not valid UTF-8")]
    Utf8(u32),
    /// A field of the batch has a value it may not have.
    #[error("field `{field}` of the batch is not valid: {need}")]
    Invalid {
        /// The field's name in the schema.
        field: &'static str,
        /// What it must be.
        need: &'static str,
    },
    /// The batch names another project than its key's.
    #[error(
        "the batch is for the project \"{named}\", its key is another project's: use one of that project"
    )]
    OtherProject {
        /// The project that it names.
        named: String,
    },
}

impl BatchError {
    /// The stable name, in lower_snake_case; docs/errors.md lists them.
    pub fn name(&self) -> &'static str {
        match self {
            Self::TooLarge { .. } => "batch_too_large",
            Self::TooMany { .. } => "too_many_events",
            Self::TooManyWishes { .. } => "too_many_privacy_requests",
            Self::Framing(_) => "batch_malformed",
            Self::FieldTwice(_) => "batch_field_twice",
            Self::Utf8(_) => "batch_utf8_invalid",
            Self::Invalid { .. } => "batch_field_invalid",
            Self::OtherProject { .. } => "project_not_allowed",
        }
    }

    /// Whether sending the same batch again can succeed: never. A batch that is too large can be split.
    pub fn retryable(&self) -> bool {
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_stable_and_distinct() {
        let mut names: Vec<_> = Reason::ALL.iter().map(|r| r.name()).collect();
        assert!(names.iter().all(|n| n.bytes().all(|b| b.is_ascii_lowercase() || b == b'_' || b == b'8')));
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), Reason::ALL.len());
    }

    #[test]
    fn the_page_lists_every_reason() {
        let page = include_str!("../../../../docs/errors.md");
        for reason in Reason::ALL {
            let row = format!("| `{}` | {} |", reason.name(), if reason.retryable() { "yes" } else { "no" });
            assert!(page.contains(&row), "docs/errors.md lacks {row}");
        }
        for refusal in footpath_log::dedupe::Refusal::ALL {
            let row =
                format!("| `{}` | {} |", refusal.reason(), if refusal.retryable() { "yes" } else { "no" });
            assert!(page.contains(&row), "docs/errors.md lacks {row}");
        }
        for name in [crate::outcomes::BUSY, crate::outcomes::NOT_DURABLE, crate::outcomes::DRAINING] {
            assert!(page.contains(&format!("| `throttled` | `{name}` |")), "docs/errors.md lacks {name}");
        }
        let wire = BatchError::Framing(WireError::Truncated);
        let invalid = BatchError::Invalid { field: "f", need: "n" };
        let (large, many) = (BatchError::TooLarge { bytes: 2, limit: 1 }, BatchError::TooMany { limit: 1 });
        let wishes = BatchError::TooManyWishes { limit: 1 };
        for error in [large, many, wishes, wire, BatchError::FieldTwice(1), BatchError::Utf8(1), invalid] {
            let row = format!("| `{}` | no |", error.name());
            assert!(page.contains(&row), "docs/errors.md lacks {row}");
        }
    }
}
