//! Alerts on a watch: what happened since the cursor, then what happens.

use std::sync::Arc;

use footpath_alert::Told;
use footpath_engine::alert::{AlertFold, Open, Transition, TransitionKind};
use footpath_model::definition::Severity;
use footpath_proto::v1;
use footpath_store::{StoreError, TransitionRow};

use super::messages;
use crate::context::Context;
use crate::cursor::{Cursor, Kind, Opened, Scope};
use crate::live::WatchState;

/// Alerts in one message.
const PAGE: usize = 100;

/// What a cursor of alerts is good for.
pub fn scope(project: u32, target: &v1::AlertSubscription) -> Scope {
    let mut rules: Vec<_> = target.alert_rule_ids.iter().map(String::as_str).collect();
    rules.sort_unstable();
    let severity = target.min_severity.to_string();
    rules.insert(0, &severity);
    Scope::new(Kind::Alerts, project, &rules)
}

/// One subscription.
struct Tail<'a> {
    context: &'a Context,
    state: &'a WatchState,
    id: &'a str,
    target: &'a v1::AlertSubscription,
    scope: &'a Scope,
    next: (u64, u32),
}

/// Follows a project's alerts until the reader is gone.
pub async fn follow_alerts(
    context: &Arc<Context>,
    state: &WatchState,
    id: &str,
    target: &v1::AlertSubscription,
    scope: &Scope,
    from: Option<Opened<Cursor>>,
) {
    let mut news = context.alerts.news();
    news.mark_unchanged();
    let mut tail = Tail { context, state, id, target, scope, next: (0, 0) };
    let begun = match from {
        Some(cursor) if !cursor.other_log => {
            tail.next = (cursor.at.offset, cursor.at.index);
            true
        }
        Some(_) => state.send_gap(id, "other_log", 0).await && tail.begin().await,
        None => tail.begin().await,
    };
    if !begun {
        return;
    }
    loop {
        match tail.catch_up().await {
            Ok(true) => {}
            Ok(false) => return,
            Err(error) => {
                tracing::warn!(%error, "alerts cannot be read");
                return state
                    .end(id, "storage_failed", "alerts cannot be read; the server's log says why")
                    .await;
            }
        }
        if news.changed().await.is_err() {
            return;
        }
    }
}

impl Tail<'_> {
    /// Sends what is open now, and goes on from there.
    async fn begin(&mut self) -> bool {
        let project = self.state.project_row();
        // What happens meanwhile is told after it, again at most.
        self.next = (*self.context.alerts.news().borrow(), 0);
        let open = |fold: &AlertFold| fold.open().into_iter().map(opened).collect::<Vec<_>>();
        let open = self.context.alerts.read(project.number, open).unwrap_or_default();
        let told = open.into_iter().filter_map(|transition| {
            let incident = self.context.alerts.incident(project.number, &transition.incident.id);
            Some(Told { transition, incident: incident.ok()?? })
        });
        let told: Vec<_> = told.filter(|told| self.wants(told)).collect();
        self.send(&told).await
    }

    /// Sends what is stored from `next` on; false when the reader is gone.
    async fn catch_up(&mut self) -> Result<bool, StoreError> {
        loop {
            let number = self.state.project();
            let rows = self.context.store.transitions(number, self.next, PAGE)?;
            let Some(last) = rows.last() else { return Ok(true) };
            self.next = (last.position, last.index + 1);
            let told: Vec<_> = rows.iter().filter_map(read).filter(|told| self.wants(told)).collect();
            if !told.is_empty() && !self.send(&told).await {
                return Ok(false);
            }
        }
    }

    async fn send(&self, told: &[Told]) -> bool {
        let project = self.state.project_row();
        let at = Cursor { offset: self.next.0, index: self.next.1, read_us: 0 };
        let page = v1::AlertPage {
            subscription_id: self.id.to_owned(),
            alerts: told.iter().map(|told| messages::alert(self.context, project, told)).collect(),
            cursor: self.context.cursors.seal(self.scope, 0, at),
        };
        self.state.send(v1::watch_response::Message::Alerts(page)).await
    }

    fn wants(&self, told: &Told) -> bool {
        let least = match self.target.min_severity() {
            v1::AlertSeverity::Unspecified | v1::AlertSeverity::Info => Severity::Info,
            v1::AlertSeverity::Warning => Severity::Warning,
            v1::AlertSeverity::Critical => Severity::Critical,
        };
        let rules = &self.target.alert_rule_ids;
        told.incident.severity >= least && (rules.is_empty() || rules.contains(&told.incident.rule))
    }
}

/// An open incident as something that just happened.
fn opened(open: &Open) -> Transition {
    Transition {
        incident: open.name.clone(),
        kind: TransitionKind::Opened,
        at_us: open.told.to_us,
        judged: Some(open.told.clone()),
        by: None,
        detail: None,
        quiet: false,
    }
}

fn read(row: &TransitionRow) -> Option<Told> {
    let told = serde_json::from_str(&row.json);
    told.inspect_err(|error| tracing::error!(%error, "a stored alert cannot be read and is left out")).ok()
}
