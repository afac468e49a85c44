//! A message for mailboxes: text and HTML, and an incident is one thread (RFC 5322, section 3.6.4).

use std::time::{Duration, UNIX_EPOCH};

use lettre::Message;
use lettre::message::header::{HeaderName, HeaderValue};
use lettre::message::{Mailbox, MultiPart, SinglePart};
use sha2::{Digest as _, Sha256};

use super::expected::expected;
use super::slack::{data, moved};
use crate::text::{name, number_or_dash, time};
use crate::{Notice, NoticeKind};

pub(super) fn message(to: &[String], from: &str, notice: &Notice) -> Result<Message, String> {
    let from: Mailbox = from.parse().map_err(|_| "the sender is not an address")?;
    let domain = from.email.domain().to_owned();
    let root = thread(notice, &domain);
    let own = if opens(notice) { root.clone() } else { message_id(&["notice", &notice.id], &domain) };
    let sent = UNIX_EPOCH + Duration::from_micros(u64::try_from(notice.at_us).unwrap_or(0));
    let mut builder = Message::builder().from(from).subject(subject(notice)).date(sent).message_id(Some(own));
    if !opens(notice) {
        builder = builder.in_reply_to(root.clone()).references(root);
    }
    for address in to {
        builder = builder.to(address.parse().map_err(|_| "a recipient is not an address")?);
    }
    // RFC 3834: so that nobody's absence note answers.
    let automatic =
        HeaderValue::new(HeaderName::new_from_ascii_str("Auto-Submitted"), "auto-generated".to_owned());
    builder
        .raw_header(automatic)
        .multipart(parts(notice))
        .map_err(|error| format!("the message cannot be made: {error}"))
}

/// Whether this message begins the thread.
fn opens(notice: &Notice) -> bool {
    matches!(notice.kind, NoticeKind::Opened | NoticeKind::Test)
}

/// The id of the message that begins the thread. It follows from the incident, so later messages know it without asking.
fn thread(notice: &Notice, domain: &str) -> String {
    let last = if notice.kind == NoticeKind::Test { &notice.id } else { &notice.incident };
    message_id(&[&notice.project, last], domain)
}

/// A hash, so that no text can leave the angle brackets.
fn message_id(parts: &[&str], domain: &str) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part.len().to_le_bytes());
        hash.update(part);
    }
    format!("<{}@{domain}>", &hex(&hash.finalize())[..32])
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The same for every message of an incident: mail programs keep a thread together only then. What happened is the first line of the text.
fn subject(notice: &Notice) -> String {
    let reply = if opens(notice) { "" } else { "Re: " };
    let test = if notice.kind == NoticeKind::Test { "Test: " } else { "" };
    name(&format!("{reply}{test}[{}/{}] {}", notice.project, notice.environment, notice.subject()))
}

fn parts(notice: &Notice) -> MultiPart {
    let boundary = hex(&Sha256::digest(&notice.id))[..32].to_owned();
    MultiPart::alternative()
        .boundary(boundary)
        .singlepart(SinglePart::plain(plain(notice)))
        .singlepart(SinglePart::html(html(notice)))
}

fn first_line(notice: &Notice) -> String {
    let mut word = notice.kind.word().to_owned();
    word[..1].make_ascii_uppercase();
    format!("{word} ({}): {}", notice.severity.word(), notice.summary)
}

/// What both forms say, line by line; lines without a value are left out.
fn facts(notice: &Notice) -> Vec<(&'static str, String)> {
    let unit = notice.unit.as_deref();
    let seen = [
        ("Condition", notice.condition.clone()),
        ("Series", notice.series.clone().unwrap_or_default()),
        ("Value", number_or_dash(notice.value, unit)),
    ];
    let around = [
        ("By chance", notice.p_value.map(|p| number_or_dash(Some(p), None)).unwrap_or_default()),
        ("Window", format!("{} to {}", time(notice.window.from_us), time(notice.window.to_us))),
        ("Data", data(notice)),
        ("Channel", notice.channel.clone().unwrap_or_default()),
        ("Project", format!("{} / {}", notice.project, notice.environment)),
        ("Owner", notice.owner.clone()),
        ("Opened", time(notice.opened_us)),
        ("Incident", notice.incident.clone()),
    ];
    let facts = seen.into_iter().chain(expected(notice)).chain(around);
    facts.filter(|(_, value)| !value.is_empty()).collect()
}

/// Drivers and annotations, each with its lines.
fn lists(notice: &Notice) -> Vec<(&'static str, Vec<String>)> {
    let drivers = notice.drivers.iter().map(|driver| moved(driver, notice.unit.as_deref())).collect();
    let lists = vec![("What moved", drivers), ("At that time", notice.annotations.clone())];
    lists.into_iter().filter(|(_, lines): &(_, Vec<String>)| !lines.is_empty()).collect()
}

fn links(notice: &Notice) -> Vec<(&'static str, &str)> {
    let links = [("Open in Footpath", notice.link.as_str()), ("Runbook", notice.runbook.as_str())];
    links.into_iter().filter(|(_, url)| !url.is_empty()).collect()
}

fn plain(notice: &Notice) -> String {
    let mut text = format!("{}\n\n", first_line(notice));
    for (name, value) in facts(notice) {
        text.push_str(&format!("{name}: {value}\n"));
    }
    for (name, lines) in lists(notice) {
        text.push_str(&format!("\n{name}:\n- {}\n", lines.join("\n- ")));
    }
    for (name, url) in links(notice) {
        text.push_str(&format!("\n{name}: {url}\n"));
    }
    text
}

fn html(notice: &Notice) -> String {
    let row = |(name, value): &(&str, String)| {
        format!("<tr><th align=\"left\">{name}</th><td>{}</td></tr>\n", escaped(value))
    };
    let rows: String = facts(notice).iter().map(row).collect();
    let item = |line: &String| format!("<li>{}</li>\n", escaped(line));
    let lists = lists(notice).into_iter().map(|(name, lines)| {
        format!("<h3>{name}</h3>\n<ul>\n{}</ul>\n", lines.iter().map(item).collect::<String>())
    });
    let links = links(notice)
        .into_iter()
        .map(|(name, url)| format!("<p><a href=\"{}\">{name}</a></p>\n", escaped(url)));
    format!(
        "<!doctype html>\n<html><body dir=\"ltr\">\n<h2>{}</h2>\n<table cellpadding=\"4\">\n{rows}</table>\n{}{}</body></html>\n",
        escaped(&first_line(notice)),
        lists.collect::<String>(),
        links.collect::<String>(),
    )
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
        .replace('\'', "&#39;")
}
