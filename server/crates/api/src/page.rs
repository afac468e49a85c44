//! The page's files, embedded as they lie in `server/dashboard/`, and what its codec needs to know.

use axum::response::{IntoResponse as _, Response};
use http::{HeaderValue, header};

use crate::http::{error_response, path_unknown};

/// The files named, as they lie in the page's folder.
macro_rules! page_files {
    ($($name:literal),* $(,)?) => {
        &[$(($name, include_str!(concat!("../../../dashboard/", $name)))),*]
    };
}

/// The page. A test holds this against the folder.
const PAGE: &[(&str, &str)] = page_files![
    "index.html",
    "icon.svg",
    "style.css",
    "alert-rules.js",
    "alert-text.js",
    "alerting.js",
    "alerts.js",
    "app.js",
    "backfill.js",
    "catalog.js",
    "causes.js",
    "codec.js",
    "conditions-field.js",
    "corrections.js",
    "credentials.js",
    "definer.js",
    "definition.js",
    "destinations-field.js",
    "dom.js",
    "fields.js",
    "first-event.js",
    "format.js",
    "funnel-form.js",
    "funnel-options.js",
    "funnel-view.js",
    "funnel.js",
    "funnels.js",
    "grpcweb.js",
    "header.js",
    "incident-acts.js",
    "incident-chart.js",
    "incident-view.js",
    "incident.js",
    "incidents.js",
    "journey.js",
    "measure.js",
    "metric-form.js",
    "metric-view.js",
    "metric.js",
    "metrics.js",
    "outcomes.js",
    "picker.js",
    "place.js",
    "property-field.js",
    "refused.js",
    "rule-form.js",
    "rule-text.js",
    "segment-form.js",
    "segments.js",
    "series-chart.js",
    "simulation.js",
    "snippets.js",
    "step-field.js",
    "tail.js",
    "term-field.js",
    "tiles.js",
    "trend.js",
    "views.js",
    "watch.js",
    "wellknown.js",
    "wire.js",
];

/// A file of the page.
pub fn asset(name: &str) -> Response {
    let Some((_, body)) = PAGE.iter().find(|(known, _)| *known == name) else {
        return error_response(&path_unknown());
    };
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static(media_type(name))),
        (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static("default-src 'self'")),
        (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-cache")),
        (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    ];
    (headers, *body).into_response()
}

fn media_type(name: &str) -> &'static str {
    match name.rsplit('.').next() {
        Some("html") => "text/html; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("svg") => "image/svg+xml",
        _ => "text/javascript; charset=utf-8",
    }
}

/// The API's descriptors, for the page's codec.
pub fn descriptors() -> Response {
    ([(header::CONTENT_TYPE, "application/octet-stream")], footpath_proto::DESCRIPTORS).into_response()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use http::StatusCode;

    use super::*;

    #[test]
    fn the_table_names_every_file_of_the_page() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../dashboard");
        let lying: BTreeSet<_> = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| [".html", ".svg", ".css", ".js"].iter().any(|end| name.ends_with(end)))
            .collect();
        let named: BTreeSet<_> = PAGE.iter().map(|(name, _)| (*name).to_owned()).collect();
        assert_eq!(named, lying);
    }

    #[test]
    fn the_page_offers_every_property_of_the_context() {
        let (_, catalog) = PAGE.iter().find(|(name, _)| *name == "catalog.js").unwrap();
        for name in footpath_model::context::names() {
            assert!(catalog.contains(&format!("'{name}'")), "the page's list lacks {name}");
        }
    }

    #[test]
    fn files_carry_their_type_and_a_strict_policy() {
        let response = asset("style.css");
        assert_eq!(response.headers()[header::CONTENT_TYPE], "text/css; charset=utf-8");
        assert_eq!(response.headers()[header::CONTENT_SECURITY_POLICY], "default-src 'self'");
        assert_eq!(asset("../http.rs").status(), StatusCode::NOT_FOUND);
    }
}
