//! The allocator. mimalloc made a prototype 22 % faster than the C library's.

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// `mi_option_purge_delay` of mimalloc 2 and 3; the binding has no name for it.
const PURGE_DELAY: libmimalloc_sys::mi_option_t = 15;
/// Milliseconds that freed memory is kept before the system gets it back. Batches and columns come round again within
/// seconds; with mimalloc's own second the system cleared pages for 4 % of a busy server's time.
const KEPT_MS: std::ffi::c_long = 10_000;

/// Makes freed memory stay a while, unless `MIMALLOC_PURGE_DELAY` says otherwise. To be called before any thread is started.
pub fn keep_freed_memory() {
    // SAFETY: the call stores a number in a table; it is not safe only beside other threads that read it, and there are none.
    unsafe { libmimalloc_sys::mi_option_set_default(PURGE_DELAY, KEPT_MS) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_options_number_is_the_purge_delays() {
        // SAFETY: reads a number.
        let before = unsafe { libmimalloc_sys::mi_option_get(PURGE_DELAY) };
        assert!(
            matches!(before, 1_000 | KEPT_MS),
            "{before} ms is mimalloc's default no more: has the option moved?"
        );
        keep_freed_memory();
        // SAFETY: reads a number.
        assert_eq!(unsafe { libmimalloc_sys::mi_option_get(PURGE_DELAY) }, KEPT_MS);
    }
}
