//! Definitions that are tried out together: what would be refused if they were made what they say, one after another.

use std::collections::HashSet;

use footpath_history::Stop;
use footpath_model::alert::CountedRule;
use footpath_model::control::{CountedFunnel, CountedMetric};
use footpath_model::definition::SegmentDefinition;
use footpath_proto::v1;
use footpath_store::{ProjectRow, Store};
use tonic::Status;

use super::changes::{create, delete, unnamed, update};
use super::kinds::Kind;
use super::known::Known;
use crate::status::{invalid, reason_of};

/// Definitions as they become, and what was refused on the way.
struct Trial<'a> {
    known: Known<'a>,
    zone: &'a str,
    stop: &'a Stop,
    problems: Vec<v1::DefinitionProblem>,
}

/// What would be refused. What is used comes before what uses it, and goes after it.
///
/// # Errors
/// INVALID_ARGUMENT if an id comes twice; if the store fails, or nobody waits for the answer any more.
pub fn check(
    store: &dyn Store,
    project: &ProjectRow,
    asked: &v1::CheckDefinitionsRequest,
    stop: &Stop,
) -> Result<Vec<v1::DefinitionProblem>, Status> {
    once::<SegmentDefinition>(&asked.segments)?;
    once::<CountedFunnel>(&asked.funnels)?;
    once::<CountedMetric>(&asked.metrics)?;
    once::<CountedRule>(&asked.alert_rules)?;
    let known = Known::tried(store, &project.id)?;
    let mut trial = Trial { known, zone: &project.time_zone, stop, problems: Vec::new() };
    trial.put_all::<SegmentDefinition>(&asked.segments)?;
    trial.put_all::<CountedFunnel>(&asked.funnels)?;
    trial.put_all::<CountedMetric>(&asked.metrics)?;
    trial.put_all::<CountedRule>(&asked.alert_rules)?;
    if asked.prune {
        trial.prune::<CountedRule>(&asked.alert_rules)?;
        trial.prune::<CountedMetric>(&asked.metrics)?;
        trial.prune::<CountedFunnel>(&asked.funnels)?;
        trial.prune::<SegmentDefinition>(&asked.segments)?;
    }
    Ok(trial.problems)
}

/// Each definition is looked at with all that use it, so the same one a thousand times would be work without end.
fn once<K: Kind>(messages: &[K::Message]) -> Result<(), Status> {
    let mut ids = HashSet::new();
    match messages.iter().map(|message| K::name_of(message).0).find(|id| !ids.insert(*id)) {
        Some(id) => {
            Err(invalid("definition_invalid", &format!("{} {id:?} comes twice; name it once", K::NAME)))
        }
        None => Ok(()),
    }
}

impl Trial<'_> {
    fn put_all<K: Kind>(&mut self, messages: &[K::Message]) -> Result<(), Status> {
        for message in messages {
            self.is_awaited()?;
            let done = self.put::<K>(message);
            self.note::<K>(K::name_of(message).0, done)?;
        }
        Ok(())
    }

    fn put<K: Kind>(&mut self, message: &K::Message) -> Result<(), Status> {
        let id = K::name_of(message).0;
        let decided = match self.known.find::<K>(id)? {
            Some(_) => update::<K>(&self.known, message.clone(), None, self.zone)?,
            None => create::<K>(&self.known, message, self.zone)?,
        };
        decided.record.into_iter().for_each(|record| self.known.try_out(record));
        Ok(())
    }

    fn prune<K: Kind>(&mut self, named: &[K::Message]) -> Result<(), Status> {
        for id in unnamed::<K>(&self.known, named)? {
            self.is_awaited()?;
            let done = delete::<K>(&self.known, &id).map(|record| self.known.try_out(record));
            self.note::<K>(&id, done)?;
        }
        Ok(())
    }

    fn is_awaited(&self) -> Result<(), Status> {
        self.stop.check().map_err(|error| Status::cancelled(error.to_string())) // Nobody reads it.
    }

    /// Notes what was refused; what failed for another reason ends the trial.
    fn note<K: Kind>(&mut self, id: &str, done: Result<(), Status>) -> Result<(), Status> {
        let Err(status) = done else { return Ok(()) };
        if matches!(status.code(), tonic::Code::Unavailable | tonic::Code::Internal) {
            return Err(status);
        }
        self.known.refused::<K>(id);
        self.problems.push(v1::DefinitionProblem {
            kind: K::NAME.into(),
            definition_id: id.to_owned(),
            reason: reason_of(&status).unwrap_or_default(),
            message: status.message().to_owned(),
        });
        Ok(())
    }
}

#[cfg(test)]
mod tests;
