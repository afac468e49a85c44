//! Settings: one struct. A flag wins over the environment, the environment over the file, the file over the default.
//! docs/configuration.md is the table of them; a test holds it against this file.

use std::error::Error as _;
use std::ffi::OsString;
use std::net::SocketAddr;
use std::num::{IntErrorKind, ParseIntError};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use clap::error::{ContextKind, ContextValue};
use clap::parser::ValueSource;
use clap::{ArgAction, ArgMatches, Command};
use footpath_api::series::Selection;
use footpath_history::schema::{Promoted, check_promoted};
use footpath_ingest::limits::Limits;
use footpath_notify::{MailSecurity, MailServer, Secret};
use ipnet::IpNet;
use percent_encoding::percent_decode_str;

/// What the server needs to know. The key in the file is the flag without its dashes.
#[derive(Debug, Clone, clap::Args)]
pub struct Config {
    /// TOML file with the settings of this table; its keys are the flags of the others without dashes in front.
    #[arg(long, env = "FOOTPATH_CONFIG")]
    pub config: Option<PathBuf>,
    /// Folder that holds everything; made on the first start.
    #[arg(long, env = "FOOTPATH_DATA", default_value = "data")]
    pub data: PathBuf,
    /// Address of gRPC, gRPC-Web, POST /v1/ingest and the page.
    #[arg(long, env = "FOOTPATH_LISTEN", default_value = "127.0.0.1:7400", value_parser = address)]
    pub listen: SocketAddr,
    /// Address of /livez, /readyz, /metrics, /series and gRPC health, in plain text and without access control: keep it on loopback.
    #[arg(long, env = "FOOTPATH_ADMIN_LISTEN", default_value = "127.0.0.1:7401", value_parser = address)]
    pub admin_listen: SocketAddr,
    /// Metrics and funnels whose numbers /series shows to Prometheus, and to whoever else reaches admin-listen: project/id of a metric or funnel, or project for all that it has, separated by commas; unset, there is none.
    #[arg(long, env = "FOOTPATH_SERIES", value_delimiter = ',')]
    pub series: Vec<Selection>,
    /// Where people open the page, as links in alerts say it; unset, the address of listen.
    #[arg(long, env = "FOOTPATH_PUBLIC_URL", value_parser = public_url)]
    pub public_url: Option<String>,
    /// Networks, separated by commas, that alerts may be sent into beside the public internet, for receivers of one's own: 10.1.0.0/16.
    #[arg(long, env = "FOOTPATH_ALERT_ALLOW", value_delimiter = ',')]
    pub alert_allow: Vec<IpNet>,
    /// Whether alerts may be sent to http:// addresses, without TLS.
    #[arg(long, env = "FOOTPATH_ALERT_HTTP", default_value = "false", action = ArgAction::Set)]
    pub alert_http: bool,
    /// The mail server for alerts by email: smtps://user:password@host:465 (TLS), smtp://user:password@host:587 (STARTTLS), or smtp+plain://host:25 (neither, for one beside the server); needs smtp-from.
    #[arg(long, env = "FOOTPATH_SMTP", requires = "smtp_from", hide_env_values = true)]
    pub smtp: Option<String>,
    /// The sender of alerts by email: an address, or a name and an address in angle brackets.
    #[arg(long, env = "FOOTPATH_SMTP_FROM", requires = "smtp")]
    pub smtp_from: Option<String>,
    /// Id of the project that the first start makes.
    #[arg(long, env = "FOOTPATH_PROJECT", default_value = "default", value_parser = project)]
    pub project: String,
    /// PEM file with the certificate chain of the main port; needs tls-key.
    #[arg(long, env = "FOOTPATH_TLS_CERT", requires = "tls_key")]
    pub tls_cert: Option<PathBuf>,
    /// PEM file with the private key of tls-cert.
    #[arg(long, env = "FOOTPATH_TLS_KEY", requires = "tls_cert")]
    pub tls_key: Option<PathBuf>,
    /// Whether gRPC reflection answers on the main port.
    #[arg(long, env = "FOOTPATH_REFLECTION", default_value = "true", action = ArgAction::Set)]
    pub reflection: bool,
    /// Connections open at a time on the main port; more wait until one closes.
    #[arg(long, env = "FOOTPATH_MAX_CONNECTIONS", default_value = "4096")]
    pub max_connections: usize,
    /// Calls and streams open at a time on one connection.
    #[arg(long, env = "FOOTPATH_MAX_STREAMS", default_value = "256")]
    pub max_streams: u32,
    /// Memory that all batches on their way in may take together; one waits a little for its share, then is told to come back. Other calls have 20 MiB of their own.
    #[arg(long, env = "FOOTPATH_BODY_MEMORY", default_value = "256MiB", value_parser = bytes)]
    pub body_memory: usize,
    /// Bytes of a batch, decompressed.
    #[arg(long, env = "FOOTPATH_LIMIT_BATCH_BYTES", default_value = "4MiB", value_parser = bytes)]
    pub limit_batch_bytes: usize,
    /// Bytes of an event.
    #[arg(long, env = "FOOTPATH_LIMIT_EVENT_BYTES", default_value = "32KiB", value_parser = bytes)]
    pub limit_event_bytes: usize,
    /// Events of a batch.
    #[arg(long, env = "FOOTPATH_LIMIT_EVENTS", default_value = "10000")]
    pub limit_events: usize,
    /// Bytes of an event's name.
    #[arg(long, env = "FOOTPATH_LIMIT_NAME_BYTES", default_value = "255")]
    pub limit_name_bytes: u16,
    /// Properties of an event.
    #[arg(long, env = "FOOTPATH_LIMIT_PROPERTIES", default_value = "256")]
    pub limit_properties: usize,
    /// Levels of lists and maps in a property's value, at most 100.
    #[arg(long, env = "FOOTPATH_LIMIT_DEPTH", default_value = "5")]
    pub limit_depth: u32,
    /// Age at which the newest stored events are written to Parquet at the latest.
    #[arg(long, env = "FOOTPATH_CHUNK_AGE", default_value = "60s", value_parser = duration)]
    pub chunk_age: Duration,
    /// Properties with a Parquet column of their own from now on, as in p_total_money for total:money: key:kind pairs separated by commas; kinds are string, int, double, decimal, money, bool, time and json.
    #[arg(long, env = "FOOTPATH_PROMOTE", value_delimiter = ',')]
    pub promote: Vec<Promoted>,
    /// Memory for decoded columns of stored events, kept for the next query: 8 to 20 bytes an event that is asked about. 0 keeps none.
    #[arg(long, env = "FOOTPATH_QUERY_CACHE", default_value = "1GiB", value_parser = bytes)]
    pub query_cache: usize,
    /// Most ids that a merge or unmerge of persons may move without an admin.
    #[arg(long, env = "FOOTPATH_MERGE_LIMIT", default_value = "100")]
    pub merge_limit: usize,
    /// Time between two images of the live state.
    #[arg(long, env = "FOOTPATH_IMAGE_INTERVAL", default_value = "60s", value_parser = duration)]
    pub image_interval: Duration,
    /// Persons or groups of a funnel that are kept in memory with their last events, some 300 bytes each, and persons that are kept with their sessions. Of more, those that were quiet the longest keep what they count for, some 50 bytes, and are read from stored events when they come back.
    #[arg(long, env = "FOOTPATH_LIVE_UNITS", default_value = "2000000")]
    pub live_units: usize,
    /// Time in which every view (funnels, metrics, sessions, active persons) is compared once with stored events; 0s is never.
    #[arg(long, env = "FOOTPATH_RECONCILE_EVERY", default_value = "1h", value_parser = duration)]
    pub reconcile_every: Duration,
    /// Time between two snapshots of the duplicate index while there is traffic.
    #[arg(long, env = "FOOTPATH_SNAPSHOT_INTERVAL", default_value = "60s", value_parser = duration)]
    pub snapshot_interval: Duration,
    /// What is logged, as tracing's directives: a level, or target=level pairs.
    #[arg(long, env = "FOOTPATH_LOG", default_value = "info")]
    pub log_filter: String,
    /// How log lines look.
    #[arg(long, env = "FOOTPATH_LOG_FORMAT", default_value = "text")]
    pub log_format: LogFormat,
    /// OTLP endpoint (gRPC, without TLS) for traces and metrics, for example http://127.0.0.1:4317; unset or empty, nothing is recorded.
    #[arg(long, env = "OTEL_EXPORTER_OTLP_ENDPOINT", value_parser = otlp_endpoint)]
    pub otlp_endpoint: Option<String>,
    /// Takes events in and does nothing with them: to measure the way in alone. Nothing is trimmed, no number moves.
    #[arg(long, hide = true)]
    pub ingest_only: bool,
    /// Stops cleanly when standard input ends: a server started by another program ends with it.
    #[arg(long, hide = true)]
    pub until_stdin_closes: bool,
}

/// Below this, nothing but writing files would be done.
const SHORTEST: Duration = Duration::from_millis(100);
const SHORTEST_TEXT: &str = "100ms";

/// JSON of chunks is read by a parser that goes 128 levels deep, and money takes two.
const DEEPEST: u32 = 100;

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One object a line.
    Json,
}

impl Config {
    /// Checks what no single setting can tell.
    ///
    /// # Errors
    /// If settings do not fit together; the message says which.
    pub fn check(&self) -> anyhow::Result<()> {
        // A compressed batch is there as it came, inflated, and once more in the transport's buffer.
        let least = self.limit_batch_bytes.saturating_mul(3);
        anyhow::ensure!(
            self.body_memory >= least,
            "body-memory has {} bytes; at this limit-batch-bytes it needs {least}",
            self.body_memory
        );
        self.check_batch()?;
        check_promoted(&self.promote)?;
        self.relay()?;
        for (key, value) in [
            ("max-connections", self.max_connections),
            ("max-streams", self.max_streams as usize),
            ("limit-event-bytes", self.limit_event_bytes),
            ("limit-events", self.limit_events),
            ("limit-name-bytes", self.limit_name_bytes.into()),
        ] {
            anyhow::ensure!(value > 0, "{key} must be at least 1");
        }
        anyhow::ensure!(self.limit_depth <= DEEPEST, "limit-depth must be at most {DEEPEST}");
        for (key, value) in [
            ("chunk-age", self.chunk_age),
            ("image-interval", self.image_interval),
            ("snapshot-interval", self.snapshot_interval),
        ] {
            anyhow::ensure!(value >= SHORTEST, "{key} must be at least {SHORTEST_TEXT}");
        }
        Ok(())
    }

    /// A batch that weighs more than a project's share of the queue would be told "busy" for ever.
    fn check_batch(&self) -> anyhow::Result<()> {
        let room = footpath_log::Limits::default().project_queue_bytes;
        let limits = self.limits();
        let largest = limits.largest_batch_bytes(room);
        anyhow::ensure!(
            largest > 0,
            "limit-events is {}: so many events do not fit into the queue together; lower it",
            self.limit_events
        );
        anyhow::ensure!(
            self.limit_batch_bytes <= largest,
            "limit-batch-bytes is {}; at this limit-events the largest value is {largest}",
            self.limit_batch_bytes
        );
        Ok(())
    }

    /// Where people open the page, without a slash at the end.
    pub fn public_url(&self) -> String {
        let scheme = if self.tls_cert.is_some() { "https" } else { "http" };
        let own = || format!("{scheme}://{}", crate::app::reachable(self.listen));
        self.public_url.clone().unwrap_or_else(own)
    }

    /// The mail server for alerts.
    ///
    /// # Errors
    /// If it is not written as one.
    pub fn relay(&self) -> anyhow::Result<Option<MailServer>> {
        let Some((smtp, from)) = self.smtp.as_deref().zip(self.smtp_from.clone()) else { return Ok(None) };
        let form = "smtp: write it as in smtps://user:password@host:465";
        let url = url::Url::parse(smtp).map_err(|_| anyhow::anyhow!(form))?;
        let (security, usual) = match url.scheme() {
            "smtps" => (MailSecurity::Tls, 465),
            "smtp" => (MailSecurity::Starttls, 587),
            "smtp+plain" => (MailSecurity::None, 25),
            _ => anyhow::bail!(form),
        };
        let decoded = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
        Ok(Some(MailServer {
            host: url.host_str().context(form)?.to_owned(),
            port: url.port().unwrap_or(usual),
            security,
            username: Some(decoded(url.username())).filter(|name| !name.is_empty()),
            password: url.password().map(|password| Secret::new(decoded(password))),
            from,
        }))
    }

    /// Where traces and metrics go.
    pub fn telemetry_endpoint(&self) -> Option<&str> {
        self.otlp_endpoint.as_deref().filter(|endpoint| !endpoint.is_empty())
    }

    /// What is too much in a batch.
    pub fn limits(&self) -> Limits {
        Limits {
            batch_bytes: self.limit_batch_bytes,
            batch_events: self.limit_events,
            event_bytes: self.limit_event_bytes,
            name_bytes: self.limit_name_bytes,
            properties: self.limit_properties,
            depth: self.limit_depth,
            ..Limits::default()
        }
    }
}

/// Parses a command line. Where its subcommand takes `--config`, what neither a flag nor the environment sets
/// comes from that file. Errors of the command line itself end the process, as clap does.
///
/// # Errors
/// If the file cannot be read, has an unknown key (the nearest known one is named) or a value that does not fit.
pub fn parse(command: Command, args: Vec<OsString>) -> anyhow::Result<ArgMatches> {
    let matches = command.clone().get_matches_from(&args);
    let Some((name, given)) = matches.subcommand() else { return Ok(matches) };
    let Some(path) = given.try_get_one::<PathBuf>("config").ok().flatten() else { return Ok(matches) };
    let subcommand = command.find_subcommand(name).context("clap lost a subcommand")?;
    let more = from_file(subcommand, given, path)?;
    let args = args.into_iter().chain(more);
    // Every value fits by itself; what is left is settings that need each other.
    command.try_get_matches_from(args).map_err(|error| {
        let text = error.to_string();
        let told = text.trim_start_matches("error: ").lines().take_while(|line| !line.is_empty());
        anyhow::anyhow!("{}: {}", path.display(), told.map(str::trim).collect::<Vec<_>>().join(" "))
    })
}

/// The file's settings as flags, without those that are set already.
fn from_file(command: &Command, given: &ArgMatches, path: &Path) -> anyhow::Result<Vec<OsString>> {
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    let table: toml::Table = text.parse().with_context(|| format!("{} is not TOML", path.display()))?;
    let mut flags = Vec::new();
    for (key, value) in &table {
        let known = command.get_arguments().find(|arg| in_file(arg) && arg.get_long() == Some(key));
        let Some(known) = known else { anyhow::bail!("{}: {}", path.display(), unknown(command, key)) };
        let value = match value {
            toml::Value::String(text) => text.clone(),
            toml::Value::Integer(_) | toml::Value::Boolean(_) => value.to_string(),
            _ => anyhow::bail!("{}: {key:?} must be a string, a number or a boolean", path.display()),
        };
        if let Err(why) = check_alone(known, &value) {
            anyhow::bail!("{}: {key} cannot be {value:?}: {why}", path.display());
        }
        let source = given.value_source(known.get_id().as_str());
        if matches!(source, None | Some(ValueSource::DefaultValue)) {
            flags.push(format!("--{key}={value}").into());
        }
    }
    Ok(flags)
}

/// A value of the file must fit also where a flag wins over it. The error is only why not.
fn check_alone(known: &clap::Arg, value: &str) -> Result<(), String> {
    let bare = clap::Arg::new("value").action(ArgAction::Set).allow_hyphen_values(true);
    let bare = bare.value_parser(known.get_value_parser().clone());
    let bare = bare.value_delimiter(known.get_value_delimiter());
    let parsed = Command::new("footpath").no_binary_name(true).arg(bare).try_get_matches_from([value]);
    parsed.map(drop).map_err(|error| why(&error))
}

/// What clap wraps into the name of a flag.
fn why(error: &clap::Error) -> String {
    if let Some(source) = error.source() {
        let no_number = source.downcast_ref().is_some_and(|error: &ParseIntError| {
            matches!(error.kind(), IntErrorKind::InvalidDigit | IntErrorKind::Empty)
        });
        return if no_number { "a whole number is needed".into() } else { source.to_string() };
    }
    match error.get(ContextKind::ValidValue) {
        Some(ContextValue::Strings(valid)) if !valid.is_empty() => {
            format!("it is one of {}", valid.join(", "))
        }
        _ => "an empty text is no value".into(), // All that clap refuses without a word of its own.
    }
}

/// Not where the file is, nor what only another program passes.
fn in_file(arg: &clap::Arg) -> bool {
    arg.get_long() != Some("config") && !arg.is_hide_set()
}

/// How alike two names are that one may have been meant for the other.
const NEAR: f64 = 0.85;

fn unknown(command: &Command, key: &str) -> String {
    let known = command.get_arguments().filter(|arg| in_file(arg)).filter_map(clap::Arg::get_long);
    let rated = known.map(|name| (strsim::jaro_winkler(name, key), name));
    match rated.max_by(|(a, _), (b, _)| a.total_cmp(b)) {
        Some((likeness, nearest)) if likeness >= NEAR => {
            format!("unknown key {key:?}; did you mean {nearest:?}?")
        }
        _ => format!("unknown key {key:?}; `footpath {} --help` lists those there are", command.get_name()),
    }
}

/// Where to listen.
pub fn address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| {
        "an IP address and a port are needed, as in 127.0.0.1:7400, [::1]:7400 or, for every address, 0.0.0.0:7400"
            .into()
    })
}

/// Empty counts as unset: so does OpenTelemetry's specification.
fn otlp_endpoint(text: &str) -> Result<String, String> {
    let uri: Result<http::Uri, _> = text.parse();
    match uri.as_ref().ok().and_then(|uri| uri.scheme_str()) {
        Some("http") => Ok(text.to_owned()),
        Some("https") => {
            Err("TLS is not supported here: name a collector near the server with http://".into())
        }
        _ if text.is_empty() => Ok(String::new()),
        _ => Err("write it as in http://127.0.0.1:4317".into()),
    }
}

/// A link's beginning.
fn public_url(text: &str) -> Result<String, String> {
    let uri: Result<http::Uri, _> = text.parse();
    let good =
        uri.is_ok_and(|uri| matches!(uri.scheme_str(), Some("http" | "https")) && uri.query().is_none());
    if good {
        Ok(text.trim_end_matches('/').to_owned())
    } else {
        Err("write it as in https://footpath.example.com".into())
    }
}

fn project(text: &str) -> Result<String, String> {
    let valid = footpath_api::admin::valid_id(text);
    if valid { Ok(text.to_owned()) } else { Err("1 to 32 of a-z, 0-9, \"-\"".into()) }
}

fn bytes(text: &str) -> Result<usize, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = match &text[digits.len()..] {
        "" | "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        _ => return Err("write bytes as a number, or with KiB, MiB or GiB".into()),
    };
    let number: usize = digits.trim().parse().map_err(|_| "write bytes as in 4MiB".to_owned())?;
    number.checked_mul(unit).ok_or_else(|| "that is more than this machine can address".into())
}

fn duration(text: &str) -> Result<Duration, String> {
    let parsed: jiff::SignedDuration =
        text.parse().map_err(|_| "write a duration as in 60s or 1m 30s".to_owned())?;
    Duration::try_from(parsed).map_err(|_| "a duration cannot be negative".into())
}

#[cfg(test)]
mod tests {
    use clap::{Args as _, FromArgMatches as _};

    use super::*;

    fn command() -> Command {
        Command::new("footpath").subcommand(Config::augment_args(Command::new("serve")))
    }

    fn serve(file: &str, flags: &[&str]) -> anyhow::Result<Config> {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("footpath.toml");
        std::fs::write(&path, file)?;
        let mut args: Vec<OsString> = vec!["footpath".into(), "serve".into(), "--config".into(), path.into()];
        args.extend(flags.iter().map(OsString::from));
        let matches = parse(command(), args)?;
        let (_, matches) = matches.subcommand().context("no subcommand")?;
        Ok(Config::from_arg_matches(matches)?)
    }

    #[test]
    fn a_flag_wins_over_the_file_and_the_file_over_the_default() {
        let file = "listen = \"127.0.0.1:1\"\nproject = \"shop\"\nlimit-events = 7\nreflection = false\n";
        let config = serve(file, &["--listen", "127.0.0.1:2"]).unwrap();
        assert_eq!(config.listen.port(), 2);
        assert_eq!((config.project.as_str(), config.limits().batch_events), ("shop", 7));
        assert!(!config.reflection);
        assert_eq!(config.admin_listen.port(), 7401);
    }

    #[test]
    fn an_unknown_key_is_refused_with_the_nearest_known_one() {
        let error = serve("admin_listen = \"127.0.0.1:1\"", &[]).unwrap_err().to_string();
        assert!(error.contains("\"admin_listen\"") && error.contains("\"admin-listen\""), "{error}");
        for far in ["config", "colour"] {
            let error = serve(&format!("{far} = \"x\""), &[]).unwrap_err().to_string();
            assert!(error.contains("unknown key") && error.contains("serve --help"), "{error}");
        }
    }

    #[test]
    fn a_bad_value_is_told_in_one_sentence() {
        for (line, why) in [
            ("listen = \"localhost:8400\"", "an IP address and a port are needed"),
            ("log-format = \"xml\"", "it is one of text, json"),
            ("reflection = \"maybe\"", "it is one of true, false"),
            ("chunk-age = \"soon\"", "write a duration as in 60s"),
            ("limit-events = -1", "a whole number is needed"),
            ("otlp-endpoint = \"https://collector:4317\"", "TLS is not supported"),
            ("otlp-endpoint = \"collector\"", "http://127.0.0.1:4317"),
            ("promote = \"total:gold\"", "kinds are string"),
            ("tls-cert = \"cert.pem\"", "--tls-key"),
            ("series = \"shop/\"", "write project, or project/id"),
            ("data = \"\"", "an empty text is no value"),
        ] {
            let error = format!("{:#}", serve(line, &[]).unwrap_err());
            let told = error.contains("footpath.toml: ") && error.contains(why);
            assert!(told && !error.contains("error:") && !error.contains('\n'), "{error}");
        }
        let unset = serve("otlp-endpoint = \"\"", &[]).unwrap();
        assert_eq!(unset.telemetry_endpoint(), None);
    }

    #[test]
    fn a_value_that_does_not_fit_is_refused_by_name() {
        let error = format!("{:#}", serve("listen = \"somewhere\"", &[]).unwrap_err());
        assert!(error.contains("footpath.toml: listen cannot be \"somewhere\": an IP address"), "{error}");
        assert!(serve("limit-batch-bytes = \"4 parsecs\"", &[]).is_err());
        assert!(serve("[listen]\nport = 1", &[]).is_err());
    }

    #[test]
    fn a_value_of_the_file_must_fit_also_where_a_flag_wins() {
        let error = format!("{:#}", serve("limit-events = \"many\"", &["--limit-events", "7"]).unwrap_err());
        assert!(error.contains("footpath.toml: limit-events cannot be \"many\": a whole number"), "{error}");
        assert!(serve("listen = [1]", &["--listen", "127.0.0.1:2"]).is_err());
    }

    #[test]
    fn what_can_never_work_is_refused_by_name() {
        for (key, value) in [
            ("limit-events", "0"),
            ("chunk-age", "\"0s\""),
            ("limit-name-bytes", "0"),
            ("limit-depth", "101"),
        ] {
            let error = serve(&format!("{key} = {value}"), &[]).unwrap().check().unwrap_err().to_string();
            assert!(error.starts_with(key), "{error}");
        }
        for id in ["Foo Bar", "../../evil", ""] {
            assert!(serve(&format!("project = \"{id}\""), &[]).is_err(), "{id}");
        }
    }

    #[test]
    fn properties_are_promoted_by_a_list() {
        let promoted = |list: &str| serve(&format!("promote = \"{list}\""), &[]);
        let columns: Vec<_> =
            promoted("plan:string,total:money").unwrap().promote.iter().map(Promoted::column).collect();
        assert_eq!(columns, ["p_plan_string", "p_total_money"]);
        assert!(format!("{:#}", promoted("plan:string,total").unwrap_err()).contains("kinds are string"));
        assert!(promoted("plan:string,Plan:string").unwrap().check().is_err());
    }

    #[test]
    fn defaults_are_the_ingest_crates_own() {
        let config = serve("", &[]).unwrap();
        assert_eq!(config.limits(), Limits::default());
        assert_eq!(
            (config.chunk_age, config.image_interval),
            (Duration::from_secs(60), Duration::from_secs(60))
        );
        assert!(config.check().is_ok());
        assert!(serve("body-memory = \"4MiB\"", &[]).unwrap().check().is_err());
        assert_eq!(bytes("256MiB"), Ok(256 << 20));
        assert_eq!(duration("1m 30s"), Ok(Duration::from_secs(90)));
    }

    #[test]
    fn a_batch_that_the_queue_could_never_take_is_refused_with_the_largest_that_it_can() {
        let check = |batch: usize, events: usize| {
            let flags = [
                format!("--limit-batch-bytes={batch}"),
                format!("--limit-events={events}"),
                "--body-memory=4GiB".to_owned(),
            ];
            let config = serve("", &flags.each_ref().map(String::as_str)).unwrap();
            config.check().map(|()| config.limits()).map_err(|error| error.to_string())
        };
        let error = check(64 << 20, 10_000).unwrap_err();
        let largest: usize = error.rsplit(' ').next().unwrap().parse().unwrap();
        let room = footpath_log::Limits::default().project_queue_bytes;
        assert!((room - 2..=room).contains(&check(largest, 10_000).unwrap().heaviest_batch()));
        assert!(check(largest + 1, 10_000).is_err());
        assert!(check(usize::MAX, 10_000).unwrap_err().contains("limit-batch-bytes"));
        assert!(check(4 << 20, 1_000_000).unwrap_err().contains("limit-events"));
    }

    #[test]
    fn the_page_is_this_table() {
        let page = include_str!("../../docs/configuration.md");
        let on_page: Vec<_> = page.lines().filter(|line| line.starts_with("| `")).collect();
        let command = Config::augment_args(Command::new("serve"));
        let rows: Vec<_> = command.get_arguments().filter(|arg| !arg.is_hide_set()).map(row).collect();
        assert_eq!(on_page, rows, "docs/configuration.md should hold:\n{}", rows.join("\n"));
    }

    fn row(arg: &clap::Arg) -> String {
        let default = arg.get_default_values().first().map(|v| v.to_string_lossy().into_owned());
        let key = arg.get_long().unwrap_or_default();
        let env = arg.get_env().map(|e| e.to_string_lossy().into_owned()).unwrap_or_default();
        let default = default.map_or_else(|| "none".to_owned(), |text| format!("`{text}`"));
        let help = arg.get_help().map(ToString::to_string).unwrap_or_default();
        format!("| `{key}` | `{env}` | {default} | {help} |")
    }
}
