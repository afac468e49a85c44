//! Annotations: what happened to the project and explains numbers.

use footpath_engine::alert::AlertFold;
use footpath_model::alert::Annotation;
use footpath_model::control::Control;
use footpath_proto::v1;
use footpath_store::ProjectRow;
use tonic::{Code, Response, Status};

use super::{AlertApi, messages};
use crate::convert::micros;
use crate::cursor::{Kind, Scope};
use crate::status::{invalid, not_found, with_reason};

impl AlertApi {
    pub(super) async fn annotate(
        &self,
        project: &ProjectRow,
        by: String,
        asked: v1::Annotation,
    ) -> Result<Response<v1::CreateAnnotationResponse>, Status> {
        let _turn = self.context.turn.lock().await;
        let wanted = read(asked, by)?;
        match self.annotation(project, &wanted.id) {
            Some(known) if same(&known, &wanted) => {}
            Some(_) => {
                let what = "an annotation with this id and other content exists; choose another id";
                return Err(with_reason(Code::AlreadyExists, "annotation_exists", what, None));
            }
            None => self.record(project, Control::Annotate(Box::new(wanted.clone()))).await?,
        }
        let annotation = Some(messages::annotation(&wanted));
        Ok(Response::new(v1::CreateAnnotationResponse { annotation }))
    }

    pub(super) fn annotations(
        &self,
        project: &ProjectRow,
        page: &v1::ListAnnotationsRequest,
    ) -> Result<Response<v1::ListAnnotationsResponse>, Status> {
        let size = crate::page_size(page.page_size);
        let scope = Scope::new(Kind::Annotations, project.number, &[]);
        let after = self.context.cursors.open_page(&scope, &page.page_token)?;
        let read = |fold: &AlertFold| -> Vec<Annotation> {
            fold.annotations(i64::MIN, i64::MAX).into_iter().rev().cloned().collect()
        };
        let all = self.context.alerts.read(project.number, read).unwrap_or_default();
        // The newest first; the last one shown may be gone by now.
        let after = after.split_once('.').and_then(|(from_us, id)| Some((from_us.parse::<i64>().ok()?, id)));
        let is_shown = |one: &&Annotation| after.is_some_and(|after| (one.from_us, one.id.as_str()) >= after);
        let rest = all.iter().skip_while(is_shown).take(size + 1);
        let mut rows: Vec<_> = rest.map(|one| (format!("{}.{}", one.from_us, one.id), one)).collect();
        let next_page_token = self.context.cursors.cut_page(&scope, &mut rows, size, |(name, _)| name);
        let annotations = rows.iter().map(|(_, one)| messages::annotation(one)).collect();
        Ok(Response::new(v1::ListAnnotationsResponse { annotations, next_page_token }))
    }

    pub(super) async fn delete_annotated(
        &self,
        project: &ProjectRow,
        id: String,
    ) -> Result<Response<v1::DeleteAnnotationResponse>, Status> {
        let _turn = self.context.turn.lock().await;
        if self.annotation(project, &id).is_none() {
            return Err(not_found("annotation_unknown", "no such annotation; ListAnnotations names them"));
        }
        self.record(project, Control::DeleteAnnotation { id }).await?;
        Ok(Response::new(v1::DeleteAnnotationResponse {}))
    }

    fn annotation(&self, project: &ProjectRow, id: &str) -> Option<Annotation> {
        let read = |fold: &AlertFold| fold.annotation(id).cloned();
        self.context.alerts.read(project.number, read).flatten()
    }
}

/// Equal in all but who noted it.
fn same(known: &Annotation, wanted: &Annotation) -> bool {
    Annotation { by: String::new(), ..known.clone() } == Annotation { by: String::new(), ..wanted.clone() }
}

fn read(asked: v1::Annotation, by: String) -> Result<Annotation, Status> {
    let from_us = asked.from.as_ref().map(micros);
    let from_us = from_us.ok_or_else(|| invalid("annotation_invalid", "from: must be set"))?;
    let annotation = Annotation {
        id: asked.id,
        text: asked.text,
        kind: asked.kind,
        from_us,
        to_us: asked.to.as_ref().map_or(from_us, micros),
        by,
        special: asked.special,
    };
    annotation.validate().map_err(|error| invalid("annotation_invalid", &error.to_string()))?;
    Ok(annotation)
}
