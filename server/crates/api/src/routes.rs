//! Everything on the one port.

use std::sync::Arc;

use axum::extract::{DefaultBodyLimit, Path};
use axum::routing::{get, post};
use footpath_proto::v1;
use http::HeaderMap;
use tonic::service::Routes;

use crate::admin::AdminApi;
use crate::alerts::AlertApi;
use crate::body::ENVELOPE;
use crate::catalog::CatalogApi;
use crate::context::Context;
use crate::definitions::DefinitionApi;
use crate::http::{method_wrong, path_unknown, refusal};
use crate::ingest::{IngestApi, generated, http_ingest};
use crate::live::LiveApi;
use crate::page::{asset, descriptors};
use crate::persons::PersonApi;
use crate::query::QueryApi;

/// gRPC, gRPC-Web and HTTP services, without layers; gRPC reflection where it is wanted.
///
/// # Errors
/// If the descriptors for reflection cannot be read.
pub fn routes(context: &Arc<Context>, reflection: bool) -> Result<Routes, tonic_reflection::server::Error> {
    let limit = context.ingest.limits().batch_bytes + ENVELOPE;
    let ingest =
        generated::ingest_service_server::IngestServiceServer::new(IngestApi::new(Arc::clone(context)))
            .max_decoding_message_size(limit);
    let live = v1::live_service_server::LiveServiceServer::new(LiveApi::new(Arc::clone(context)));
    let query = v1::query_service_server::QueryServiceServer::new(QueryApi::new(Arc::clone(context)));
    let definitions =
        v1::definition_service_server::DefinitionServiceServer::new(DefinitionApi::new(Arc::clone(context)));
    let admin = v1::admin_service_server::AdminServiceServer::new(AdminApi::new(Arc::clone(context)));
    let catalog = v1::catalog_service_server::CatalogServiceServer::new(CatalogApi::new(Arc::clone(context)));
    let persons = v1::person_service_server::PersonServiceServer::new(PersonApi::new(Arc::clone(context)));
    let alerts = v1::alert_service_server::AlertServiceServer::new(AlertApi::new(Arc::clone(context)));
    let routes = Routes::new(ingest).add_service(live).add_service(query).add_service(definitions);
    let mut routes = routes.add_service(persons).add_service(catalog).add_service(admin).add_service(alerts);
    if reflection {
        let reflection = tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(footpath_proto::DESCRIPTORS)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
            .register_encoded_file_descriptor_set(tonic_types::pb::FILE_DESCRIPTOR_SET) // What errors carry.
            .build_v1()?;
        routes = routes.add_service(reflection);
    }
    let http = axum::Router::new()
        .route("/", get(async || asset("index.html")))
        .route("/assets/{file}", get(async |Path(file): Path<String>| asset(&file)))
        .route("/descriptors.bin", get(async || descriptors()))
        .route("/v1/ingest", post(http_ingest))
        .layer(DefaultBodyLimit::disable())
        .with_state(Arc::clone(context));
    let router = std::mem::take(routes.axum_router_mut());
    let unknown = async |headers: HeaderMap| refusal(path_unknown(), &headers);
    let other_method = async |headers: HeaderMap| refusal(method_wrong(), &headers);
    *routes.axum_router_mut() =
        router.merge(http).fallback(unknown).method_not_allowed_fallback(other_method);
    Ok(routes)
}
