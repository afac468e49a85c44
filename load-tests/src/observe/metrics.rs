//! Reads the admin port's /metrics.

use std::collections::HashMap;

use anyhow::{Context as _, ensure};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// Numbers by name and labels, as they are written: `name` or `name{label="value"}`.
#[derive(Debug, Clone, Default)]
pub struct Metrics(HashMap<String, f64>);

impl Metrics {
    /// Takes every line that is a name and a number.
    pub fn parse(text: &str) -> Self {
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        let pairs = lines.filter_map(|line| {
            let (name, number) = line.rsplit_once(' ')?;
            Some((name.to_owned(), number.parse().ok()?))
        });
        Self(pairs.collect())
    }

    /// A number.
    ///
    /// # Errors
    /// When the server does not have it.
    pub fn get(&self, name: &str) -> anyhow::Result<f64> {
        self.0.get(name).copied().with_context(|| format!("/metrics has no {name}"))
    }

    /// The numbers of a metric with one label, by the label's value.
    pub fn by_label<'a>(&'a self, name: &'a str) -> impl Iterator<Item = (&'a str, f64)> {
        self.0.iter().filter_map(move |(full, number)| {
            let label = full.strip_prefix(name)?.strip_prefix('{')?.strip_suffix("\"}")?;
            Some((label.split_once("=\"")?.1, *number))
        })
    }
}

/// Fetches /metrics from `address` (host and port).
///
/// # Errors
/// When nothing answers there, or not with 200.
pub async fn scrape(address: &str) -> anyhow::Result<Metrics> {
    let mut stream = TcpStream::connect(address).await?;
    // HTTP/1.0: the answer comes whole and the connection ends.
    let request = format!("GET /metrics HTTP/1.0\r\nhost: {address}\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    let (head, body) = answer.split_once("\r\n\r\n").context("not an HTTP answer")?;
    ensure!(head.split(' ').nth(1) == Some("200"), "answered {}", head.lines().next().unwrap_or_default());
    Ok(Metrics::parse(body))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_found_by_name_and_label() {
        let text = "# TYPE a gauge\na 2.5\nlag{consumer=\"live\"} 7.0\nlag{consumer=\"chunks\"} 9\nlagging{consumer=\"x\"} 1\n# EOF\n";
        let metrics = Metrics::parse(text);
        assert_eq!(metrics.get("a").ok(), Some(2.5));
        let mut lags: Vec<_> = metrics.by_label("lag").collect();
        lags.sort_by_key(|(name, _)| *name);
        assert_eq!(lags, [("chunks", 9.0), ("live", 7.0)]);
        assert!(metrics.get("b").unwrap_err().to_string().contains("no b"));
    }
}
