/* io/stream_int.h: a stream's state, and the way between its buffers and the descriptor. */
#pragma once

#include <sys/uio.h>

#include "io/chunk.h"
#include "io/stream.h"

struct stream {
    struct watch *watch;
    struct chunk in, out;
    size_t scanned; /* octets at the front of `in` that begin no CRLF */
    uint64_t octets_in, octets_out;
    unsigned unpaused; /* calls of the system since the fiber last let others run */
    bool drained;      /* the last read was short: the next would find nothing */
    bool ended;        /* end of file or an error was read */
    struct {
        struct scope *scope;
        uint64_t until, octets;
    } linger; /* after stream_finish() */
};

/* One read of at most n octets: the count, or 0 if there is nothing now, or -1. */
ssize_t transport_read(struct stream *s, char *p, size_t n, struct err *e);

/* One write of the slices: the count, or 0 if nothing can be written now, or -1. */
ssize_t transport_write(struct stream *s, const struct iovec *v, int count, struct err *e);
