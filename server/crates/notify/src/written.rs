//! What is asked of a destination when somebody writes it, beside what every attempt asks. One that was stored stays and is tried: its
//! attempts say what is wrong.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use url::{Host, Url};

use crate::check::{Checked, invalid};
use crate::{Destination, DestinationKind, Guard};

impl Destination {
    /// As [`check`](Self::check); its title is one line too, and it does not lead where the guard lets nothing go, as far as its text says.
    pub(crate) fn check_written(&self, http: bool, guard: &Guard) -> Checked {
        self.check(http)?;
        if self.title.chars().any(char::is_control) {
            return invalid("title", "must have no line breaks and other control characters");
        }
        let Some((field, host)) = self.host() else { return Ok(()) };
        let judged: Vec<_> = addresses(&host).into_iter().map(|address| guard.check(address)).collect();
        match judged.first() {
            Some(Err(private)) if judged.iter().all(Result::is_err) => invalid(
                field,
                format!(
                    "must lead to the public internet, and not to {}; the operator can open networks with `alert-allow`",
                    private.0
                ),
            ),
            _ => Ok(()),
        }
    }

    /// The host that a user named, and the field that names it.
    fn host(&self) -> Option<(&'static str, Host)> {
        match &self.kind {
            DestinationKind::Webhook { url, .. }
            | DestinationKind::AlertmanagerApi { url }
            | DestinationKind::PagerDuty { url, .. } => {
                let url = Url::parse(url.expose()).ok()?;
                Some(("url", url.host()?.to_owned()))
            }
            DestinationKind::Email { server, .. } => {
                let host = &server.as_ref()?.host;
                let literal = host.parse::<Ipv6Addr>().ok().map(Host::Ipv6);
                Some(("server.host", literal.or_else(|| Host::parse(host).ok())?))
            }
        }
    }
}

/// The addresses that a host says by itself: one that is written out, and this machine's for its name (RFC 6761, section 6.3).
fn addresses(host: &Host) -> Vec<IpAddr> {
    match host {
        Host::Ipv4(v4) => vec![IpAddr::V4(*v4)],
        Host::Ipv6(v6) => vec![IpAddr::V6(*v6)],
        Host::Domain(name) => {
            let name = name.trim_end_matches('.').to_lowercase();
            let here = name == "localhost" || name.ends_with(".localhost");
            if here { vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()] } else { Vec::new() }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Secret, Severity, WebhookShape};

    fn webhook(url: &str) -> Destination {
        let secret = Secret::for_signing(&[7; 32]);
        let kind = DestinationKind::Webhook { url: Secret::new(url), secret, shape: WebhookShape::Json };
        Destination { id: "ops".into(), title: "Ops".into(), kind, min_severity: Severity::Info }
    }

    #[test]
    fn addresses_inside_are_refused_in_any_spelling() {
        let guard = Guard::default();
        for host in [
            "10.0.0.1",
            "169.254.169.254",
            "[::1]",
            "0x7f.1",
            "2130706433",
            "[::ffff:10.0.0.1]",
            "localhost",
            "LOCALHOST.",
            "a.localhost",
        ] {
            let refused = webhook(&format!("http://{host}:9/x")).check_written(true, &guard).unwrap_err();
            let said = refused.to_string();
            assert!(
                said.starts_with("url must lead to the public internet") && !said.contains("10.0"),
                "{said}"
            );
        }
        for host in ["1.1.1.1", "[2606:4700::1111]", "hooks.example", "localhost.example"] {
            webhook(&format!("https://{host}/x")).check_written(false, &guard).unwrap();
        }
    }

    #[test]
    fn what_the_operator_opened_may_be_named() {
        let guard = Guard::new(vec!["127.0.0.0/8".parse().unwrap()]);
        for host in ["127.0.0.1", "localhost"] {
            webhook(&format!("https://{host}/x")).check_written(false, &guard).unwrap();
        }
        assert!(webhook("https://10.0.0.1/").check_written(false, &guard).is_err());
    }

    #[test]
    fn a_title_is_one_line() {
        let broken = Destination { title: "Ops\nroot".into(), ..webhook("https://hooks.example/") };
        let refused = broken.check_written(false, &Guard::default()).unwrap_err();
        assert_eq!(refused.field, "title");
    }
}
