//! Projects and their settings.

use redb::ReadableTable;

use super::layout::{META, PROJECT_COUNT, PROJECTS, SETTINGS};
use super::row::{decode, encode, get};
use super::{Did, EmbeddedStore};
use crate::store::check_name;
use crate::{NewProject, ProjectRow, ProjectStore, Result, SettingsRow, StoreError};

impl ProjectStore for EmbeddedStore {
    fn create_project(&self, project: &NewProject) -> Result<ProjectRow> {
        check_name("project id", &project.id)?;
        self.write(|txn| {
            let mut projects = txn.open_table(PROJECTS)?;
            if let Some(old) = get::<_, ProjectRow>(&projects, project.id.as_str())? {
                if old.title == project.title && old.time_zone == project.time_zone {
                    return Ok(Did::Nothing(old));
                }
                return Err(StoreError::conflict("project", &project.id));
            }
            let mut meta = txn.open_table(META)?;
            let count = meta.get(PROJECT_COUNT)?.map_or(0, |count| count.value()) + 1;
            let number = u32::try_from(count)
                .map_err(|_| StoreError::Invalid("all project numbers are used".to_owned()))?;
            let row = ProjectRow {
                id: project.id.clone(),
                number,
                title: project.title.clone(),
                time_zone: project.time_zone.clone(),
                created_at_us: project.created_at_us,
            };
            meta.insert(PROJECT_COUNT, count)?;
            projects.insert(row.id.as_str(), encode(&row)?.as_slice())?;
            Ok(Did::Change(row))
        })
    }

    fn project(&self, id: &str) -> Result<Option<ProjectRow>> {
        get(&self.read()?.open_table(PROJECTS)?, id)
    }

    fn projects(&self) -> Result<Vec<ProjectRow>> {
        let table = self.read()?.open_table(PROJECTS)?;
        table.iter()?.map(|entry| decode(entry?.1.value())).collect()
    }

    fn update_project(&self, id: &str, title: &str, time_zone: &str) -> Result<ProjectRow> {
        self.write(|txn| {
            let mut projects = txn.open_table(PROJECTS)?;
            let old: ProjectRow = get(&projects, id)?.ok_or_else(|| StoreError::not_found("project", id))?;
            let (title, time_zone) = (title.to_owned(), time_zone.to_owned());
            let new = ProjectRow { title, time_zone, ..old.clone() };
            if new == old {
                return Ok(Did::Nothing(old));
            }
            projects.insert(id, encode(&new)?.as_slice())?;
            Ok(Did::Change(new))
        })
    }

    fn put_settings(&self, project: &str, json: &str, position: u64) -> Result<bool> {
        check_name("project id", project)?;
        self.write(|txn| {
            let mut table = txn.open_table(SETTINGS)?;
            let old: Option<SettingsRow> = get(&table, project)?;
            if old.is_some_and(|old| old.position > position) {
                return Ok(Did::Nothing(false));
            }
            let row = SettingsRow { json: json.to_owned(), position };
            table.insert(project, encode(&row)?.as_slice())?;
            Ok(Did::Change(true))
        })
    }

    fn settings(&self, project: &str) -> Result<Option<SettingsRow>> {
        get(&self.read()?.open_table(SETTINGS)?, project)
    }
}
