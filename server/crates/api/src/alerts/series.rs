//! How the series of a rule stand.

use footpath_engine::alert::{AlertFold, RuleFold, RuleState, SeriesFold};
use footpath_model::alert::{CountedRule, Series};
use footpath_proto::v1;
use footpath_store::ProjectRow;
use tonic::{Response, Status};

use super::{AlertApi, messages, mute};

impl AlertApi {
    pub(super) fn series(
        &self,
        project: &ProjectRow,
        request: &v1::ListAlertSeriesRequest,
    ) -> Result<Response<v1::ListAlertSeriesResponse>, Status> {
        crate::definitions::required::<CountedRule>(&self.context, &project.id, &request.alert_rule_id)?;
        let buckets = if request.buckets == 0 { usize::MAX } else { request.buckets as usize };
        let now_us = self.context.clock.now_us();
        let read =
            |fold: &AlertFold| fold.rule(&request.alert_rule_id).map(|rule| shown(rule, buckets, now_us));
        let shown = self.context.alerts.read(project.number, read).flatten().unwrap_or_default();
        Ok(Response::new(shown))
    }
}

fn shown(rule: &RuleFold, buckets: usize, now_us: i64) -> v1::ListAlertSeriesResponse {
    let state = match rule.state() {
        RuleState::BackFilling => v1::DefinitionState::Backfilling,
        RuleState::Judging | RuleState::Disabled => v1::DefinitionState::Live,
    };
    let one = |(name, series): (&Series, &SeriesFold)| v1::AlertSeries {
        value: messages::value(name),
        judgements: series
            .recent
            .iter()
            .skip(series.recent.len().saturating_sub(buckets))
            .map(messages::judgement)
            .collect(),
        incident_id: series.incident().map(|open| open.name.id.clone()).unwrap_or_default(),
    };
    v1::ListAlertSeriesResponse {
        state: state.into(),
        series: rule.series.iter().map(one).collect(),
        muted_until: mute::shown(now_us, rule.muted_until_us),
    }
}
