//! TEMP
use super::Judged;
use std::collections::VecDeque;
#[derive(Debug, Clone, PartialEq)]
pub struct Compared {
    pub incident: String,
    pub text: String,
}
#[derive(Debug, Clone, PartialEq)]
pub enum Outlook {
    Better,
}
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Trial {
    pub incident: String,
    pub acted_us: i64,
}
impl Trial {
    pub fn new(incident: &str, acted_us: i64, _r: &VecDeque<Judged>) -> Self {
        Self { incident: incident.into(), acted_us }
    }
    pub fn step(&mut self, _r: &VecDeque<Judged>) -> Option<Compared> {
        None
    }
}
