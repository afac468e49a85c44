//! What the projector does for the catalogues: shows them every stored event, and keeps them in the store.
//!
//! They are stored less often than outcomes, since a busy catalogue has thousands of rows, so they have a position of their
//! own, recorded with their rows in one transaction: after a crash the log is read again from there, and no event counts
//! twice or not at all.

use std::sync::Arc;

use anyhow::Context as _;
use footpath_api::catalog::Catalogs;
use footpath_engine::catalog::{Catalog, Row};
use footpath_model::record::FrameView;
use footpath_store::{CatalogRow, Store};

pub(super) struct Cataloguer {
    store: Arc<dyn Store>,
    catalogs: Arc<Catalogs>,
}

impl Cataloguer {
    /// Puts what is stored into `catalogs`; `first` is the log's first position.
    pub(super) fn load(store: Arc<dyn Store>, catalogs: Arc<Catalogs>, first: u64) -> anyhow::Result<Self> {
        for project in store.projects()? {
            let rows = store.catalog(project.number)?.into_iter();
            let catalog = Catalog::load(rows.map(row)).context("the store state.redb is damaged")?;
            catalogs.put(project.number, catalog);
        }
        catalogs.stored_below(store.catalog_position()?.map_or(first, |last| last + 1));
        Ok(Self { store, catalogs })
    }

    /// Where the log is to be read from.
    pub(super) fn next(&self) -> u64 {
        self.catalogs.stored_position()
    }

    /// Shows a frame to its project's catalogue. Each frame once, and none below [`Cataloguer::next`].
    pub(super) fn see(&self, frame: &FrameView<'_>) {
        if frame.count > 0 {
            self.catalogs.of(frame.head.project).write().see(frame);
        }
    }

    /// Stores what changed; the catalogues have seen all below `position`.
    pub(super) fn store(&self, position: u64) -> anyhow::Result<()> {
        if position <= self.next() {
            return Ok(());
        }
        let catalogs = self.catalogs.all();
        let mut rows = Vec::new();
        for (project, catalog) in &catalogs {
            rows.extend(catalog.read().changes().into_iter().map(|row| stored_row(*project, row)));
        }
        self.store.put_catalog(&rows, position - 1)?;
        // Only this thread changes them, so that nothing came in between.
        catalogs.iter().for_each(|(_, catalog)| catalog.write().saved());
        self.catalogs.stored_below(position);
        Ok(())
    }
}

fn row(CatalogRow { kind, owner, key, json, .. }: CatalogRow) -> Row {
    Row { kind, owner, key, json }
}

fn stored_row(project: u32, Row { kind, owner, key, json }: Row) -> CatalogRow {
    CatalogRow { project, kind, owner, key, json }
}
