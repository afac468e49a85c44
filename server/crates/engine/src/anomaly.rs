//! TEMP
use footpath_model::definition::Direction;
use serde::{Deserialize, Serialize};
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SeriesKind { Count, Ratio, Value }
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Settings { pub kind: SeriesKind, pub bucket_us: i64, pub false_alerts_per_month: f64, pub direction: Direction }
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Point { pub start_us: i64, pub local_us: i64, pub value: f64, pub weight: f64, pub annotated: bool }
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum State { Learning { percent: u8 }, Normal, Anomalous, Changed }
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Channel { Point }
#[derive(Debug, Clone, PartialEq)]
pub struct Verdict { pub state: State, pub p_value: f64, pub expected: f64, pub low: f64, pub high: f64, pub channel: Option<Channel>, pub score: f64 }
#[derive(Debug, Clone)]
pub struct Detector;
impl Detector {
    pub fn new(_: &Settings) -> Self { Self }
    pub fn set(&mut self, _: &Settings) {}
    pub fn step(&mut self, p: &Point) -> Verdict { Verdict { state: State::Normal, p_value: 1.0, expected: p.value, low: p.value, high: p.value, channel: None, score: 0.0 } }
    pub fn gap(&mut self, _: i64, _: i64) {}
    pub fn encode(&self, _: &mut Vec<u8>) {}
    pub fn decode(_: &Settings, _: &mut &[u8]) -> Result<Self, ()> { Ok(Self) }
}

impl Channel { pub fn name(self) -> &'static str { "point" } }
