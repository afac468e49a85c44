//! Images: live state as one sequential file with the log position it is of. A start goes on from the newest one
//! that can be read; without any, everything is folded from stored events.
//!
//! ```text
//! image   magic [8] | version u32 | fold format u16 | incarnation u64 | position u64 | processed_us i64
//!         projects u32 x (number u32, id, identity graph, funnels u32 x (id, counted JSON,
//!         stale u64 x (person u64, position u64, processed_us i64)))
//!         blocks x (index u32, len u32, persons [len]) | END u32 | crc32c u32
//! ```
//! All little endian; the graph is as the engine encodes it; id and JSON are a u32 length and bytes; a block's index counts the funnels above. A newer
//! version is not read.

use footpath_engine::IdentityGraph;
use footpath_engine::image::FORMAT;
use footpath_model::control::CountedFunnel;

use crate::hub::Progress;
use crate::persons::decode;
use crate::project::ProjectLive;
use crate::{LiveError, funnel::LiveFunnel};

mod files;

pub use files::{ImageWriter, load_newest};

const MAGIC: &[u8; 8] = b"FPLIVE\0\0";
const VERSION: u32 = 3;
const HEAD: usize = 8 + 4 + 2 + 8 + 8 + 8;
const END: u32 = u32::MAX;

/// What can be said of an image before its persons follow.
pub struct Head<'a> {
    /// The log's incarnation.
    pub incarnation: u64,
    /// The position it is of.
    pub at: Progress,
    /// Every project's number and state.
    pub projects: Vec<(u32, &'a mut ProjectLive)>,
}

impl Head<'_> {
    /// Encodes it, and names the funnels whose persons are to follow, in the order of their index.
    pub fn encode(self) -> (Vec<u8>, Vec<(u32, String)>) {
        let mut out = Vec::new();
        out.extend_from_slice(MAGIC);
        out.extend_from_slice(&VERSION.to_le_bytes());
        out.extend_from_slice(&FORMAT.to_le_bytes());
        out.extend_from_slice(&self.incarnation.to_le_bytes());
        out.extend_from_slice(&self.at.position.to_le_bytes());
        out.extend_from_slice(&self.at.processed_us.to_le_bytes());
        put_len(&mut out, self.projects.len());
        let mut funnels = Vec::new();
        for (number, project) in self.projects {
            put_project(&mut out, number, project, &mut funnels);
        }
        (out, funnels)
    }
}

fn put_project(out: &mut Vec<u8>, number: u32, project: &mut ProjectLive, funnels: &mut Vec<(u32, String)>) {
    out.extend_from_slice(&number.to_le_bytes());
    put_bytes(out, project.id.as_bytes());
    project.identity.encode(out);
    put_len(out, project.funnels().count());
    for (id, funnel) in project.funnels() {
        put_bytes(out, id.as_bytes());
        put_bytes(out, &serde_json::to_vec(funnel.counted()).unwrap_or_default());
        out.extend_from_slice(&(funnel.stale().count() as u64).to_le_bytes());
        for (person, since) in funnel.stale() {
            out.extend_from_slice(&person.to_le_bytes());
            out.extend_from_slice(&since.position.to_le_bytes());
            out.extend_from_slice(&since.processed_us.to_le_bytes());
        }
        funnels.push((number, id.to_owned()));
    }
}

/// One funnel's persons as a block.
pub fn block(index: u32, persons: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(persons.len() + 8);
    out.extend_from_slice(&index.to_le_bytes());
    put_bytes(&mut out, persons);
    out
}

fn put_len(out: &mut Vec<u8>, len: usize) {
    out.extend_from_slice(&(len as u32).to_le_bytes());
}

fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_len(out, bytes.len());
    out.extend_from_slice(bytes);
}

/// A whole image, read back.
pub struct Image {
    /// The position it is of.
    pub at: Progress,
    /// Every project's number and state. Only funnels that are `wanted` are in it.
    pub projects: Vec<(u32, ProjectLive)>,
}

/// Which funnels an image is read for: (project, definition).
pub type Wanted<'a> = &'a dyn Fn(u32, &CountedFunnel) -> bool;

impl Image {
    /// Reads an image of the log of this `incarnation`.
    ///
    /// # Errors
    /// Why it cannot be used; then everything is folded from stored events.
    pub fn decode(
        bytes: &[u8],
        incarnation: u64,
        now_us: i64,
        wanted: Wanted<'_>,
    ) -> Result<Self, LiveError> {
        let (body, crc) = bytes.split_last_chunk().ok_or(LiveError::Image("too short"))?;
        if crc32c::crc32c(body) != u32::from_le_bytes(*crc) {
            return Err(LiveError::Image("the checksum does not fit"));
        }
        let mut reader = Reader(body);
        let at = head(&mut reader, incarnation)?;
        let damaged = LiveError::Image("the lengths do not fit");
        let (projects, slots) = reader.projects(now_us, wanted)?.ok_or(damaged)?;
        let mut image = Self { at, projects };
        image.persons(&mut reader, &slots).ok_or(LiveError::Image("the persons do not fit"))?;
        Ok(image)
    }

    fn persons(&mut self, reader: &mut Reader<'_>, slots: &[Option<(usize, String)>]) -> Option<()> {
        loop {
            let index = reader.u32()?;
            if index == END {
                return reader.0.is_empty().then_some(());
            }
            let persons = reader.bytes()?;
            let Some((project, id)) = slots.get(index as usize)? else { continue };
            let funnel = self.projects[*project].1.funnel(id)?;
            let rules = *funnel.rules();
            decode(&rules, persons, |person, fold| funnel.restore(person, fold))?;
        }
    }
}

fn head(reader: &mut Reader<'_>, incarnation: u64) -> Result<Progress, LiveError> {
    let short = || LiveError::Image("too short");
    let head = reader.take(HEAD).ok_or_else(short)?;
    let mut head = Reader(head);
    if head.take(MAGIC.len()) != Some(MAGIC) {
        return Err(LiveError::Image("it is not an image"));
    }
    let (version, format) = (head.u32().ok_or_else(short)?, head.array().ok_or_else(short)?);
    if version != VERSION || u16::from_le_bytes(format) != FORMAT {
        return Err(LiveError::Image("it is of another version"));
    }
    if head.u64().ok_or_else(short)? != incarnation {
        return Err(LiveError::Image("it is of another log"));
    }
    head.progress().ok_or_else(short)
}

/// Projects, and where the funnel of each index is; `None` for one that nobody wants.
type Projects = (Vec<(u32, ProjectLive)>, Vec<Option<(usize, String)>>);

/// A funnel's id, its definition as JSON, and its stale persons.
type FunnelHead<'a> = (&'a str, &'a [u8], Vec<(u64, Progress)>);

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(taken)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*taken)
    }

    fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }

    fn bytes(&mut self) -> Option<&'a [u8]> {
        let len = self.u32()?;
        self.take(len as usize)
    }

    fn text(&mut self) -> Option<&'a str> {
        std::str::from_utf8(self.bytes()?).ok()
    }

    fn projects(&mut self, now_us: i64, wanted: Wanted<'_>) -> Result<Option<Projects>, LiveError> {
        let (mut projects, mut slots) = (Vec::new(), Vec::new());
        let Some(count) = self.u32() else { return Ok(None) };
        for place in 0..count as usize {
            let Some((number, mut project)) = self.project() else { return Ok(None) };
            let Some(funnels) = self.u32() else { return Ok(None) };
            for _ in 0..funnels {
                let Some((id, json, stale)) = self.funnel() else { return Ok(None) };
                let counted = serde_json::from_slice(json).ok();
                let counted: Option<CountedFunnel> = counted.filter(|counted| wanted(number, counted));
                slots.push(counted.is_some().then(|| (place, id.to_owned())));
                if let Some(counted) = counted {
                    let mut funnel = LiveFunnel::new(counted, now_us)?;
                    stale.into_iter().for_each(|(person, since)| funnel.mark_stale(person, since));
                    project.put(id, funnel);
                }
            }
            projects.push((number, project));
        }
        Ok(Some((projects, slots)))
    }

    fn project(&mut self) -> Option<(u32, ProjectLive)> {
        let number = self.u32()?;
        let mut project = ProjectLive::new(self.text()?);
        project.identity = IdentityGraph::decode(&mut self.0).ok()?;
        Some((number, project))
    }

    fn funnel(&mut self) -> Option<FunnelHead<'a>> {
        let (id, json) = (self.text()?, self.bytes()?);
        let stale = (0..self.u64()?).map(|_| self.stale()).collect::<Option<Vec<_>>>()?;
        Some((id, json, stale))
    }

    fn stale(&mut self) -> Option<(u64, Progress)> {
        let person = self.u64()?;
        Some((person, self.progress()?))
    }

    fn progress(&mut self) -> Option<Progress> {
        let position = self.u64()?;
        Some(Progress { position, processed_us: self.u64()?.cast_signed() })
    }
}
