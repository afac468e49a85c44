//! What files say together, where each of it stands, and all mistakes in it.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow, bail};
use footpath_proto::v1;
use toml::de::DeTable;

use super::found::{Found, misread};
use super::place::{Mistake, Source};
use super::{AlertRule, Funnel, Kind as _, Metric, Segment};

/// What all files say.
#[derive(Default)]
pub struct Wanted {
    /// The segments.
    pub segments: Found<Segment>,
    /// The funnels.
    pub funnels: Found<Funnel>,
    /// The metrics.
    pub metrics: Found<Metric>,
    /// The alert rules.
    pub alert_rules: Found<AlertRule>,
    mistakes: Vec<Mistake>,
    /// Files that are no TOML: what they define is not known.
    unread: Vec<String>,
}

impl Wanted {
    /// Reads files, and checks what can be checked without a server.
    ///
    /// # Errors
    /// If a file cannot be read; mistakes in what it says are kept.
    pub fn read(files: &[PathBuf]) -> anyhow::Result<Self> {
        let mut all = Self::default();
        for file in files {
            all.add(Source { file: &name(file), text: &text(file)? });
        }
        Ok(all)
    }

    /// Adds what a file says.
    pub fn add(&mut self, source: Source<'_>) {
        let table = match DeTable::parse(source.text) {
            Ok(table) => table.into_inner(),
            Err(error) => {
                self.unread.push(source.file.to_owned());
                return self.mistakes.push(misread(source, 0, &error));
            }
        };
        for (key, value) in table {
            let mistakes = &mut self.mistakes;
            match key.get_ref().as_ref() {
                Segment::NAME => self.segments.add(source, value, mistakes),
                Funnel::NAME => self.funnels.add(source, value, mistakes),
                Metric::NAME => self.metrics.add(source, value, mistakes),
                AlertRule::NAME => self.alert_rules.add(source, value, mistakes),
                unknown => {
                    let what = format!(
                        "there is nothing like {unknown:?}; write segment, funnel, metric, alert_rule"
                    );
                    mistakes.push(Mistake { place: Some(source.column(key.span().start)), what });
                }
            }
        }
    }

    /// As the server checks it. What has a mistake of its own is sent as a name only: the server refuses that, and knows then that what uses
    /// it cannot be judged.
    pub fn request(&self, project: &str, prune: bool) -> v1::CheckDefinitionsRequest {
        v1::CheckDefinitionsRequest {
            project: project.to_owned(),
            segments: self.segments.messages(),
            funnels: self.funnels.messages(),
            metrics: self.metrics.messages(),
            alert_rules: self.alert_rules.messages(),
            prune,
        }
    }

    /// Refuses what has mistakes, or what the server would refuse.
    ///
    /// # Errors
    /// With all mistakes.
    pub fn refuse(&self, problems: &[v1::DefinitionProblem]) -> anyhow::Result<()> {
        match self.mistakes(problems) {
            Some(mistakes) => bail!("this is refused, and nothing was changed:\n{mistakes}"),
            None => Ok(()),
        }
    }

    /// What is said where the server could not be asked: the mistakes that were found without it, if there are some.
    pub fn unchecked(&self, why: anyhow::Error) -> anyhow::Error {
        match self.refuse(&[]) {
            Ok(()) => why,
            Err(mistakes) => anyhow!("{mistakes}\nwhat they name was not looked at: {why:#}"),
        }
    }

    /// All mistakes, those that the server found too, by the files' lines; nothing if there are none.
    pub fn mistakes(&self, problems: &[v1::DefinitionProblem]) -> Option<String> {
        let found: Vec<_> = problems.iter().filter_map(|problem| self.mistake(problem)).collect();
        let mut mistakes = [&self.mistakes[..], &found].concat();
        mistakes.sort_by(|a, b| (a.place.is_none(), &a.place).cmp(&(b.place.is_none(), &b.place)));
        let mut lines: Vec<_> = mistakes.iter().map(ToString::to_string).collect();
        if !found.is_empty() {
            let unknown = |file| format!("what {file} defines is not known, and may be what is missing");
            lines.extend(self.unread.iter().map(unknown));
        }
        (!lines.is_empty()).then(|| lines.join("\n"))
    }

    /// A mistake that the server found; none of what has one of its own, and was a name only.
    fn mistake(&self, problem: &v1::DefinitionProblem) -> Option<Mistake> {
        match problem.kind.as_str() {
            Segment::NAME => self.segments.mistake(problem),
            Funnel::NAME => self.funnels.mistake(problem),
            Metric::NAME => self.metrics.mistake(problem),
            _ => self.alert_rules.mistake(problem),
        }
    }
}

fn name(file: &Path) -> String {
    if file.as_os_str() == "-" { "standard input".into() } else { file.display().to_string() }
}

fn text(file: &Path) -> anyhow::Result<String> {
    if file.as_os_str() != "-" {
        return std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()));
    }
    let mut text = String::new();
    std::io::stdin().read_to_string(&mut text).context("cannot read standard input")?;
    Ok(text)
}

#[cfg(test)]
mod tests;
