//! Images: live state as one sequential file with the log position it is of. A start goes on from the newest one
//! that can be read; without any, everything is folded from stored events.
//!
//! ```text
//! image   magic [8] | version u32 | fold format u16 | incarnation u64 | position u64 | processed_us i64
//!         projects u32 x (number u32, id, identity graph, properties, stale persons, stale groups,
//!         views u32 x (counted JSON, values u32 x text, stale units))
//!         blocks x (index u32, len u32, units [len]) | END u32 | crc32c u32
//! stale   u64 x (unit u64, position u64, processed_us i64)
//! ```
//! All little endian; the graph and the properties are as the engine encodes them; texts and JSON are a u32 length and bytes; a block's index counts the views above. A newer
//! version is not read.

use footpath_engine::IdentityGraph;
use footpath_engine::image::FORMAT;

use crate::LiveError;
use crate::book::Book;
use crate::hub::Progress;
use crate::project::ProjectLive;
use crate::view::{Counted, TREMBLE_US, View, ViewKey};

mod files;

pub use files::{ImageWriter, load_newest};

const MAGIC: &[u8; 8] = b"FPLIVE\0\0";
const VERSION: u32 = 7;
const HEAD: usize = 8 + 4 + 2 + 8 + 8 + 8 + 8;
const END: u32 = u32::MAX;

/// What can be said of an image before its persons follow.
pub struct Head<'a> {
    /// The log's incarnation.
    pub incarnation: u64,
    /// The position it is of.
    pub at: Progress,
    /// What time it was, microseconds since 1970.
    pub now_us: i64,
    /// Every project's number and state.
    pub projects: Vec<(u32, &'a mut ProjectLive)>,
}

impl Head<'_> {
    /// Encodes it, and names the views whose units are to follow, in the order of their index.
    pub fn encode(self) -> (Vec<u8>, Vec<(u32, ViewKey)>) {
        let mut out = Vec::new();
        out.extend_from_slice(MAGIC);
        out.extend_from_slice(&VERSION.to_le_bytes());
        out.extend_from_slice(&FORMAT.to_le_bytes());
        out.extend_from_slice(&self.incarnation.to_le_bytes());
        out.extend_from_slice(&self.at.position.to_le_bytes());
        out.extend_from_slice(&self.at.processed_us.to_le_bytes());
        out.extend_from_slice(&self.now_us.to_le_bytes());
        put_len(&mut out, self.projects.len());
        let mut views = Vec::new();
        for (number, project) in self.projects {
            put_project(&mut out, number, project, &mut views);
        }
        (out, views)
    }
}

fn put_project(out: &mut Vec<u8>, number: u32, project: &mut ProjectLive, views: &mut Vec<(u32, ViewKey)>) {
    out.extend_from_slice(&number.to_le_bytes());
    put_bytes(out, project.id.as_bytes());
    project.identity.encode(out);
    project.book.encode(out);
    project.book.all_stale().iter().for_each(|stale| put_stale(out, stale));
    put_len(out, project.views().count());
    for (key, view) in project.views() {
        put_bytes(out, &serde_json::to_vec(&view.counted()).unwrap_or_default());
        let values = view.values();
        put_len(out, values.len());
        values.iter().for_each(|text| put_bytes(out, text.as_bytes()));
        put_stale(out, &view.stale());
        views.push((number, key.clone()));
    }
}

fn put_stale(out: &mut Vec<u8>, stale: &[(u64, Progress)]) {
    out.extend_from_slice(&(stale.len() as u64).to_le_bytes());
    for (unit, since) in stale {
        out.extend_from_slice(&unit.to_le_bytes());
        out.extend_from_slice(&since.position.to_le_bytes());
        out.extend_from_slice(&since.processed_us.to_le_bytes());
    }
}

/// Some units of one view as a block.
pub fn block(index: u32, units: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(units.len() + 8);
    out.extend_from_slice(&index.to_le_bytes());
    put_bytes(&mut out, units);
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
    /// Every project's number and state. Only views that are `wanted` are in it.
    pub projects: Vec<(u32, ProjectLive)>,
}

/// Which views an image is read for: (project, definition).
pub type Wanted<'a> = &'a dyn Fn(u32, &Counted) -> bool;

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
        let at = head(&mut reader, incarnation, now_us)?;
        let damaged = LiveError::Image("the lengths do not fit");
        let (projects, slots) = reader.projects(now_us, wanted)?.ok_or(damaged)?;
        let mut image = Self { at, projects };
        image.units(&mut reader, &slots).ok_or(LiveError::Image("the units do not fit"))?;
        Ok(image)
    }

    fn units(&mut self, reader: &mut Reader<'_>, slots: &[Option<(usize, ViewKey)>]) -> Option<()> {
        loop {
            let index = reader.u32()?;
            if index == END {
                return reader.0.is_empty().then_some(());
            }
            let units = reader.bytes()?;
            let Some((project, key)) = slots.get(index as usize)? else { continue };
            self.projects[*project].1.view(key)?.restore(units)?;
        }
    }
}

fn head(reader: &mut Reader<'_>, incarnation: u64, now_us: i64) -> Result<Progress, LiveError> {
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
    let at = head.progress().ok_or_else(short)?;
    let taken_us = head.u64().ok_or_else(short)?.cast_signed();
    // Who left a range by a clock that was ahead is not in it.
    if taken_us.saturating_sub(now_us) > TREMBLE_US {
        return Err(LiveError::Image("it was taken while the clock was ahead"));
    }
    Ok(at)
}

/// Projects, and where the view of each index is; `None` for one that nobody wants.
type Projects = (Vec<(u32, ProjectLive)>, Vec<Option<(usize, ViewKey)>>);

/// A view's definition as JSON, its values, and its stale units.
struct ViewHead<'a> {
    json: &'a [u8],
    values: Vec<String>,
    stale: Vec<(u64, Progress)>,
}

impl ViewHead<'_> {
    /// The view, if somebody wants it.
    fn view(
        self,
        number: u32,
        project: &str,
        now_us: i64,
        wanted: Wanted<'_>,
    ) -> Result<Option<Box<dyn View>>, LiveError> {
        let counted: Option<Counted> = serde_json::from_slice(self.json).ok();
        let Some(counted) = counted.filter(|counted| wanted(number, counted)) else { return Ok(None) };
        let mut view = counted.view(project, now_us)?;
        view.restore_values(self.values);
        self.stale.into_iter().for_each(|(unit, since)| view.mark_stale(unit, since));
        Ok(Some(view))
    }
}

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
            let Some(views) = self.u32() else { return Ok(None) };
            for _ in 0..views {
                let Some(head) = self.view() else { return Ok(None) };
                let view = head.view(number, &project.id, now_us, wanted)?;
                slots.push(view.as_ref().map(|view| (place, view.counted().key())));
                view.into_iter().for_each(|view| project.put(view));
            }
            project.tidy();
            projects.push((number, project));
        }
        Ok(Some((projects, slots)))
    }

    fn project(&mut self) -> Option<(u32, ProjectLive)> {
        let number = self.u32()?;
        let mut project = ProjectLive::new(self.text()?);
        project.identity = IdentityGraph::decode(&mut self.0).ok()?;
        project.book = Book::decode(&project.id, &mut self.0).ok()?;
        project.book.restore_stale([self.all_stale()?, self.all_stale()?]);
        Some((number, project))
    }

    fn view(&mut self) -> Option<ViewHead<'a>> {
        let json = self.bytes()?;
        let values = (0..self.u32()?).map(|_| self.text().map(str::to_owned)).collect::<Option<Vec<_>>>()?;
        Some(ViewHead { json, values, stale: self.all_stale()? })
    }

    fn all_stale(&mut self) -> Option<Vec<(u64, Progress)>> {
        (0..self.u64()?).map(|_| self.stale()).collect()
    }

    fn stale(&mut self) -> Option<(u64, Progress)> {
        let unit = self.u64()?;
        Some((unit, self.progress()?))
    }

    fn progress(&mut self) -> Option<Progress> {
        let position = self.u64()?;
        Some(Progress { position, processed_us: self.u64()?.cast_signed() })
    }
}
