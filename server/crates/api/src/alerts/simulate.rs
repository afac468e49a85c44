//! A rule run over history, with progress.

use std::sync::Arc;

use footpath_alert::{Simulated, Simulation, longest_us, simulate};
use footpath_engine::alert::{Transition, TransitionKind};
use footpath_model::alert::CountedRule;
use footpath_model::range::{Range, RollingUnit};
use footpath_proto::v1;
use footpath_store::ProjectRow;
use tokio::sync::mpsc;
use tokio_stream::wrappers::UnboundedReceiverStream;
use tonic::{Response, Status};
use v1::simulate_alert_rule_request::Rule;
use v1::simulate_alert_rule_response::Message;

use super::numbers::LiveNumbers;
use super::{AlertApi, Simulating, messages};
use crate::convert::{duration, timestamp};
use crate::status::{invalid, unavailable};

impl AlertApi {
    pub(super) fn simulate(
        &self,
        project: Arc<ProjectRow>,
        request: v1::SimulateAlertRuleRequest,
    ) -> Result<Response<Simulating>, Status> {
        let rule = self.simulated(&project, request.rule)?;
        let (range, zone) = crate::convert::range(request.range.as_ref(), &project.time_zone)?;
        let named = request.range.as_ref().is_some_and(|range| range.kind.is_some());
        let range = if named { range } else { usual(&rule) };
        let now_us = self.context.clock.now_us();
        let (from_us, to_us) =
            range.resolve(now_us, &zone).map_err(|error| invalid("range_invalid", &error.to_string()))?;
        let to_us = to_us.unwrap_or(now_us).min(now_us);
        let longest_us = longest_us(&rule);
        if to_us.saturating_sub(from_us) > longest_us {
            let what = format!("range: at most {} hours at this bucket width", longest_us / 3_600_000_000);
            return Err(invalid("range_invalid", &what));
        }
        let (sender, receiver) = mpsc::unbounded_channel();
        let context = Arc::clone(&self.context);
        tokio::spawn(async move {
            let numbers = LiveNumbers::new(Arc::clone(&context));
            let asked = Simulation { project: &project, rule: &rule, from_us, to_us };
            let progress = sender.clone();
            let percent = move |percent| {
                let _ = progress.send(Ok(message(Message::Percent(percent)))); // The caller may be gone.
            };
            let run = simulate(&numbers, asked, &percent);
            tokio::select! {
                () = sender.closed() => {}
                done = run => tell(&sender, done.map_err(|error| unavailable("simulation_failed", &error.to_string()))),
            }
        });
        Ok(Response::new(Box::pin(UnboundedReceiverStream::new(receiver))))
    }

    fn simulated(&self, project: &ProjectRow, rule: Option<Rule>) -> Result<CountedRule, Status> {
        match rule {
            Some(Rule::AlertRule(message)) => {
                let asked = crate::convert::rule(&message, 1, &project.time_zone)?;
                crate::definitions::resolved(&self.context, &project.id, asked)
            }
            Some(Rule::AlertRuleId(id)) => crate::definitions::required(&self.context, &project.id, &id),
            None => Err(invalid("rule_missing", "rule: name one of alert_rule, alert_rule_id")),
        }
    }
}

/// The last 30 days, or as many as can be read at once.
fn usual(rule: &CountedRule) -> Range {
    let days = longest_us(rule) / 86_400_000_000;
    Range::Last { n: days.clamp(1, 30) as u32, unit: RollingUnit::Days }
}

type Sender = mpsc::UnboundedSender<Result<v1::SimulateAlertRuleResponse, Status>>;

fn tell(sender: &Sender, done: Result<Simulated, Status>) {
    let messages: Vec<_> = match done {
        Ok(simulated) => {
            let alerts = simulated.transitions.iter().filter(|one| one.kind.is_news());
            let alerts = alerts.map(|one| Message::Alert(alert(&simulated, one)));
            let summary = Message::Summary(summary(&simulated));
            alerts.chain([summary]).map(|one| Ok(message(one))).collect()
        }
        Err(status) => vec![Err(status)],
    };
    for message in messages {
        let _ = sender.send(message); // The caller may be gone.
    }
}

fn message(message: Message) -> v1::SimulateAlertRuleResponse {
    v1::SimulateAlertRuleResponse { message: Some(message) }
}

fn alert(simulated: &Simulated, transition: &Transition) -> v1::SimulatedAlert {
    let begins = transition.kind == TransitionKind::Opened;
    let drivers = simulated.drivers.get(&transition.incident.id).filter(|_| begins);
    v1::SimulatedAlert {
        kind: messages::kind(transition.kind).into(),
        incident_id: transition.incident.id.clone(),
        value: messages::value(&transition.incident.series),
        at: Some(timestamp(transition.at_us)),
        judgement: transition.judged.as_ref().map(messages::judgement),
        drivers: drivers.into_iter().flatten().map(messages::driver).collect(),
    }
}

fn summary(simulated: &Simulated) -> v1::SimulationSummary {
    v1::SimulationSummary {
        buckets: simulated.buckets,
        series: simulated.series as u32,
        incidents: simulated.incidents() as u32,
        alerts: simulated.alerts() as u32,
        alerts_per_series_and_month: simulated.per_series_and_month(),
        learning: simulated.learning,
        too_little: simulated.too_little,
        missing: simulated.missing,
        span: Some(duration(simulated.span_us)),
    }
}
