//! What the files say together, and where each of it stands.

use std::fmt::Display;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use footpath_proto::v1;

use crate::tools::definitions::{AlertRule, File, Funnel, Kind, Metric, Place, Segment, places};
use crate::tools::remote::{explain, in_commands};

/// A definition, and where it stands.
pub struct Placed<K> {
    /// The definition.
    pub definition: K,
    /// Where.
    pub place: Place,
}

/// What all files say.
#[derive(Default)]
pub struct Wanted {
    /// The segments.
    pub segments: Vec<Placed<Segment>>,
    /// The funnels.
    pub funnels: Vec<Placed<Funnel>>,
    /// The metrics.
    pub metrics: Vec<Placed<Metric>>,
    /// The alert rules.
    pub alert_rules: Vec<Placed<AlertRule>>,
}

/// Mistakes in what definitions mean, in the order in which they were found; each is a line.
type Mistakes = Vec<String>;

impl Wanted {
    /// Reads files, and checks what can be checked without a server.
    ///
    /// # Errors
    /// With the first mistake in how a file is written, or with all in what the files mean.
    pub fn read(files: &[PathBuf]) -> anyhow::Result<Self> {
        let (mut all, mut mistakes) = (Self::default(), Mistakes::new());
        for file in files {
            all.add(&name(file), &text(file)?, &mut mistakes)?;
        }
        refuse(&mistakes)?;
        Ok(all)
    }

    fn add(&mut self, file: &str, text: &str, mistakes: &mut Mistakes) -> anyhow::Result<()> {
        let one = File::parse(text).with_context(|| file.to_owned())?;
        let of = |key| places(file, text, key);
        add(&mut self.segments, one.segments, of("segment"), mistakes);
        add(&mut self.funnels, one.funnels, of("funnel"), mistakes);
        add(&mut self.metrics, one.metrics, of("metric"), mistakes);
        add(&mut self.alert_rules, one.alert_rules, of("alert_rule"), mistakes);
        Ok(())
    }

    /// As the server checks it.
    ///
    /// # Errors
    /// None that reading has not told.
    pub fn request(&self, project: &str, prune: bool) -> anyhow::Result<v1::CheckDefinitionsRequest> {
        Ok(v1::CheckDefinitionsRequest {
            project: project.to_owned(),
            segments: messages(&self.segments)?,
            funnels: messages(&self.funnels)?,
            metrics: messages(&self.metrics)?,
            alert_rules: messages(&self.alert_rules)?,
            prune,
        })
    }

    /// Refuses what the server would refuse.
    ///
    /// # Errors
    /// With all that it found, each where it stands.
    pub fn refuse(&self, problems: &[v1::DefinitionProblem]) -> anyhow::Result<()> {
        refuse(&problems.iter().map(|problem| self.mistake(problem)).collect::<Vec<_>>())
    }

    fn mistake(&self, problem: &v1::DefinitionProblem) -> String {
        let v1::DefinitionProblem { kind, definition_id: id, message, .. } = problem;
        let place = match kind.as_str() {
            Segment::NAME => place(&self.segments, id),
            Funnel::NAME => place(&self.funnels, id),
            Metric::NAME => place(&self.metrics, id),
            _ => place(&self.alert_rules, id),
        };
        // What no file names is there to be deleted.
        let place = place.map_or_else(|| "--prune".to_owned(), ToString::to_string);
        mistake(place, kind, id, &in_commands(message))
    }
}

/// Adds a file's definitions of a kind to those of the files before it.
fn add<K: Kind>(all: &mut Vec<Placed<K>>, more: Vec<K>, places: Vec<Place>, mistakes: &mut Mistakes) {
    for (definition, place) in more.into_iter().zip(places) {
        let wrong = match all.iter().find(|known| known.definition.id() == definition.id()) {
            Some(known) => Err(anyhow::anyhow!("is defined twice, first at {}", known.place)),
            None => check(&definition),
        };
        if let Err(error) = wrong {
            mistakes.push(mistake(&place, K::NAME, definition.id(), &format!("{error:#}")));
        }
        all.push(Placed { definition, place });
    }
}

/// What can be checked of one definition alone.
fn check<K: Kind>(definition: &K) -> anyhow::Result<()> {
    K::meaning(&definition.message()?, "UTC").map_err(|status| explain(&status))?;
    Ok(())
}

fn mistake(place: impl Display, kind: &str, id: &str, what: &str) -> String {
    format!("{place}: {kind} {id:?}: {what}")
}

fn refuse(mistakes: &[String]) -> anyhow::Result<()> {
    if mistakes.is_empty() {
        return Ok(());
    }
    bail!("this is refused, and nothing was changed:\n{}", mistakes.join("\n"))
}

fn messages<K: Kind>(all: &[Placed<K>]) -> anyhow::Result<Vec<K::Message>> {
    all.iter().map(|one| one.definition.message()).collect()
}

fn place<'a, K: Kind>(all: &'a [Placed<K>], id: &str) -> Option<&'a Place> {
    all.iter().find(|one| one.definition.id() == id).map(|one| &one.place)
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
