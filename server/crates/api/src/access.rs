//! Who may call what: one table, checked on the headers before any body is read.

use std::sync::Arc;

use footpath_model::clock::Clock;
use footpath_store::{KeyRow, Store};
use http::HeaderMap;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use tonic::Status;

use crate::status::denied;

/// What a token's bearer may do; each role includes the ones before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Reads numbers.
    Viewer,
    /// Reads events, defines what is counted.
    Analyst,
    /// Manages projects, keys and tokens.
    Admin,
}

/// What a call needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// Nothing: the one-time code is the credential, or nothing is told.
    Nothing,
    /// A project key.
    Key,
    /// A token of at least this role.
    Token(Role),
}

/// The table: every RPC of the API and what it needs. Tests hold it against the descriptors
/// and walk every RPC with every credential.
pub const TABLE: &[(&str, Need)] = &[
    ("/footpath.v1.IngestService/Ingest", Need::Key),
    ("/footpath.v1.IngestService/IngestStream", Need::Key),
    ("/footpath.v1.LiveService/Watch", Need::Token(Role::Viewer)),
    ("/footpath.v1.LiveService/ChangeWatch", Need::Token(Role::Viewer)),
    ("/footpath.v1.QueryService/QueryFunnel", Need::Token(Role::Viewer)),
    ("/footpath.v1.QueryService/ListEvents", Need::Token(Role::Analyst)),
    ("/footpath.v1.QueryService/QueryOutcomes", Need::Token(Role::Viewer)),
    ("/footpath.v1.QueryService/ListRefusedEvents", Need::Token(Role::Analyst)),
    ("/footpath.v1.QueryService/ListGaps", Need::Token(Role::Analyst)),
    ("/footpath.v1.QueryService/ListReconciliations", Need::Token(Role::Analyst)),
    ("/footpath.v1.QueryService/ListFunnelPersons", Need::Token(Role::Analyst)),
    ("/footpath.v1.QueryService/ExplainFunnel", Need::Token(Role::Analyst)),
    ("/footpath.v1.QueryService/QueryMetric", Need::Token(Role::Viewer)),
    ("/footpath.v1.QueryService/ListSessions", Need::Token(Role::Analyst)),
    ("/footpath.v1.PersonService/GetPerson", Need::Token(Role::Analyst)),
    ("/footpath.v1.PersonService/GetGroup", Need::Token(Role::Analyst)),
    ("/footpath.v1.PersonService/MergePersons", Need::Token(Role::Analyst)),
    ("/footpath.v1.PersonService/UnmergePerson", Need::Token(Role::Analyst)),
    // Samples are for analysts: a viewer gets none.
    ("/footpath.v1.CatalogService/ListEventNames", Need::Token(Role::Viewer)),
    ("/footpath.v1.CatalogService/ListProperties", Need::Token(Role::Viewer)),
    ("/footpath.v1.DefinitionService/CreateFunnel", Need::Token(Role::Analyst)),
    ("/footpath.v1.DefinitionService/GetFunnel", Need::Token(Role::Viewer)),
    ("/footpath.v1.DefinitionService/ListFunnels", Need::Token(Role::Viewer)),
    ("/footpath.v1.DefinitionService/UpdateFunnel", Need::Token(Role::Analyst)),
    ("/footpath.v1.DefinitionService/DeleteFunnel", Need::Token(Role::Analyst)),
    ("/footpath.v1.DefinitionService/CreateMetric", Need::Token(Role::Analyst)),
    ("/footpath.v1.DefinitionService/GetMetric", Need::Token(Role::Viewer)),
    ("/footpath.v1.DefinitionService/ListMetrics", Need::Token(Role::Viewer)),
    ("/footpath.v1.DefinitionService/UpdateMetric", Need::Token(Role::Analyst)),
    ("/footpath.v1.DefinitionService/DeleteMetric", Need::Token(Role::Analyst)),
    ("/footpath.v1.DefinitionService/CreateSegment", Need::Token(Role::Analyst)),
    ("/footpath.v1.DefinitionService/GetSegment", Need::Token(Role::Viewer)),
    ("/footpath.v1.DefinitionService/ListSegments", Need::Token(Role::Viewer)),
    ("/footpath.v1.DefinitionService/UpdateSegment", Need::Token(Role::Analyst)),
    ("/footpath.v1.DefinitionService/DeleteSegment", Need::Token(Role::Analyst)),
    ("/footpath.v1.DefinitionService/CreateAlertRule", Need::Token(Role::Analyst)),
    ("/footpath.v1.DefinitionService/GetAlertRule", Need::Token(Role::Viewer)),
    ("/footpath.v1.DefinitionService/ListAlertRules", Need::Token(Role::Viewer)),
    ("/footpath.v1.DefinitionService/UpdateAlertRule", Need::Token(Role::Analyst)),
    ("/footpath.v1.DefinitionService/DeleteAlertRule", Need::Token(Role::Analyst)),
    // Changes nothing, but whoever may not change anything would be told that all is well.
    ("/footpath.v1.DefinitionService/CheckDefinitions", Need::Token(Role::Analyst)),
    ("/footpath.v1.AlertService/SimulateAlertRule", Need::Token(Role::Analyst)),
    ("/footpath.v1.AlertService/ListAlertSeries", Need::Token(Role::Viewer)),
    ("/footpath.v1.AlertService/MuteAlertRule", Need::Token(Role::Analyst)),
    ("/footpath.v1.AlertService/ListIncidents", Need::Token(Role::Viewer)),
    ("/footpath.v1.AlertService/GetIncident", Need::Token(Role::Viewer)),
    ("/footpath.v1.AlertService/ChangeIncident", Need::Token(Role::Analyst)),
    // Destinations hold credentials, and make the server send requests.
    ("/footpath.v1.AlertService/CreateDestination", Need::Token(Role::Admin)),
    ("/footpath.v1.AlertService/ListDestinations", Need::Token(Role::Analyst)),
    ("/footpath.v1.AlertService/UpdateDestination", Need::Token(Role::Admin)),
    ("/footpath.v1.AlertService/DeleteDestination", Need::Token(Role::Admin)),
    ("/footpath.v1.AlertService/SendTestAlert", Need::Token(Role::Analyst)),
    ("/footpath.v1.AlertService/ListDeliveries", Need::Token(Role::Analyst)),
    ("/footpath.v1.AlertService/CreateAnnotation", Need::Token(Role::Analyst)),
    ("/footpath.v1.AlertService/ListAnnotations", Need::Token(Role::Viewer)),
    ("/footpath.v1.AlertService/DeleteAnnotation", Need::Token(Role::Analyst)),
    ("/footpath.v1.AdminService/ExchangeCode", Need::Nothing),
    ("/footpath.v1.AdminService/CreateProject", Need::Token(Role::Admin)),
    ("/footpath.v1.AdminService/UpdateProject", Need::Token(Role::Admin)),
    ("/footpath.v1.AdminService/ListProjects", Need::Token(Role::Viewer)),
    ("/footpath.v1.AdminService/CreateProjectKey", Need::Token(Role::Admin)),
    ("/footpath.v1.AdminService/ListProjectKeys", Need::Token(Role::Admin)),
    ("/footpath.v1.AdminService/RevokeProjectKey", Need::Token(Role::Admin)),
    ("/footpath.v1.AdminService/CreateToken", Need::Token(Role::Admin)),
    ("/footpath.v1.AdminService/CreateCode", Need::Token(Role::Admin)),
    ("/footpath.v1.AdminService/ListPrivacyRequests", Need::Token(Role::Admin)),
];

/// RPCs of others' services, open to everybody.
const OPEN: &[&str] = &[
    "/grpc.health.v1.Health/Check",
    "/grpc.health.v1.Health/Watch",
    "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
];

/// What an RPC needs; `None` for a path that is no RPC.
pub fn need(path: &str) -> Option<Need> {
    let listed = TABLE.iter().find(|(known, _)| *known == path).map(|(_, need)| *need);
    listed.or_else(|| OPEN.contains(&path).then_some(Need::Nothing))
}

/// A key's last use is kept to the minute: a row written per batch would cost more than the batch.
const LAST_USE_US: i64 = 60_000_000;

/// What a token says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    /// Who it is for.
    pub sub: String,
    /// What they may do.
    pub role: Role,
    /// Ids of projects; "*" means all.
    pub projects: Vec<String>,
    /// When it ends, seconds since 1970.
    pub exp: i64,
}

/// Who calls.
#[derive(Debug, Clone)]
pub enum Caller {
    /// Nobody in particular.
    Anyone,
    /// The holder of a project key.
    Key(Arc<KeyRow>),
    /// The bearer of a token.
    Token(Arc<Claims>),
}

impl Caller {
    /// Checks that the caller has at least `role`, where a call's content needs more than the call.
    ///
    /// # Errors
    /// PERMISSION_DENIED if not.
    pub fn at_least(&self, role: Role) -> Result<(), Status> {
        match self {
            Self::Token(claims) if claims.role >= role => Ok(()),
            _ => Err(denied("role_too_low", "ask an admin for a token with a higher role")),
        }
    }

    /// Checks that the caller may see `project`; "*" means all.
    ///
    /// # Errors
    /// PERMISSION_DENIED if not.
    pub fn for_project(&self, project: &str) -> Result<(), Status> {
        let allowed = match self {
            Self::Anyone => false,
            Self::Key(key) => key.project == project,
            Self::Token(claims) => claims.projects.iter().any(|p| p == "*" || p == project),
        };
        if allowed {
            return Ok(());
        }
        let what = match project {
            "*" => "this needs a token for all projects",
            _ => "the credential is not for this project; use one that is",
        };
        Err(denied("project_not_allowed", what))
    }
}

/// Checks credentials.
pub struct Access {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    secret: Vec<u8>,
}

impl Access {
    /// Checks against the keys in `store` and tokens signed with `secret` (HS256).
    pub fn new(store: Arc<dyn Store>, clock: Arc<dyn Clock>, secret: Vec<u8>) -> Self {
        Self { store, clock, secret }
    }

    /// Decides whether a call may go on, by its path and headers.
    ///
    /// # Errors
    /// UNAUTHENTICATED without a valid credential, PERMISSION_DENIED with one that does not suffice.
    pub fn check(&self, path: &str, headers: &HeaderMap) -> Result<Caller, Status> {
        let need = match need(path) {
            None | Some(Need::Nothing) => return Ok(Caller::Anyone), // Pages, and paths that do not exist.
            Some(need) => need,
        };
        let caller = self.authenticate(headers)?;
        match (need, &caller) {
            (Need::Key, Caller::Key(_)) => Ok(caller),
            (Need::Key, _) => Err(denied("key_needed", "events are sent with a project key, not a token")),
            (Need::Token(role), Caller::Token(_)) => caller.at_least(role).map(|()| caller),
            (Need::Token(_), _) => Err(denied("token_needed", "a project key can only send; use a token")),
            (Need::Nothing, _) => Ok(caller),
        }
    }

    fn authenticate(&self, headers: &HeaderMap) -> Result<Caller, Status> {
        let header = headers.get(http::header::AUTHORIZATION).and_then(|v| v.to_str().ok());
        let Some(secret) = header.and_then(|v| v.strip_prefix("Bearer ").or(v.strip_prefix("bearer ")))
        else {
            return Err(unauthenticated("credential_missing", "send `authorization: Bearer <key or token>`"));
        };
        if secret.starts_with("fp_") { self.key(&hash_secret(secret)) } else { self.token(secret) }
    }

    /// Decides whether a caller who was let in may go on: a stream outlives its check.
    ///
    /// # Errors
    /// UNAUTHENTICATED once the key is revoked or the token has expired.
    pub fn still(&self, caller: &Caller) -> Result<(), Status> {
        match caller {
            Caller::Anyone => Ok(()),
            Caller::Key(key) => self.key(&key.hash).map(|_| ()),
            Caller::Token(claims) => self.not_expired(claims),
        }
    }

    fn not_expired(&self, claims: &Claims) -> Result<(), Status> {
        if claims.exp > self.clock.now_us() / 1_000_000 {
            return Ok(());
        }
        Err(token_expired())
    }

    fn key(&self, hash: &[u8; 32]) -> Result<Caller, Status> {
        let found = self.store.key_by_hash(hash).map_err(crate::status::store)?;
        let now = self.clock.now_us();
        match found {
            Some(key) if !key.is_revoked_at(now) => {
                if key.last_used_at_us.is_none_or(|at| now - at >= LAST_USE_US) {
                    self.store.touch_key(&key.id, now).map_err(crate::status::store)?;
                }
                Ok(Caller::Key(Arc::new(key)))
            }
            Some(_) => Err(unauthenticated("key_revoked", "this key was revoked; use the project's new key")),
            None => Err(unauthenticated("key_unknown", "no such project key; check for a typing error")),
        }
    }

    fn token(&self, token: &str) -> Result<Caller, Status> {
        let mut validation = Validation::new(Algorithm::HS256);
        validation.validate_exp = false; // By our own clock, below.
        validation.required_spec_claims.clear();
        let key = DecodingKey::from_secret(&self.secret);
        let claims = jsonwebtoken::decode::<Claims>(token, &key, &validation)
            .map_err(|_| {
                unauthenticated("token_invalid", "the token is not one of this server; get a new one")
            })?
            .claims;
        self.not_expired(&claims)?;
        Ok(Caller::Token(Arc::new(claims)))
    }

    /// Signs a token.
    ///
    /// # Errors
    /// INTERNAL if the claims cannot be signed.
    pub fn sign(&self, claims: &Claims) -> Result<String, Status> {
        jsonwebtoken::encode(&Header::default(), claims, &EncodingKey::from_secret(&self.secret))
            .map_err(|e| crate::status::internal(&format!("the token could not be signed: {e}")))
    }
}

/// UNAUTHENTICATED: the token's time is over.
pub fn token_expired() -> Status {
    unauthenticated("token_expired", "the token has expired; get a new one")
}

/// The hash a key's secret is kept as.
pub fn hash_secret(secret: &str) -> [u8; 32] {
    Sha256::digest(secret.as_bytes()).into()
}

fn unauthenticated(reason: &'static str, message: &str) -> Status {
    crate::status::with_reason(tonic::Code::Unauthenticated, reason, message, None)
}

#[cfg(test)]
mod tests {
    use footpath_model::clock::ManualClock;
    use footpath_store::{Environment, KeyStore as _, MemoryStore, NewProject, ProjectStore as _};
    use prost::Message as _;
    use tonic::Code;

    use super::*;

    fn access() -> Access {
        let store = MemoryStore::new();
        let project =
            NewProject { id: "p".into(), title: "p".into(), time_zone: "UTC".into(), created_at_us: 0 };
        store.create_project(&project).unwrap();
        let key = KeyRow {
            id: "k".into(),
            project: "p".into(),
            label: String::new(),
            environment: Environment::Dev,
            hash: hash_secret("fp_dev_key"),
            created_at_us: 0,
            last_used_at_us: None,
            revoked_at_us: Some(1_000_000),
        };
        store.create_key(&key).unwrap();
        Access::new(Arc::new(store), Arc::new(ManualClock::at(0)), vec![1; 32])
    }

    fn headers(secret: &str) -> HeaderMap {
        let value = format!("Bearer {secret}").parse().unwrap();
        HeaderMap::from_iter([(http::header::AUTHORIZATION, value)])
    }

    #[test]
    fn the_table_names_every_rpc() {
        let files = prost_types::FileDescriptorSet::decode(footpath_proto::DESCRIPTORS).unwrap().file;
        let services = files.iter().filter(|f| f.package() == "footpath.v1").flat_map(|f| &f.service);
        let mut paths: Vec<_> = services
            .flat_map(|s| s.method.iter().map(|m| format!("/footpath.v1.{}/{}", s.name(), m.name())))
            .collect();
        let mut table: Vec<_> = TABLE.iter().map(|(path, _)| (*path).to_owned()).collect();
        paths.sort();
        table.sort();
        assert_eq!(paths, table);
    }

    #[test]
    fn every_rpc_for_every_credential() {
        let access = access();
        let token = |role| {
            let claims = Claims { sub: "s".into(), role, projects: vec!["p".into()], exp: 10 };
            headers(&access.sign(&claims).unwrap())
        };
        let roles = [Role::Viewer, Role::Analyst, Role::Admin];
        for (path, need) in TABLE {
            let by_key = access.check(path, &headers("fp_dev_key")).is_ok();
            assert_eq!(by_key, matches!(need, Need::Key | Need::Nothing), "{path} with a key");
            for role in roles {
                let expected = match need {
                    Need::Nothing => true,
                    Need::Key => false,
                    Need::Token(least) => role >= *least,
                };
                assert_eq!(access.check(path, &token(role)).is_ok(), expected, "{path} as {role:?}");
            }
            let nobody = access.check(path, &HeaderMap::new());
            assert_eq!(nobody.is_ok(), *need == Need::Nothing, "{path} without a credential");
        }
    }

    #[test]
    fn revoked_keys_and_expired_or_foreign_tokens_are_refused() {
        let mut access = access();
        let path = "/footpath.v1.IngestService/Ingest";
        access.clock = Arc::new(ManualClock::at(2_000_000));
        assert_eq!(access.check(path, &headers("fp_dev_key")).unwrap_err().code(), Code::Unauthenticated);
        let claims = Claims { sub: "s".into(), role: Role::Admin, projects: vec!["*".into()], exp: 1 };
        let watch = "/footpath.v1.LiveService/Watch";
        let expired = headers(&access.sign(&claims).unwrap());
        assert_eq!(access.check(watch, &expired).unwrap_err().code(), Code::Unauthenticated);
        let claims = Claims { exp: 100, ..claims };
        let mine = headers(&access.sign(&claims).unwrap());
        assert!(access.check(watch, &mine).is_ok());
        access.secret = vec![2; 32];
        assert_eq!(access.check(watch, &mine).unwrap_err().code(), Code::Unauthenticated);
    }
}
