//! What a change of a definition comes to. Nothing here writes: the caller records what was decided, or only tries it out.

use std::collections::HashSet;

use footpath_model::alert::CountedRule;
use footpath_model::control::{Control, CountedFunnel, CountedMetric};
use footpath_model::definition::SegmentDefinition;
use prost_types::FieldMask;
use tonic::{Code, Status};

use super::followers::{followers, together};
use super::kinds::Kind;
use super::known::Known;
use super::uses::{resolve, uses_segment};
use crate::status::{invalid, with_reason};

/// A definition as it stands afterwards, and what has to be recorded for it; nothing where nothing changes.
pub struct Decided<K> {
    /// The definition.
    pub definition: K,
    /// The records.
    pub record: Option<Control>,
}

/// A definition is created; the same again changes nothing. `zone` is the project's.
///
/// # Errors
/// INVALID_ARGUMENT that names the field, ALREADY_EXISTS where the id has other content.
pub fn create<K: Kind>(known: &Known<'_>, message: &K::Message, zone: &str) -> Result<Decided<K>, Status> {
    let wanted = resolve(known, K::read(message, 1, zone)?)?;
    if let Some(there) = known.find::<K>(wanted.id())? {
        if there.clone().with_version(1) == wanted {
            return Ok(Decided { definition: there, record: None });
        }
        return Err(K::exists());
    }
    has_room::<K>(known)?;
    Ok(Decided { record: Some(wanted.clone().put()), definition: wanted })
}

/// Whether a project may have one more.
fn has_room<K: Kind>(known: &Known<'_>) -> Result<(), Status> {
    if K::MOST == usize::MAX || known.ids::<K>()?.len() < K::MOST {
        return Ok(());
    }
    let what = format!("a project has at most {} of the kind {}; delete one first", K::MOST, K::NAME);
    Err(invalid("too_many_definitions", &what))
}

/// A definition is changed, and what uses it along with it. `zone` is the project's.
///
/// # Errors
/// INVALID_ARGUMENT that names the field, NOT_FOUND, FAILED_PRECONDITION where something asks for what would be gone.
pub fn update<K: Kind>(
    known: &Known<'_>,
    message: K::Message,
    mask: Option<FieldMask>,
    zone: &str,
) -> Result<Decided<K>, Status> {
    let there = known.required::<K>(K::name_of(&message).0)?;
    let merged = merge::<K>(there.message(), message, mask)?;
    let wanted = resolve(known, K::read(&merged, there.version() + 1, zone)?)?;
    if wanted.clone().with_version(there.version()) == there {
        return Ok(Decided { definition: there, record: None }); // So nothing is folded again.
    }
    let mut changes = vec![wanted.clone().put()];
    changes.extend(followers(known, &changes[0])?);
    Ok(Decided { definition: wanted, record: Some(together(changes)) })
}

fn merge<K: Kind>(
    mut known: K::Message,
    wanted: K::Message,
    mask: Option<FieldMask>,
) -> Result<K::Message, Status> {
    let paths = mask.map(|m| m.paths).filter(|p| !p.is_empty());
    let Some(paths) = paths else { return Ok(wanted) };
    for path in paths {
        if !K::take(&mut known, &wanted, &path) {
            let what = format!("update_mask: {path:?} is no field of a {} that can be changed", K::NAME);
            return Err(invalid("update_mask_invalid", &what));
        }
    }
    Ok(known)
}

/// A definition is deleted: what has to be recorded.
///
/// # Errors
/// NOT_FOUND, or FAILED_PRECONDITION where something uses it.
pub fn delete<K: Kind>(known: &Known<'_>, id: &str) -> Result<Control, Status> {
    known.required::<K>(id)?;
    let used = used_by::<K>(known, id)?;
    if !used.is_empty() {
        let what = format!("{id} is used by {}; change them first", used.join(", "));
        return Err(with_reason(Code::FailedPrecondition, "definition_in_use", &what, None));
    }
    Ok(K::delete(id.to_owned()))
}

/// What uses a definition, by kind and id.
///
/// # Errors
/// If the store fails.
pub fn used_by<K: Kind>(known: &Known<'_>, id: &str) -> Result<Vec<String>, Status> {
    Ok(match K::NAME {
        SegmentDefinition::NAME => {
            let uses = [
                using::<CountedFunnel>(known, &|one| uses_segment(one, id))?,
                using::<CountedMetric>(known, &|one| uses_segment(one, id))?,
                using::<CountedRule>(known, &|one| uses_segment(one, id))?,
            ];
            uses.concat()
        }
        CountedMetric::NAME => using::<CountedRule>(known, &|one| one.definition.metric == id)?,
        CountedFunnel::NAME => {
            let of = |one: &CountedMetric| one.funnel.as_ref().is_some_and(|funnel| funnel.id() == id);
            using::<CountedMetric>(known, &of)?
        }
        _ => Vec::new(),
    })
}

fn using<K: Kind>(known: &Known<'_>, uses: &dyn Fn(&K) -> bool) -> Result<Vec<String>, Status> {
    let all = known.all::<K>()?;
    Ok(all.iter().filter(|one| uses(one)).map(|one| format!("{}/{}", K::NAME, one.id())).collect())
}

/// Those of a kind that are there and not among `named`.
///
/// # Errors
/// If the store fails.
pub fn unnamed<K: Kind>(known: &Known<'_>, named: &[K::Message]) -> Result<Vec<String>, Status> {
    let named: HashSet<_> = named.iter().map(|message| K::name_of(message).0).collect();
    Ok(known.ids::<K>()?.into_iter().filter(|id| !named.contains(id.as_str())).collect())
}
