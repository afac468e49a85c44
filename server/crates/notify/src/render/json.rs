//! The notice as JSON: type, timestamp and data, as the Standard Webhooks specification recommends.

use serde_json::{Value, json};

use crate::{Notice, text};

pub(super) fn body(notice: &Notice) -> Value {
    json!({
        "type": format!("alert.{}", notice.kind.word()),
        "timestamp": text::time(notice.at_us),
        "data": notice,
    })
}
