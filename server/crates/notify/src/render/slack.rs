//! A message for Slack: <https://docs.slack.dev/reference/block-kit/blocks>, escaped after
//! <https://docs.slack.dev/messaging/formatting-message-text>.
//!
//! `&`, `<` and `>` are what makes links and mentions, so texts have them as entities. Without `verbatim` Slack would still turn what looks like
//! an address, a channel or a person into a link or a mention
//! (<https://docs.slack.dev/reference/block-kit/composition-objects/text-object>). The same holds for `link_names` and unfurling of the whole message.

use serde_json::{Value, json};

use super::expected::expected;
use crate::text::{number_or_dash, one_line, time};
use crate::{CompletenessState, Driver, Notice, NoticeKind, Severity};

/// Slack's limit of a header's text, in characters as sent: `&` counts as five.
const HEADER: usize = 150;
/// Slack's limit of a section's text.
const SECTION: usize = 3_000;
/// Slack's limit of a field's text is 2,000, and a section may have 3,000: this leaves room for all that stands in one.
const PART: usize = 1_000;
/// Two links stand in one section.
const LINK: usize = 1_400;

pub(super) fn body(notice: &Notice) -> Value {
    let text = fit(&format!("{}: {}", headline(notice), notice.what), PART);
    json!({ "text": text, "link_names": false, "unfurl_links": false, "unfurl_media": false, "blocks": blocks(notice) })
}

fn blocks(notice: &Notice) -> Vec<Value> {
    let mut blocks = vec![header(notice), lead(notice), fields(notice)];
    blocks.extend(list(
        "What moved",
        notice.drivers.iter().map(|driver| moved(driver, notice.unit.as_deref())),
    ));
    blocks.extend(list("At that time", notice.annotations.iter().cloned()));
    blocks.extend(links(notice));
    blocks.push(context(notice));
    blocks
}

fn headline(notice: &Notice) -> String {
    let state = match notice.kind {
        NoticeKind::Opened => "Alert",
        NoticeKind::Escalated => "Worse",
        NoticeKind::Acknowledged => "Acknowledged",
        NoticeKind::Resolved => "Resolved",
        NoticeKind::Reopened => "Again",
        NoticeKind::Test => "Test",
    };
    let mark = match (notice.kind, notice.severity) {
        (NoticeKind::Resolved, _) => "✅",
        (_, Severity::Critical) => "🔴",
        (_, Severity::Warning) => "🟠",
        (_, Severity::Info) => "🔵",
    };
    format!("{mark} {state}: {}", notice.subject())
}

fn header(notice: &Notice) -> Value {
    let text = fit(&headline(notice), HEADER);
    json!({ "type": "header", "text": { "type": "plain_text", "text": text, "emoji": false } })
}

fn lead(notice: &Notice) -> Value {
    section(&format!("*{}*\n{}", fit(&notice.what, PART), fit(&notice.condition, PART)))
}

/// Links that fit; nothing for none.
fn links(notice: &Notice) -> Option<Value> {
    let links = [("Open in Footpath", linked(&notice.link)), ("Runbook", linked(&notice.runbook))];
    let fitting = links.iter().filter(|(_, url)| !url.is_empty() && url.len() <= LINK);
    let links: Vec<_> = fitting.map(|(name, url)| format!("<{url}|{name}>")).collect();
    (!links.is_empty()).then(|| section(&links.join("  ·  ")))
}

fn section(markdown: &str) -> Value {
    json!({ "type": "section", "text": mrkdwn(markdown) })
}

/// Marked up as it stands, and nothing made of what its words look like.
fn mrkdwn(markdown: &str) -> Value {
    json!({ "type": "mrkdwn", "text": markdown, "verbatim": true })
}

fn fields(notice: &Notice) -> Value {
    let unit = notice.unit.as_deref();
    let around = [
        ("Window", format!("{} to {}", time(notice.window.from_us), time(notice.window.to_us))),
        ("Data", data(notice)),
        ("Project", format!("{} / {}", notice.project, notice.environment)),
        ("Owner", if notice.owner.is_empty() { "nobody".to_owned() } else { notice.owner.clone() }),
    ];
    let fields =
        [("Value", number_or_dash(notice.value, unit))].into_iter().chain(expected(notice)).chain(around);
    let field = |(name, value): (&str, String)| mrkdwn(&format!("*{name}*\n{}", fit(&value, PART)));
    json!({ "type": "section", "fields": fields.map(field).collect::<Vec<_>>() })
}

/// How complete the number is, in words; email says the same.
pub(super) fn data(notice: &Notice) -> String {
    let until = time(notice.completeness.processed_us);
    let missing = notice.completeness.expected_missing;
    match notice.completeness.state {
        CompletenessState::Complete => format!("complete up to {until}"),
        state => format!("{}: complete up to {until}, {missing} events expected", state.word()),
    }
}

/// A driver in words; email says the same.
pub(super) fn moved(driver: &Driver, unit: Option<&str>) -> String {
    let share = driver.contribution.filter(|share| share.is_finite());
    let share = share.map_or_else(|| "-".to_owned(), |share| format!("{:.0} %", share * 100.0));
    let [before, after] = [driver.before, driver.after].map(|value| number_or_dash(value, unit));
    format!("{}: {share} of the change ({before} to {after})", driver.what)
}

/// A titled list that fits into a section; nothing for no lines.
fn list(title: &str, lines: impl Iterator<Item = String>) -> Option<Value> {
    let mut text = format!("*{title}*");
    let empty = text.len();
    for line in lines {
        let line = format!("\n• {}", fit(&line, PART));
        if text.chars().count() + line.chars().count() > SECTION {
            break;
        }
        text.push_str(&line);
    }
    (text.len() > empty).then(|| section(&text))
}

fn context(notice: &Notice) -> Value {
    let text = escaped(&format!(
        "{} · incident {} · {}",
        notice.severity.word(),
        notice.incident,
        time(notice.at_us)
    ));
    json!({ "type": "context", "elements": [mrkdwn(&text)] })
}

/// The three characters that Slack gives a meaning. Without them no mention, channel or link can be made.
fn entities(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// A text that means nothing but itself. The word joiner (U+2060) is not seen.
fn escaped(text: &str) -> String {
    entities(&calling_nobody(text, "@\u{2060}"))
}

fn linked(url: &str) -> String {
    entities(&calling_nobody(url, "%40"))
}

/// A text in which no word calls everybody, by something else in place of its `@`: Mattermost and Rocket.Chat, which take the same messages, read
/// mentions out of plain text.
fn calling_nobody(text: &str, at: &str) -> String {
    const CALLS: [&str; 5] = ["channel", "here", "everyone", "all", "group"];
    let mut parts = text.split('@');
    let mut quiet = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let lower = part.chars().take(10).collect::<String>().to_lowercase();
        let calls = CALLS.iter().any(|call| lower.starts_with(call));
        quiet.extend([if calls { at } else { "@" }, part]);
    }
    quiet
}

/// Escaped and at most so many characters, cut between characters and not within an escape.
fn fit(text: &str, most: usize) -> String {
    let mut length = most;
    loop {
        let shown = escaped(&one_line(text, length));
        let over = shown.chars().count().saturating_sub(most);
        if over == 0 {
            return shown;
        }
        length = length.saturating_sub(over.div_ceil(4)).max(1);
    }
}
