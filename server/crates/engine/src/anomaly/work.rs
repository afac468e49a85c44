//! The scale that forecasts are made on.
use super::math::{exp, ln};
use super::series::SeriesKind;
use super::tuning::t;

#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub(super) struct Scale {
    pub kind: SeriesKind,
    pub unit: f64,
}

impl Scale {
    pub(super) fn new(kind: SeriesKind) -> Self {
        Self { kind, unit: 0.0 }
    }
    pub(super) fn to_work(&self, x: f64) -> f64 {
        match self.kind {
            SeriesKind::Value if t().wscale > 0.0 && self.unit > 0.0 && self.unit < 1e300 => {
                let l = ln(1.0 + x.abs() / self.unit);
                if x < 0.0 { -l } else { l }
            }
            _ => x,
        }
    }
    pub(super) fn from_work(&self, w: f64) -> f64 {
        match self.kind {
            SeriesKind::Value if t().wscale > 0.0 && self.unit > 0.0 && self.unit < 1e300 => {
                let x = (exp(w.abs().min(700.0)) - 1.0) * self.unit;
                if w < 0.0 { -x } else { x }
            }
            SeriesKind::Value => w,
            SeriesKind::Count => w.max(0.0),
            SeriesKind::Ratio => w.clamp(0.0, 1.0),
        }
    }
}
