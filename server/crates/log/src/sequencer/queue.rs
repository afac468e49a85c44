//! Deficit round-robin over projects, bounded in bytes.

use super::{CommitError, Limits, Metrics};
use hashbrown::HashMap;
use std::collections::VecDeque;
use std::sync::atomic::Ordering;

/// Each submission costs at least this, so that empty ones are not free.
const MIN_COST: usize = 64;

pub(super) struct Item<T> {
    pub bytes: usize,
    pub content: T,
}

pub(super) struct Queue<T> {
    projects: HashMap<u32, Project<T>>,
    ring: VecDeque<u32>,
    /// Whether the first of the ring has had this round's quantum: a full group must not earn it another one.
    granted: bool,
    bytes: usize,
    depth: usize,
    stopped: bool,
}

struct Project<T> {
    items: VecDeque<Item<T>>,
    bytes: usize,
    deficit: usize,
}

impl<T> Default for Queue<T> {
    fn default() -> Self {
        Self {
            projects: HashMap::new(),
            ring: VecDeque::new(),
            granted: false,
            bytes: 0,
            depth: 0,
            stopped: false,
        }
    }
}

impl<T> Queue<T> {
    pub fn push(&mut self, project: u32, mut item: Item<T>, limits: &Limits) -> Result<(), CommitError> {
        if self.stopped {
            return Err(CommitError::Stopped);
        }
        item.bytes = item.bytes.max(MIN_COST);
        let own = self.projects.get(&project).map_or(0, |p| p.bytes);
        let too_much = self.bytes + item.bytes > limits.queue_bytes;
        if too_much || own + item.bytes > limits.project_queue_bytes {
            return Err(CommitError::Busy { retry_after: limits.retry_after });
        }
        self.bytes += item.bytes;
        self.depth += 1;
        let entry = self.projects.entry(project).or_insert_with(|| {
            self.ring.push_back(project);
            Project { items: VecDeque::new(), bytes: 0, deficit: 0 }
        });
        entry.bytes += item.bytes;
        entry.items.push_back(item);
        Ok(())
    }

    /// The next group: rounds over the projects until nothing waits or the group is full.
    pub fn take_group(&mut self, limits: &Limits) -> Vec<T> {
        let mut group = Vec::new();
        let mut room = limits.group_bytes.max(MIN_COST);
        while let Some(&id) = self.ring.front() {
            let Some(project) = self.projects.get_mut(&id) else {
                self.ring.pop_front();
                continue;
            };
            if !std::mem::replace(&mut self.granted, true) {
                project.deficit += limits.quantum_bytes.max(1);
            }
            while let Some(head) = project.items.front() {
                let fits = head.bytes <= room || group.is_empty();
                if !fits || group.len() >= limits.group_submissions.max(1) {
                    return group;
                }
                if head.bytes > project.deficit {
                    break;
                }
                let Some(item) = project.items.pop_front() else { break };
                project.deficit -= item.bytes;
                project.bytes -= item.bytes;
                self.bytes -= item.bytes;
                self.depth -= 1;
                room = room.saturating_sub(item.bytes);
                group.push(item.content);
            }
            self.ring.pop_front();
            self.granted = false;
            if project.items.is_empty() {
                self.projects.remove(&id);
            } else {
                self.ring.push_back(id);
            }
        }
        group
    }

    pub fn is_empty(&self) -> bool {
        self.depth == 0
    }

    pub fn bytes(&self) -> usize {
        self.bytes
    }

    pub fn stop(&mut self) {
        self.stopped = true;
    }

    pub fn stopped(&self) -> bool {
        self.stopped
    }

    pub fn clear(&mut self) {
        self.projects.clear();
        self.ring.clear();
        self.granted = false;
        (self.bytes, self.depth) = (0, 0);
    }

    pub fn report(&self, metrics: &Metrics) {
        metrics.queue_depth.store(self.depth as u64, Ordering::Relaxed);
        metrics.queue_bytes.store(self.bytes as u64, Ordering::Relaxed);
    }
}
