/* core/trace/event.h: an event as it is stored.
 *
 * Kind u8, a set of the fields that follow u32, time u64, id u64, then these fields in the order of
 * the set: integers little-endian, slices as u16 length and octets. What is zero is left out. A
 * later version may add fields at the end, which an earlier one hops over.
 */
#pragma once

#include "base/buf.h"

#include "core/trace/trace.h"

enum {
    EVENT_MAX = 12 * 1024, /* octets of one */
    EVENT_LEAST = 21,
};

/* Longer text is cut at TRACE_TEXT_MAX and TRACE_ADDRESS_MAX, never within a UTF-8 sequence.
 * -1 where out is full, which is then as before. */
int event_encode(const struct trace_event *ev, int64_t now_ms, struct buf *out);

/* Slices point into octets. False where they are no event. */
bool event_decode(struct str octets, struct trace_event *ev);

/* Does it concern that address, as sender or recipient? */
bool event_names(const struct trace_event *ev, struct str address);
