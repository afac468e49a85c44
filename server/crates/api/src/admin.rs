//! AdminService: projects, keys and tokens.

use std::sync::Arc;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use footpath_model::control::{Control, ProjectSettings};
use footpath_proto::v1;
use footpath_store::{Environment, KeyRow, NewProject, PrivacyRow, ProjectRow};
use parking_lot::Mutex;
use tonic::{Request, Response, Status};

use crate::access::{Claims, Role, hash_secret};
use crate::context::Context;
use crate::convert::timestamp;
use crate::cursor::{Kind, Scope};
use crate::definitions;
use crate::settings::{self, project_message};
use crate::status::{denied, invalid, not_found, store};

/// How long a code works.
const CODE_US: i64 = 600_000_000;
/// Twelve hours.
const DEFAULT_LIFETIME_S: i64 = 12 * 3600;

/// Random bytes from the operating system; passed in so that tests can repeat them.
pub type RandomBytes = Box<dyn Fn(&mut [u8]) + Send + Sync>;

/// Codes of start-up links: each works once, for ten minutes.
pub struct OneTimeCodes {
    open: Mutex<Vec<(String, i64, String)>>,
    random: RandomBytes,
}

impl OneTimeCodes {
    /// No codes yet.
    pub fn new(random: RandomBytes) -> Self {
        Self { open: Mutex::default(), random }
    }

    /// So many random bytes.
    pub fn random_bytes<const N: usize>(&self) -> [u8; N] {
        let mut buffer = [0; N];
        (self.random)(&mut buffer);
        buffer
    }

    /// A text of `bytes` random bytes, safe in a URL.
    pub fn random_text(&self, bytes: usize) -> String {
        let mut buffer = vec![0; bytes];
        (self.random)(&mut buffer);
        BASE64_URL_SAFE_NO_PAD.encode(buffer)
    }

    /// A new code for an admin who opens `project`.
    pub fn issue(&self, project: &str, now_us: i64) -> String {
        let code = self.random_text(18);
        self.open.lock().push((code.clone(), now_us + CODE_US, project.to_owned()));
        code
    }

    fn redeem(&self, code: &str, now_us: i64) -> Option<String> {
        let mut open = self.open.lock();
        open.retain(|(_, until, _)| *until > now_us);
        let at = open.iter().position(|(known, _, _)| known == code)?;
        Some(open.swap_remove(at).2)
    }
}

/// The service.
#[derive(Clone)]
pub struct AdminApi {
    context: Arc<Context>,
}

impl AdminApi {
    /// Serves from `context`.
    pub fn new(context: Arc<Context>) -> Self {
        Self { context }
    }

    /// Writes settings, and the definitions that they make others of.
    async fn settle(&self, row: &ProjectRow, settings: ProjectSettings) -> Result<(), Status> {
        let mut changes = definitions::resettled(&self.context, &row.id, &settings)?;
        changes.insert(0, Control::PutSettings(Box::new(settings)));
        self.context.record(row, &definitions::together(changes)).await
    }
}

fn check_zone(zone: &str) -> Result<(), Status> {
    if jiff::tz::TimeZone::get(zone).is_ok() {
        return Ok(());
    }
    Err(invalid("time_zone_unknown", "project.time_zone: an IANA name such as Europe/Zurich"))
}

fn merge(
    mut known: v1::Project,
    wanted: v1::Project,
    mask: Option<prost_types::FieldMask>,
) -> Result<v1::Project, Status> {
    let paths = mask.map(|mask| mask.paths).filter(|paths| !paths.is_empty());
    let Some(paths) = paths else { return Ok(v1::Project { id: known.id, ..wanted }) };
    for path in paths {
        match path.as_str() {
            "title" => known.title.clone_from(&wanted.title),
            "time_zone" => known.time_zone.clone_from(&wanted.time_zone),
            "session_gap" => known.session_gap = wanted.session_gap,
            "session_limit" => known.session_limit = wanted.session_limit,
            "internal_traffic" => known.internal_traffic.clone_from(&wanted.internal_traffic),
            other => {
                let what = format!("update_mask: {other:?} is no field of a project that can be changed");
                return Err(invalid("update_mask_invalid", &what));
            }
        }
    }
    Ok(known)
}

/// Makes a key and stores its hash; the secret is not kept.
///
/// # Errors
/// If the store fails.
pub fn create_key(
    context: &Context,
    project: &str,
    label: &str,
    environment: Environment,
) -> Result<(KeyRow, String), Status> {
    let secret = format!("fp_{environment}_{}", context.codes.random_text(24));
    let row = KeyRow {
        id: context.codes.random_text(9),
        project: project.to_owned(),
        label: label.to_owned(),
        environment,
        hash: hash_secret(&secret),
        created_at_us: context.clock.now_us(),
        last_used_at_us: None,
        revoked_at_us: None,
    };
    context.store.create_key(&row).map_err(store)?;
    Ok((row, secret))
}

fn key_message(row: &KeyRow) -> v1::ProjectKey {
    let environment = match row.environment {
        Environment::Prod => v1::Environment::Prod,
        Environment::Staging => v1::Environment::Staging,
        Environment::Dev => v1::Environment::Dev,
    };
    v1::ProjectKey {
        id: row.id.clone(),
        label: row.label.clone(),
        environment: environment.into(),
        created_at: Some(timestamp(row.created_at_us)),
        last_used_at: row.last_used_at_us.map(timestamp),
        revoked_at: row.revoked_at_us.map(timestamp),
    }
}

fn privacy_message(row: PrivacyRow) -> v1::ReceivedPrivacyRequest {
    let PrivacyRow { id, kind, actor, received_at_us, .. } = row;
    let request = v1::PrivacyRequest { id, kind: kind.into(), actor };
    v1::ReceivedPrivacyRequest { request: Some(request), received_at: Some(timestamp(received_at_us)) }
}

/// Whether a project may have this id: 1 to 32 of a-z, 0-9, "-".
pub fn valid_id(id: &str) -> bool {
    (1..=32).contains(&id.len())
        && id.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

/// Titles, labels and subjects are words for people; tokens carry theirs with every call.
const TEXT_BYTES: usize = 256;

fn check_text(field: &str, text: &str) -> Result<(), Status> {
    if text.len() <= TEXT_BYTES && !text.chars().any(char::is_control) {
        return Ok(());
    }
    Err(invalid("text_invalid", &format!("{field}: at most {TEXT_BYTES} bytes, without control characters")))
}

#[tonic::async_trait]
impl v1::admin_service_server::AdminService for AdminApi {
    async fn exchange_code(
        &self,
        request: Request<v1::ExchangeCodeRequest>,
    ) -> Result<Response<v1::ExchangeCodeResponse>, Status> {
        let now = self.context.clock.now_us();
        let project = self.context.codes.redeem(&request.into_inner().code, now).ok_or_else(|| {
            denied(
                "code_unknown",
                "the code was used or is older than ten minutes; `footpath link` makes a new one",
            )
        })?;
        let exp = now / 1_000_000 + DEFAULT_LIFETIME_S;
        let claims = Claims { sub: "admin".into(), role: Role::Admin, projects: vec!["*".into()], exp };
        let token = self.context.access.sign(&claims)?;
        let expires_at = Some(timestamp(exp * 1_000_000));
        Ok(Response::new(v1::ExchangeCodeResponse { token, expires_at, project }))
    }

    async fn create_code(
        &self,
        request: Request<v1::CreateCodeRequest>,
    ) -> Result<Response<v1::CreateCodeResponse>, Status> {
        // The code makes an admin of all projects, so nobody less may ask for it.
        self.context.caller(&request).for_project("*")?;
        let project = self.context.allowed(&request, &request.get_ref().project)?;
        let now = self.context.clock.now_us();
        let code = self.context.codes.issue(&project.id, now);
        let expires_at = Some(timestamp(now + CODE_US));
        Ok(Response::new(v1::CreateCodeResponse { code, expires_at }))
    }

    async fn create_project(
        &self,
        request: Request<v1::CreateProjectRequest>,
    ) -> Result<Response<v1::CreateProjectResponse>, Status> {
        self.context.caller(&request).for_project("*")?;
        let project = request.into_inner().project.unwrap_or_default();
        if !valid_id(&project.id) {
            return Err(invalid("project_id_invalid", "project.id: 1 to 32 of a-z, 0-9, \"-\""));
        }
        check_text("project.title", &project.title)?;
        let time_zone = if project.time_zone.is_empty() { "UTC" } else { &project.time_zone }.to_owned();
        check_zone(&time_zone)?;
        let now = self.context.clock.now_us();
        let (id, title) = (project.id.clone(), project.title.clone());
        let wanted = NewProject { id, title, time_zone, created_at_us: now };
        let settings = settings::read(&project)?;
        let _turn = self.context.turn.lock().await;
        let row = self.context.store.create_project(&wanted).map_err(store)?;
        let known = settings::of(&*self.context.store, &row.id)?;
        if known != settings {
            self.settle(&row, settings.clone()).await?;
        }
        Ok(Response::new(v1::CreateProjectResponse { project: Some(project_message(&row, &settings)) }))
    }

    async fn update_project(
        &self,
        request: Request<v1::UpdateProjectRequest>,
    ) -> Result<Response<v1::UpdateProjectResponse>, Status> {
        let request_project = request.get_ref().project.clone().unwrap_or_default();
        let row = self.context.allowed(&request, &request_project.id)?;
        let mask = request.into_inner().update_mask;
        let _turn = self.context.turn.lock().await;
        let known = settings::of(&*self.context.store, &row.id)?;
        let merged = merge(project_message(&row, &known), request_project, mask)?;
        check_text("project.title", &merged.title)?;
        check_zone(&merged.time_zone)?;
        let wanted = settings::read(&merged)?;
        let row =
            self.context.store.update_project(&row.id, &merged.title, &merged.time_zone).map_err(store)?;
        if wanted != known {
            self.settle(&row, wanted.clone()).await?;
        }
        Ok(Response::new(v1::UpdateProjectResponse { project: Some(project_message(&row, &wanted)) }))
    }

    async fn list_projects(
        &self,
        request: Request<v1::ListProjectsRequest>,
    ) -> Result<Response<v1::ListProjectsResponse>, Status> {
        let caller = self.context.caller(&request);
        let page = request.into_inner();
        let size = crate::page_size(page.page_size);
        let scope = Scope::new(Kind::Projects, 0, &[]);
        let after = self.context.cursors.open_page(&scope, &page.page_token)?;
        let mut projects: Vec<_> = self.context.store.projects().map_err(store)?;
        projects.retain(|row| caller.for_project(&row.id).is_ok() && row.id > after);
        projects.sort_by(|a, b| a.id.cmp(&b.id));
        let next_page_token = self.context.cursors.cut_page(&scope, &mut projects, size, |row| &row.id);
        let shown = |row: &ProjectRow| {
            settings::of(&*self.context.store, &row.id).map(|settings| project_message(row, &settings))
        };
        let projects = projects.iter().map(shown).collect::<Result<_, _>>()?;
        Ok(Response::new(v1::ListProjectsResponse { projects, next_page_token }))
    }

    async fn create_project_key(
        &self,
        request: Request<v1::CreateProjectKeyRequest>,
    ) -> Result<Response<v1::CreateProjectKeyResponse>, Status> {
        let project = self.context.allowed(&request, &request.get_ref().project)?;
        let request = request.into_inner();
        let environment = match request.environment() {
            v1::Environment::Prod => Environment::Prod,
            v1::Environment::Staging => Environment::Staging,
            v1::Environment::Dev => Environment::Dev,
            v1::Environment::Unspecified => {
                return Err(invalid("environment_missing", "environment: name prod, staging or dev"));
            }
        };
        check_text("label", &request.label)?;
        let (row, secret) = create_key(&self.context, &project.id, &request.label, environment)?;
        Ok(Response::new(v1::CreateProjectKeyResponse { key: Some(key_message(&row)), secret }))
    }

    async fn list_project_keys(
        &self,
        request: Request<v1::ListProjectKeysRequest>,
    ) -> Result<Response<v1::ListProjectKeysResponse>, Status> {
        let project = self.context.allowed(&request, &request.get_ref().project)?;
        let page = request.into_inner();
        let size = crate::page_size(page.page_size);
        let scope = Scope::new(Kind::ProjectKeys, project.number, &[]);
        let after = self.context.cursors.open_page(&scope, &page.page_token)?;
        let mut keys = self.context.store.keys(&project.id).map_err(store)?;
        keys.sort_by(|a, b| (a.created_at_us, &a.id).cmp(&(b.created_at_us, &b.id)));
        // A key is revoked and never taken away, so that the page before still ends where it did.
        let seen = keys.iter().position(|key| key.id == after).map_or(0, |at| at + 1);
        keys.drain(..seen);
        let next_page_token = self.context.cursors.cut_page(&scope, &mut keys, size, |key| &key.id);
        let keys = keys.iter().map(key_message).collect();
        Ok(Response::new(v1::ListProjectKeysResponse { keys, next_page_token }))
    }

    async fn revoke_project_key(
        &self,
        request: Request<v1::RevokeProjectKeyRequest>,
    ) -> Result<Response<v1::RevokeProjectKeyResponse>, Status> {
        let project = self.context.allowed(&request, &request.get_ref().project)?;
        let request = request.into_inner();
        let overlap_s = request.overlap.map_or(0, |d| d.seconds);
        if !(0..=366 * 86_400).contains(&overlap_s) {
            return Err(invalid("overlap_invalid", "overlap: up to 366 days"));
        }
        let keys = self.context.store.keys(&project.id).map_err(store)?;
        let mut key = keys
            .into_iter()
            .find(|key| key.id == request.key_id)
            .ok_or_else(|| not_found("project_key_unknown", "no such key; ListProjectKeys names them"))?;
        let at = self.context.clock.now_us() + overlap_s * 1_000_000;
        key.revoked_at_us = Some(key.revoked_at_us.map_or(at, |earlier| earlier.min(at)));
        self.context.store.revoke_key(&key.id, at).map_err(store)?;
        Ok(Response::new(v1::RevokeProjectKeyResponse { key: Some(key_message(&key)) }))
    }

    async fn create_token(
        &self,
        request: Request<v1::CreateTokenRequest>,
    ) -> Result<Response<v1::CreateTokenResponse>, Status> {
        let caller = self.context.caller(&request);
        let request = request.into_inner();
        let role = match request.role() {
            v1::Role::Viewer => Role::Viewer,
            v1::Role::Analyst => Role::Analyst,
            v1::Role::Admin => Role::Admin,
            v1::Role::Unspecified => {
                return Err(invalid("role_missing", "role: name viewer, analyst or admin"));
            }
        };
        if request.projects.is_empty() {
            return Err(invalid("projects_missing", "projects: name the projects, or \"*\""));
        }
        for project in &request.projects {
            caller.for_project(project)?;
        }
        let lifetime = request.lifetime.map_or(DEFAULT_LIFETIME_S, |d| d.seconds);
        if !(60..=366 * 86_400).contains(&lifetime) {
            return Err(invalid("lifetime_invalid", "lifetime: 1 minute to 366 days"));
        }
        check_text("subject", &request.subject)?;
        for id in request.projects.iter().filter(|id| *id != "*") {
            if self.context.store.project(id).map_err(store)?.is_none() {
                return Err(not_found(
                    "project_unknown",
                    "projects: one of them does not exist; ListProjects names them",
                ));
            }
        }
        let exp = self.context.clock.now_us() / 1_000_000 + lifetime;
        let claims = Claims { sub: request.subject, role, projects: request.projects, exp };
        let token = self.context.access.sign(&claims)?;
        Ok(Response::new(v1::CreateTokenResponse { token, expires_at: Some(timestamp(exp * 1_000_000)) }))
    }
    async fn list_privacy_requests(
        &self,
        request: Request<v1::ListPrivacyRequestsRequest>,
    ) -> Result<Response<v1::ListPrivacyRequestsResponse>, Status> {
        let project = self.context.allowed(&request, &request.get_ref().project)?;
        let page = request.into_inner();
        let size = crate::page_size(page.page_size);
        let scope = Scope::new(Kind::PrivacyRequests, project.number, &[]);
        let after = self.context.cursors.open_page(&scope, &page.page_token)?;
        let mut rows = self.context.store.privacy(&project.id, &after, size + 1).map_err(store)?;
        let next_page_token = self.context.cursors.cut_page(&scope, &mut rows, size, |row| &row.id);
        let requests = rows.into_iter().map(privacy_message).collect();
        Ok(Response::new(v1::ListPrivacyRequestsResponse { requests, next_page_token }))
    }
}
