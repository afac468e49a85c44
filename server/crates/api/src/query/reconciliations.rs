//! How live numbers compared with stored events.

use footpath_live::Reconciliation;
use footpath_proto::v1;
use footpath_store::ProjectRow;
use tonic::{Response, Status};

use super::QueryApi;
use crate::convert::timestamp;
use crate::cursor::{Kind, Scope};

impl QueryApi {
    pub(super) fn reconciliations(
        &self,
        project: &ProjectRow,
        request: &v1::ListReconciliationsRequest,
    ) -> Result<Response<v1::ListReconciliationsResponse>, Status> {
        let scope = Scope::new(Kind::Reconciliations, project.number, &[]);
        let after = self.context.cursors.open_page(&scope, &request.page_token)?;
        let after = after.split_once('.').and_then(|(at, view)| Some((at.parse().ok()?, view.to_owned())));
        let all = self.context.hub.reconciliations().of(project.number);
        let place = |one: &Reconciliation| (one.checked_us, one.view.to_string());
        // Newest first, and those of one moment by name.
        let is_behind = |one: &Reconciliation| {
            let (at, view) = place(one);
            after
                .as_ref()
                .is_none_or(|(last, name): &(i64, String)| at < *last || (at == *last && view > *name))
        };
        let size = crate::page_size(request.page_size);
        let mut rows: Vec<_> = all.into_iter().filter(is_behind).take(size + 1).collect();
        let more = rows.len() > size;
        rows.truncate(size);
        let last = rows.last().filter(|_| more).map(place);
        let next = last.map(|(at, view)| self.context.cursors.seal_page(&scope, &format!("{at}.{view}")));
        Ok(Response::new(v1::ListReconciliationsResponse {
            reconciliations: rows.into_iter().map(message).collect(),
            next_page_token: next.unwrap_or_default(),
        }))
    }
}

fn message(one: Reconciliation) -> v1::Reconciliation {
    v1::Reconciliation {
        definition: one.view.to_string(),
        version: one.version,
        checked_at: Some(timestamp(one.checked_us)),
        position: one.position,
        compared: one.compared,
        drift: one.drift,
        example: one.example,
        repaired: one.repaired,
    }
}
