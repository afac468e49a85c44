//! Any order, the first entry: one attempt, which takes every event that adds a step.

use super::any::{begun, deepened};
use super::chain::Chain;
use super::event::Attempt;
use super::matching::is_independent;
use super::moment::Moment;
use super::rules::{GeneralRules, low_bits};
use crate::funnel::NO_ENTRY;

/// The attempt and the steps that each of its events matches.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(super) struct AnyFirst {
    chain: Option<Chain>,
    masks: Vec<u32>,
    is_open: bool,
    /// The entry that an excluded event hit.
    pub(super) hit_us: i64,
}

impl AnyFirst {
    pub(super) fn new() -> Self {
        Self { chain: None, masks: Vec::new(), is_open: false, hit_us: NO_ENTRY }
    }

    /// Takes the events of one moment; the attempt may begin if `enters`.
    pub(super) fn advance(&mut self, rules: &GeneralRules, moment: &Moment, enters: bool) {
        let Some(chain) = &self.chain else {
            if enters {
                self.begin(rules, moment);
            }
            return;
        };
        let entry_us = chain.entry_us;
        self.is_open &= self.is_open_at(rules, moment.first_us);
        if !self.is_open {
            return;
        }
        let before = (moment.exclusions != 0).then(|| self.clone());
        // Only events of the first moment can be the anchor.
        self.take(rules, moment, if rules.is_anchored() { !1 } else { u32::MAX });
        if let Some(before) = before.filter(|_| !self.is_complete(rules)) {
            *self = before;
            self.is_open = false;
            if rules.drops_persons() {
                self.hit_us = self.hit_us.max(entry_us);
            }
        }
    }

    fn begin(&mut self, rules: &GeneralRules, moment: &Moment) {
        let can_begin = if rules.is_anchored() { 1 } else { u32::MAX };
        let Some(first) = moment.masks.iter().position(|mask| mask & can_begin != 0) else { return };
        self.chain = Some(begun(rules, moment.first_us, moment.values[first]));
        self.is_open = true;
        if moment.capacity(rules) == 1 {
            let mask = if rules.is_anchored() { 1 } else { moment.union };
            self.masks.push(mask);
            return;
        }
        self.masks.push(moment.masks[first]);
        let mut rest = moment.clone();
        rest.masks.remove(first);
        rest.values.remove(first);
        self.take(rules, &rest, u32::MAX);
    }

    fn take(&mut self, rules: &GeneralRules, moment: &Moment, usable: u32) {
        let anyone = [moment.union];
        let masks = if moment.capacity(rules) < moment.masks.len() { &anyone[..] } else { &moment.masks[..] };
        for (mask, value) in masks.iter().zip(&moment.values) {
            let mask = mask & usable;
            self.masks.push(mask);
            if mask == 0 || !is_independent(&self.masks) {
                self.masks.pop();
                continue;
            }
            let depth = self.masks.len();
            self.chain =
                self.chain.take().map(|chain| deepened(rules, chain, depth, moment.first_us, *value));
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.chain.is_none()
    }

    /// Whether the attempt can go on at `time_us`.
    pub(super) fn is_open_at(&self, rules: &GeneralRules, time_us: i64) -> bool {
        self.is_open && self.chain.as_ref().is_some_and(|chain| chain.is_open_at(rules, time_us))
    }

    /// Whether it did all steps.
    pub(super) fn is_complete(&self, rules: &GeneralRules) -> bool {
        self.masks.len() == rules.steps()
    }

    pub(super) fn result(&self) -> Option<Attempt> {
        self.chain.as_ref().map(Chain::attempt)
    }

    pub(super) fn is_sound(&self, rules: &GeneralRules) -> bool {
        let usable = |mask: &u32| *mask != 0 && rules.usable_steps(*mask) == *mask;
        let has_depth = |chain: &Chain| chain.is_sound(rules) && chain.steps == low_bits(self.masks.len());
        self.masks.iter().all(usable)
            && is_independent(&self.masks)
            && self.chain.as_ref().map_or(self.masks.is_empty(), has_depth)
    }
}
