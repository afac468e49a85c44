//! Settings: flags and environment variables.

use std::net::SocketAddr;
use std::path::PathBuf;

/// What the server needs to know. Every flag has an environment variable.
#[derive(Debug, Clone, clap::Args)]
pub struct Config {
    /// Folder that holds everything; made on the first start.
    #[arg(long, env = "FOOTPATH_DATA", default_value = "data")]
    pub data: PathBuf,
    /// Address of gRPC, gRPC-Web and the page.
    #[arg(long, env = "FOOTPATH_LISTEN", default_value = "127.0.0.1:7400")]
    pub listen: SocketAddr,
    /// Id of the project that the first start makes.
    #[arg(long, env = "FOOTPATH_PROJECT", default_value = "default")]
    pub project: String,
    /// Stops cleanly when standard input ends: a server started by another program ends with it.
    #[arg(long, hide = true)]
    pub until_stdin_closes: bool,
}
