//! A project's rules in an image: a faster way to what the records say.

use std::collections::{BTreeMap, VecDeque};

use footpath_model::alert::{Annotation, CountedRule, Series};
use serde::{Deserialize, Serialize};

use super::compare::Trial;
use super::fold::AlertFold;
use super::judge::Judged;
use super::rule::RuleFold;
use super::series::{Over, Phase, SeriesFold};
use super::silence::Silence;
use crate::anomaly::Detector;

/// The image's version; another one is not read.
const VERSION: u8 = 1;

/// A project. What is behind the annotations may change with the version; they stay where they are (`anew`).
#[derive(Serialize, Deserialize)]
struct ProjectImage {
    version: u8,
    annotations: Vec<Annotation>,
    silence: Silence,
    usual_missing: f64,
    rules: Vec<RuleImage>,
}

#[derive(Serialize, Deserialize)]
struct RuleImage {
    /// As JSON: definitions have optional fields, which this encoding does not know.
    counted: Vec<u8>,
    last_us: i64,
    learned: bool,
    muted_until_us: i64,
    series: Vec<SeriesImage>,
}

#[derive(Serialize, Deserialize)]
struct SeriesImage {
    name: Series,
    detector: Option<Vec<u8>>,
    phase: Phase,
    recent: VecDeque<Judged>,
    over: Option<Over>,
    trial: Option<Trial>,
    last_seen_us: i64,
}

impl AlertFold {
    /// The image of this moment.
    pub fn encode(&self) -> Vec<u8> {
        let image = ProjectImage {
            version: VERSION,
            annotations: self.annotations.values().cloned().collect(),
            silence: self.silence.clone(),
            usual_missing: self.usual_missing,
            rules: self.rules.values().map(rule_image).collect(),
        };
        postcard::to_allocvec(&image).unwrap_or_default()
    }

    /// What an image holds; `None` if it is damaged or of another version.
    pub fn decode(project: u32, image: &[u8]) -> Option<Self> {
        let image: ProjectImage = postcard::from_bytes(image).ok()?;
        if image.version != VERSION {
            return None;
        }
        let rules: Option<BTreeMap<_, _>> = image.rules.into_iter().map(rule_of).collect();
        let annotations = image.annotations.into_iter().map(|one| (one.id.clone(), one)).collect();
        Some(Self {
            project,
            rules: rules?,
            annotations,
            silence: image.silence,
            usual_missing: image.usual_missing,
            unruled: Vec::new(),
        })
    }
}

fn rule_image(rule: &RuleFold) -> RuleImage {
    RuleImage {
        counted: serde_json::to_vec(&rule.counted).unwrap_or_default(),
        last_us: rule.last_us,
        learned: rule.learned,
        muted_until_us: rule.muted_until_us,
        series: rule.series.iter().map(|(name, series)| series_image(name, series)).collect(),
    }
}

fn series_image(name: &Series, series: &SeriesFold) -> SeriesImage {
    let encoded = |detector: &Detector| {
        let mut out = Vec::new();
        detector.encode(&mut out);
        out
    };
    SeriesImage {
        name: name.clone(),
        detector: series.detector.as_deref().map(encoded),
        phase: series.phase.clone(),
        recent: series.recent.clone(),
        over: series.over.clone(),
        trial: series.trial.clone(),
        last_seen_us: series.last_seen_us,
    }
}

fn rule_of(image: RuleImage) -> Option<(String, RuleFold)> {
    let counted: CountedRule = serde_json::from_slice(&image.counted).ok()?;
    let mut rule = RuleFold::new(counted);
    (rule.last_us, rule.learned, rule.muted_until_us) = (image.last_us, image.learned, image.muted_until_us);
    for one in image.series {
        let detector = match (&one.detector, rule.settings()) {
            (Some(bytes), Some(settings)) => {
                Detector::decode(&settings, &mut bytes.as_slice()).ok().map(Box::new)
            }
            _ => None,
        };
        // One of another version of the program: the rule reads its past again.
        rule.learned &= detector.is_some() || one.detector.is_none();
        let detector = detector.or_else(|| rule.detector());
        let SeriesImage { name, phase, recent, over, trial, last_seen_us, .. } = one;
        rule.series.insert(name, SeriesFold { detector, phase, recent, over, trial, last_seen_us });
    }
    Some((rule.rule().id.clone(), rule))
}
