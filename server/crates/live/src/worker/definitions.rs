//! Control records: definitions, settings and who is who, as the log tells of their changes.

use std::sync::atomic::Ordering;

use footpath_model::control::{Control, CountedMetric};

use super::Worker;
use crate::demand::{Followed, followed};
use crate::hub::Progress;
use crate::view::{Counted, ViewKey};

impl Worker {
    pub(super) fn control(&mut self, number: u32, at: Progress, json: &[u8]) {
        match serde_json::from_slice::<Control>(json) {
            Ok(control) => control.each().for_each(|change| self.change(number, at, change)),
            Err(error) => {
                tracing::error!(%error, offset = at.position, "a control record cannot be read and is left out");
            }
        }
    }

    pub(super) fn change(&mut self, number: u32, at: Progress, change: Control) {
        match change {
            Control::PutFunnel(funnel) => self.put(number, at.position, Counted::Funnel(funnel)),
            Control::DeleteFunnel { id } => self.delete(number, at.position, &ViewKey::Funnel(id)),
            Control::MergePersons { .. } | Control::UnmergePerson { .. } => {
                self.projects.get_mut(&number).into_iter().for_each(|project| project.control(&change, at));
            }
            Control::PutMetric(metric) => self.put_metric(number, at.position, metric),
            Control::DeleteMetric { id } => {
                if self.is_new(at.position) {
                    self.demand(number).delete(&id);
                    self.hub.end_metric(number, &id);
                }
                self.delete(number, at.position, &ViewKey::Metric(id));
            }
            Control::PutSettings(settings) if self.is_new(at.position) => self.demand(number).set(*settings),
            Control::PutRule(rule) if self.is_new(at.position) => self.demand(number).put_rule(&rule),
            Control::DeleteRule { id } if self.is_new(at.position) => self.demand(number).delete_rule(&id),
            Control::PutSegment(_)
            | Control::PutRule(_)
            | Control::DeleteRule { .. }
            | Control::MuteRule { .. }
            | Control::Observed { .. }
            | Control::Learned(_)
            | Control::Incident(_)
            | Control::Annotate(_)
            | Control::DeleteAnnotation { .. }
            | Control::DeleteSegment { .. }
            | Control::PutSettings(_)
            | Control::Several { .. }
            | Control::Privacy { .. }
            | Control::Losses { .. } => {}
        }
    }

    /// Whether a change at `offset` was not known at the start. A replay brings what was changed again long ago, and deletions
    /// of what was made again later.
    fn is_new(&self, offset: u64) -> bool {
        offset >= self.live_from
    }

    fn put_metric(&mut self, number: u32, offset: u64, metric: Box<CountedMetric>) {
        if !self.is_new(offset) {
            return;
        }
        self.demand(number).put((*metric).clone());
        self.hub.end_metric(number, &metric.definition.id);
        let key = ViewKey::Metric(metric.definition.id.clone());
        match followed(&metric) {
            Followed::Alone(_) => self.put(number, offset, Counted::Metric(metric)),
            Followed::Sessions(_) | Followed::No => self.delete(number, offset, &key),
        }
    }

    /// A new definition: stored events up to its record are folded into it, then it joins.
    pub(super) fn put(&mut self, number: u32, offset: u64, counted: Counted) {
        let (key, version) = (counted.key(), counted.version());
        let live = self.view(number, &key).map(|view| view.counted().version());
        let filling = self.filling.get(&(number, key)).map(|filling| filling.job.counted.version());
        if !self.is_new(offset) || live.max(filling) >= Some(version) {
            return;
        }
        self.fill(number, counted, offset);
    }

    fn delete(&mut self, number: u32, offset: u64, key: &ViewKey) {
        if self.is_new(offset) {
            self.remove(number, key);
        }
    }

    pub(super) fn remove(&mut self, number: u32, key: &ViewKey) {
        if let Some(filling) = self.filling.remove(&(number, key.clone())) {
            filling.job.cancelled.store(true, Ordering::Relaxed);
        }
        if self.projects.get_mut(&number).and_then(|project| project.remove(key)).is_some() {
            self.abort_image();
        }
        self.refills.remove(&(number, key.clone()));
        self.hub.reconciliations().forget(number, key);
        self.hub.end(number, key);
    }

    pub(super) fn abort_image(&mut self) {
        if let Some(imager) = &mut self.imager {
            imager.abort(&mut self.projects);
        }
    }
}
