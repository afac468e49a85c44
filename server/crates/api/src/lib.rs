//! The API: tonic services, access, limits on bytes, the error map, HTTP edges.
