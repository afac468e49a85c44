// The one call of the library that bypasses UniFFI.
#pragma once

#include <stddef.h>
#include <stdint.h>

// Takes an event: the delivery class in one byte (1 critical, 2 normal, 3 lossy), then the event's frame.
// 0, or: -1 not valid, -2 too large, -3 the queue is full, -4 not wanted, -5 closed, -6 disabled. It never waits.
int64_t footpath_track(uint64_t handle, const uint8_t *_Nonnull bytes, size_t len);
