//! When images are taken, and how: in slices between two readings of the log.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use footpath_log::disk::Disk;
use hashbrown::HashMap;

use crate::hub::Progress;
use crate::image::{Head, ImageWriter, block};
use crate::project::ProjectLive;
use crate::view::ViewKey;

/// Units copied between two readings of the log: about 0.2 ms.
const SLICE: usize = 2_000;
/// Bytes of log after which an image is taken early, so that a restart never has more to replay.
const MOST_LOG_BYTES: u64 = 4 << 30;

/// Where images lie, and how often one is taken.
#[derive(Clone)]
pub struct ImageOptions {
    /// The folder.
    pub disk: Arc<dyn Disk>,
    /// The log's incarnation; an image of another log is not read.
    pub incarnation: u64,
    /// Time between two images.
    pub every: Duration,
    /// Told the position of the newest image on disk: the log is needed from there on.
    pub durable: Arc<AtomicU64>,
}

/// Takes images of the worker's state.
pub struct Imager {
    writer: ImageWriter,
    incarnation: u64,
    every_us: i64,
    last_us: i64,
    last_position: u64,
    bytes: u64,
    /// The views whose units are still to be copied, with their index.
    todo: VecDeque<(u32, (u32, ViewKey))>,
    copying: bool,
}

type Projects = HashMap<u32, ProjectLive>;

impl Imager {
    /// Starts the thread that writes.
    ///
    /// # Errors
    /// If it cannot be started.
    pub fn start(options: &ImageOptions, now_us: i64) -> std::io::Result<Self> {
        Ok(Self {
            writer: ImageWriter::start(Arc::clone(&options.disk), Arc::clone(&options.durable))?,
            incarnation: options.incarnation,
            every_us: options.every.as_micros() as i64,
            last_us: now_us,
            last_position: options.durable.load(std::sync::atomic::Ordering::Acquire),
            bytes: 0,
            todo: VecDeque::new(),
            copying: false,
        })
    }

    /// Goes on with an image, or begins one if it is time. `bytes` of log were read since the last call.
    pub fn step(&mut self, projects: &mut Projects, at: Progress, now_us: i64, bytes: u64) {
        self.bytes += bytes;
        if self.copying {
            if self.writer.is_ready() {
                self.copy(projects); // Else the disk is slower than we are.
            }
            return;
        }
        let due = now_us - self.last_us >= self.every_us || self.bytes >= MOST_LOG_BYTES;
        if due && at.position > self.last_position {
            self.begin(projects, at, now_us);
        }
    }

    /// Takes an image at once, for a stop that is not in a hurry.
    pub fn finish(mut self, projects: &mut Projects, at: Progress, now_us: i64) {
        if at.position > self.last_position {
            self.begin(projects, at, now_us);
        }
        while self.copying {
            self.copy(projects);
        }
    }

    /// Gives up the image that is being taken: its views are no longer those it began with.
    pub fn abort(&mut self, projects: &mut Projects) {
        if std::mem::take(&mut self.copying) {
            self.writer.abort();
            self.todo.clear();
            projects.values_mut().flat_map(ProjectLive::views).for_each(|(_, view)| view.end_copy());
            (self.last_us, self.last_position) = (0, 0); // The next step begins anew.
        }
    }

    fn begin(&mut self, projects: &mut Projects, at: Progress, now_us: i64) {
        (self.last_us, self.last_position, self.bytes) = (now_us, at.position, 0);
        projects.values_mut().flat_map(ProjectLive::views).for_each(|(_, view)| view.begin_copy());
        let of_project = projects.iter_mut().map(|(number, project)| (*number, project));
        let head = Head { incarnation: self.incarnation, at, now_us, projects: of_project.collect() };
        let (bytes, views) = head.encode();
        self.writer.begin(at.position, bytes);
        self.todo = (0..).zip(views).collect();
        self.copying = true;
    }

    fn copy(&mut self, projects: &mut Projects) {
        let Some((index, (number, key))) = self.todo.front() else {
            self.writer.end();
            self.copying = false;
            return;
        };
        let view = projects.get_mut(number).and_then(|project| project.view(key));
        let mut units = Vec::new();
        let more = view.is_some_and(|view| view.copy_slice(SLICE, &mut units));
        if u32::try_from(units.len()).is_err() {
            return self.abort(projects); // So many changed while the disk stood still that no block holds them.
        }
        if !units.is_empty() {
            self.writer.add(block(*index, &units));
        }
        if !more {
            self.todo.pop_front();
        }
    }
}
