//! Incidents: listed, read, changed.

use footpath_alert::{Incident, Told};
use footpath_model::alert::{IncidentAct, IncidentChange};
use footpath_model::control::Control;
use footpath_model::definition::MAX_TEXT_BYTES;
use footpath_proto::v1;
use footpath_store::ProjectRow;
use tonic::{Code, Response, Status};
use v1::change_incident_request::Change;

use super::{AlertApi, messages, mute};
use crate::convert::micros;
use crate::cursor::{Kind, Scope};
use crate::status::{invalid, not_found, store, with_reason};

impl AlertApi {
    pub(super) fn incidents(
        &self,
        project: &ProjectRow,
        page: &v1::ListIncidentsRequest,
    ) -> Result<Response<v1::ListIncidentsResponse>, Status> {
        let context = &self.context;
        let size = crate::page_size(page.page_size);
        let scope = Scope::new(Kind::Incidents, project.number, &[if page.open { "open" } else { "all" }]);
        let after = context.cursors.open_page(&scope, &page.page_token)?;
        let after = after.split_once('.').and_then(|(at, id)| Some((at.parse().ok()?, id)));
        let rows = context.store.incidents(project.number, page.open, after, size + 1).map_err(store)?;
        let mut named: Vec<_> =
            rows.into_iter().map(|row| (format!("{}.{}", row.opened_us, row.id), row)).collect();
        let next_page_token = context.cursors.cut_page(&scope, &mut named, size, |(name, _)| name);
        // The log tells of one that cannot be read; the others are shown.
        let read = named.iter().filter_map(|(_, row)| context.alerts.read_row(row).ok());
        let incidents = read.map(|incident| messages::incident(context, project, &incident)).collect();
        Ok(Response::new(v1::ListIncidentsResponse { incidents, next_page_token }))
    }

    pub(super) fn incident(
        &self,
        project: &ProjectRow,
        id: &str,
    ) -> Result<Response<v1::GetIncidentResponse>, Status> {
        let incident = self.required(project, id)?;
        let rows = self.context.store.transitions_of(project.number, id).map_err(store)?;
        let told = rows.iter().filter_map(|row| serde_json::from_str::<Told>(&row.json).ok());
        Ok(Response::new(v1::GetIncidentResponse {
            incident: Some(messages::incident(&self.context, project, &incident)),
            events: told.map(|told| messages::event(&told.transition)).collect(),
        }))
    }

    pub(super) async fn change(
        &self,
        project: &ProjectRow,
        by: String,
        request: v1::ChangeIncidentRequest,
    ) -> Result<Response<v1::ChangeIncidentResponse>, Status> {
        let _turn = self.context.turn.lock().await;
        let known = self.required(project, &request.incident_id)?;
        let act = self.act(request.change, &known)?;
        let only_open =
            matches!(act, IncidentAct::Acknowledge {} | IncidentAct::Resolve {} | IncidentAct::Mute { .. });
        if only_open && known.resolved_us.is_some() {
            let what = "the incident is over; only remarks, its owner and what was done can be noted";
            return Err(with_reason(Code::FailedPrecondition, "incident_over", what, None));
        }
        if let IncidentAct::Mute { until_us } = act
            && !mute::changes(self.context.clock.now_us(), known.muted_until_us, until_us)
        {
            let incident = Some(messages::incident(&self.context, project, &known));
            return Ok(Response::new(v1::ChangeIncidentResponse { incident }));
        }
        let change = IncidentChange {
            incident: known.id,
            rule: known.rule,
            series: known.series,
            from_us: known.from_us,
            severity: known.severity,
            by,
            act,
        };
        self.record(project, Control::Incident(Box::new(change))).await?;
        let incident = self.required(project, &request.incident_id)?;
        let incident = Some(messages::incident(&self.context, project, &incident));
        Ok(Response::new(v1::ChangeIncidentResponse { incident }))
    }

    fn act(&self, change: Option<Change>, known: &Incident) -> Result<IncidentAct, Status> {
        let now_us = self.context.clock.now_us();
        Ok(match change {
            None => {
                let what = "change: name one of acknowledge, resolve, comment, mute_until, owner, action";
                return Err(invalid("incident_change_invalid", what));
            }
            Some(Change::Acknowledge(_)) => IncidentAct::Acknowledge {},
            Some(Change::Resolve(_)) => IncidentAct::Resolve {},
            Some(Change::Comment(text)) => IncidentAct::Comment { text: said("comment", text)? },
            Some(Change::MuteUntil(until)) => {
                IncidentAct::Mute { until_us: mute::until_us(now_us, Some(&until))? }
            }
            Some(Change::Owner(owner)) if owner.is_empty() => IncidentAct::Assign { owner },
            Some(Change::Owner(owner)) => IncidentAct::Assign { owner: said("owner", owner)? },
            Some(Change::Action(action)) => {
                let at_us = action.at.as_ref().map_or(now_us, micros);
                if at_us > now_us || at_us < known.from_us.saturating_sub(WEEK_US) {
                    let what = "action.at: not in the future, and at most a week before the incident began";
                    return Err(invalid("incident_change_invalid", what));
                }
                IncidentAct::Action { text: said("action.text", action.text)?, at_us }
            }
        })
    }

    /// An incident, or NOT_FOUND.
    pub(super) fn required(&self, project: &ProjectRow, id: &str) -> Result<Incident, Status> {
        let known = self.context.alerts.incident(project.number, id).map_err(store)?;
        known.ok_or_else(|| not_found("incident_unknown", "no such incident; ListIncidents names them"))
    }
}

/// A week, in microseconds: so long before an incident something may have been done against it.
const WEEK_US: i64 = 7 * 86_400_000_000;

/// A text that somebody said.
fn said(field: &str, text: String) -> Result<String, Status> {
    if (1..=MAX_TEXT_BYTES).contains(&text.len()) {
        return Ok(text);
    }
    let what = format!("{field}: 1 to {MAX_TEXT_BYTES} bytes, not {}", text.len());
    Err(invalid("incident_change_invalid", &what))
}
