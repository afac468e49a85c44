//! `footpath token`: makes a token, by a running server or from a stopped server's data folder.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context as _, bail};
use footpath_api::access::{Access, Claims, Role};
use footpath_model::clock::{Clock, SystemClock};
use footpath_proto::v1;
use footpath_store::{EmbeddedStore, Store, StoreError};
use v1::admin_service_client::AdminServiceClient;

use super::remote::{Bearer, Server, explain_for, given};

/// The longest lifetime the API gives.
const MAX_HOURS: u32 = 366 * 24;

/// Makes a token: the credential for reading numbers, defining funnels and managing projects.
///
/// A running server makes one for whoever holds an admin token (--token). If every token and link is lost, stop
/// the server and run this beside its data folder (--data): the signing secret lies there. A server that starts
/// again prints a new link as well, and `footpath link` makes one.
///
/// The token alone goes to standard output: export FOOTPATH_TOKEN=$(footpath token --role analyst)
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Args {
    /// What the bearer may do: viewer reads numbers, analyst also reads events and defines funnels, admin also
    /// manages projects, keys and tokens.
    #[arg(long, default_value = "viewer", value_parser = ["viewer", "analyst", "admin"])]
    role: String,
    /// A project the token is for; repeat it for several. Left out: all projects.
    #[arg(long = "project", value_name = "ID")]
    projects: Vec<String>,
    /// Who it is for; kept in the token.
    #[arg(long, default_value = "operator")]
    subject: String,
    /// How long it works, in hours; at most 366 days.
    #[arg(long, default_value_t = 12, value_parser = clap::value_parser!(u32).range(1..=i64::from(MAX_HOURS)))]
    hours: u32,
    /// Data folder of a stopped server. Used when there is no --token.
    #[arg(long, env = "FOOTPATH_DATA", default_value = "data", value_name = "FOLDER")]
    data: PathBuf,
    /// An admin token: the running server makes the new one.
    #[arg(long, env = "FOOTPATH_TOKEN", hide_env_values = true)]
    token: Option<String>,
    #[command(flatten)]
    server: Server,
}

impl Args {
    fn role(&self) -> Role {
        match self.role.as_str() {
            "admin" => Role::Admin,
            "analyst" => Role::Analyst,
            _ => Role::Viewer,
        }
    }

    fn projects(&self) -> Vec<String> {
        if self.projects.is_empty() { vec!["*".into()] } else { self.projects.clone() }
    }
}

/// Prints the token.
///
/// # Errors
/// With what to do next.
pub async fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let token = match given(args.token.as_deref()) {
        Some(admin) => by_server(args, admin).await?,
        None => {
            let exp = SystemClock.now_us() / 1_000_000 + i64::from(args.hours) * 3600;
            let claims =
                Claims { sub: args.subject.clone(), role: args.role(), projects: args.projects(), exp };
            if !args.data.join("state.redb").exists() {
                bail!(
                    "{} is no data folder of a server; name it with --data, or ask a running server with --token",
                    args.data.display()
                );
            }
            by_folder(&args.data, claims)?
        }
    };
    println!("{token}");
    Ok(ExitCode::SUCCESS)
}

async fn by_server(args: &Args, admin: &str) -> anyhow::Result<String> {
    let role = match args.role() {
        Role::Viewer => v1::Role::Viewer,
        Role::Analyst => v1::Role::Analyst,
        Role::Admin => v1::Role::Admin,
    };
    let wanted = v1::CreateTokenRequest {
        subject: args.subject.clone(),
        role: role.into(),
        projects: args.projects(),
        lifetime: Some(prost_types::Duration { seconds: i64::from(args.hours) * 3600, nanos: 0 }),
    };
    let channel = Bearer::new(admin)?.sign(args.server.connect().await?);
    let answer = AdminServiceClient::new(channel).create_token(wanted).await;
    Ok(answer.map_err(|status| explain_for("admin", &status))?.into_inner().token)
}

/// Signs a token with the secret in a stopped server's folder; a new folder gets its secret now.
///
/// # Errors
/// If the server runs, or the folder cannot be used.
pub fn by_folder(data: &Path, claims: Claims) -> anyhow::Result<String> {
    let file = data.join("state.redb");
    let store: Arc<dyn Store> = match EmbeddedStore::open(&file) {
        Ok(store) => Arc::new(store),
        Err(StoreError::Locked) => bail!(
            "a server is running on {}, and only one process may open it. Either stop that server and run this \
             again, or let it make the token: footpath token --url http://ITS-ADDRESS --token AN-ADMIN-TOKEN",
            data.display()
        ),
        Err(error) => return Err(error).with_context(|| format!("cannot open {}", file.display())),
    };
    let secret = crate::app::token_secret(store.as_ref())?;
    let access = Access::new(store, Arc::new(SystemClock), secret);
    access.sign(&claims).map_err(|status| anyhow::anyhow!("{}", status.message()))
}
