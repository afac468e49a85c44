//! TEMP
use super::AlertApi;
use footpath_proto::v1;
use footpath_store::ProjectRow;
use tonic::{Response, Status};
impl AlertApi {
    pub(super) async fn create_one(
        &self,
        _p: &ProjectRow,
        _d: v1::Destination,
    ) -> Result<Response<v1::CreateDestinationResponse>, Status> {
        Err(Status::unimplemented(""))
    }
    pub(super) fn destinations(
        &self,
        _p: &ProjectRow,
        _d: &v1::ListDestinationsRequest,
    ) -> Result<Response<v1::ListDestinationsResponse>, Status> {
        Err(Status::unimplemented(""))
    }
    pub(super) async fn update_one(
        &self,
        _p: &ProjectRow,
        _d: v1::UpdateDestinationRequest,
    ) -> Result<Response<v1::UpdateDestinationResponse>, Status> {
        Err(Status::unimplemented(""))
    }
    pub(super) async fn delete_one(
        &self,
        _p: &ProjectRow,
        _d: &str,
    ) -> Result<Response<v1::DeleteDestinationResponse>, Status> {
        Err(Status::unimplemented(""))
    }
    pub(super) async fn send_test(
        &self,
        _p: &ProjectRow,
        _d: &str,
    ) -> Result<Response<v1::SendTestAlertResponse>, Status> {
        Err(Status::unimplemented(""))
    }
    pub(super) fn deliveries(
        &self,
        _p: &ProjectRow,
        _d: &v1::ListDeliveriesRequest,
    ) -> Result<Response<v1::ListDeliveriesResponse>, Status> {
        Err(Status::unimplemented(""))
    }
}
