//! What a project has decided for all of its numbers.

use footpath_model::control::{ProjectSettings, SessionLimits};
use footpath_proto::v1;
use footpath_store::{ProjectRow, Store};
use prost_types::Duration;
use tonic::Status;

use crate::convert::{self, duration, duration_us};
use crate::status::{internal, invalid, store};

const MINUTE_US: i64 = 60_000_000;
/// Gaps of sessions that can be set: 1 min to 12 h.
const GAPS_US: std::ops::RangeInclusive<i64> = MINUTE_US..=720 * MINUTE_US;
/// The longest limit of a session: 7 d.
const MAX_LIMIT_US: i64 = 7 * 1_440 * MINUTE_US;

/// The settings of a project.
///
/// # Errors
/// If the store fails.
pub fn of(from: &dyn Store, project: &str) -> Result<ProjectSettings, Status> {
    let Some(row) = from.settings(project).map_err(store)? else {
        return Ok(ProjectSettings::default());
    };
    serde_json::from_str(&row.json)
        .map_err(|error| internal(&format!("the stored settings cannot be read: {error}")))
}

/// A project as the API shows it.
pub fn project_message(row: &ProjectRow, settings: &ProjectSettings) -> v1::Project {
    v1::Project {
        id: row.id.clone(),
        title: row.title.clone(),
        time_zone: row.time_zone.clone(),
        created_at: Some(convert::timestamp(row.created_at_us)),
        session_gap: Some(duration(settings.sessions.gap_us)),
        session_limit: Some(duration(settings.sessions.max_us)),
        internal_traffic: settings.internal.as_ref().map(convert::filter_message),
    }
}

/// The settings in a message, checked.
///
/// # Errors
/// INVALID_ARGUMENT that names the field.
pub fn read(project: &v1::Project) -> Result<ProjectSettings, Status> {
    let usual = SessionLimits::default();
    let or = |given: &Option<Duration>, usual: i64| given.as_ref().map_or(usual, duration_us);
    let gap_us = or(&project.session_gap, usual.gap_us);
    let max_us = or(&project.session_limit, usual.max_us);
    if !GAPS_US.contains(&gap_us) {
        return Err(invalid("settings_invalid", "project.session_gap: from 1 min to 12 h"));
    }
    if !(gap_us..=MAX_LIMIT_US).contains(&max_us) {
        return Err(invalid("settings_invalid", "project.session_limit: from the session gap to 7 d"));
    }
    let internal = project.internal_traffic.as_ref().map(convert::internal).transpose()?;
    Ok(ProjectSettings { sessions: SessionLimits { gap_us, max_us }, internal })
}
