//! The one call that bypasses UniFFI.

use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use footpath_client::{Class, Client, TrackError, fork};

/// Clients by handle: the low half is a place, the high half says how often it was used before.
static SLOTS: RwLock<Slots> = RwLock::new(Vec::new());

type Slots = Vec<Slot>;

thread_local! {
    /// Held while the process forks, so that the child does not inherit a lock of a thread it does not have.
    static FORKING: RefCell<Option<(fork::Still, RwLockWriteGuard<'static, Slots>)>> = const { RefCell::new(None) };
}

struct Slot {
    uses: u32,
    client: Option<Client>,
}

fn read() -> RwLockReadGuard<'static, Slots> {
    SLOTS.read().unwrap_or_else(PoisonError::into_inner)
}

fn write() -> RwLockWriteGuard<'static, Slots> {
    SLOTS.write().unwrap_or_else(PoisonError::into_inner)
}

/// Registers a client; its handle.
pub(crate) fn add(client: Client) -> u64 {
    let mut slots = write();
    let free = slots.iter().position(|slot| slot.client.is_none());
    let place = free.unwrap_or_else(|| {
        slots.push(Slot { uses: 0, client: None });
        slots.len() - 1
    });
    let slot = &mut slots[place];
    slot.uses = slot.uses.wrapping_add(1).max(1);
    slot.client = Some(client);
    u64::from(slot.uses) << 32 | place as u64
}

/// Forgets a client. The caller drops it, outside the lock.
pub(crate) fn remove(handle: u64) -> Option<Client> {
    let mut slots = write();
    let slot = slots.get_mut((handle & 0xffff_ffff) as usize)?;
    (slot.uses == (handle >> 32) as u32).then(|| slot.client.take()).flatten()
}

/// What a call answers: 0, or one of these.
pub(crate) mod code {
    pub(crate) const INVALID: i64 = -1;
    pub(crate) const TOO_LARGE: i64 = -2;
    pub(crate) const QUEUE_FULL: i64 = -3;
    pub(crate) const NOT_WANTED: i64 = -4;
    pub(crate) const CLOSED: i64 = -5;
    pub(crate) const DISABLED: i64 = -6;
}

/// Takes an event. `bytes` is the delivery class (1 critical, 2 normal, 3 lossy) in one byte, then the event's frame.
///
/// Answers 0, or why not: -1 not valid, -2 too large, -3 the queue is full, -4 not wanted, -5 closed (or no such handle),
/// -6 disabled. It never waits for a disk or a socket, and never unwinds into its caller.
///
/// # Safety
/// `ptr` must point to `len` readable bytes that do not change during the call; `len` may be 0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn footpath_track(handle: u64, ptr: *const u8, len: usize) -> i64 {
    if ptr.is_null() || len == 0 {
        return code::INVALID;
    }
    // SAFETY: the caller's promise.
    let bytes = unsafe { std::slice::from_raw_parts(ptr, len) };
    catch_unwind(AssertUnwindSafe(|| track(handle, bytes))).unwrap_or(code::DISABLED)
}

fn track(handle: u64, bytes: &[u8]) -> i64 {
    let Some((class, frame)) = bytes.split_first() else { return code::INVALID };
    let class = match class {
        1 => Class::Critical,
        2 => Class::Normal,
        3 => Class::Lossy,
        _ => return code::INVALID,
    };
    let slots = read();
    let slot = slots.get((handle & 0xffff_ffff) as usize).filter(|slot| slot.uses == (handle >> 32) as u32);
    let Some(client) = slot.and_then(|slot| slot.client.as_ref()) else { return code::CLOSED };
    match client.track_frame(frame, class) {
        Ok(_) => 0,
        Err(TrackError::Invalid(_)) => code::INVALID,
        Err(TrackError::TooLarge { .. }) => code::TOO_LARGE,
        Err(TrackError::QueueFull) => code::QUEUE_FULL,
        Err(TrackError::NotWanted(_)) => code::NOT_WANTED,
        Err(TrackError::Closed) => code::CLOSED,
        Err(TrackError::Disabled) => code::DISABLED,
    }
}

/// To be called right before the process forks, by the thread that does.
#[unsafe(no_mangle)]
pub extern "C" fn footpath_before_fork() {
    FORKING.with_borrow_mut(|held| *held = Some((fork::before(), write())));
}

/// To be called right after, in both processes. In the child (`child` not 0) all handles are closed: the threads behind them
/// exist in the parent only. The host makes new clients there, and must not drop the old ones.
#[unsafe(no_mangle)]
pub extern "C" fn footpath_after_fork(child: i32) {
    FORKING.with_borrow_mut(|held| {
        let Some((still, mut slots)) = held.take() else { return };
        if child != 0 {
            for slot in slots.iter_mut() {
                std::mem::forget(slot.client.take());
            }
        }
        fork::after(still, child != 0);
    });
}
