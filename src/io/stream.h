/* io/stream.h: a connected socket as a session sees it.
 *
 * Buffered input that is looked at in place, buffered output that is written when it is full, on
 * stream_flush(), or by itself before the session waits for input: so the replies to a batch of
 * pipelined commands leave in one write. TCP_NODELAY is set. Both buffers are bounded, are taken
 * from a free list of the thread while they hold something, and are given back when empty, so an
 * idle session holds none. Slices returned are valid until the next call that suspends or consumes.
 *
 * Suspends: connect, fill, read_line, skip_line, write and printf (when the output buffer is full),
 * flush, shutdown_write, and nothing else. The reading ones obey cancellation and the deadline also
 * when what they want is buffered; the writing ones only when they have to wait, so that a session
 * that was cancelled can still say goodbye. Nobody is served endlessly: one whose peer never makes
 * it wait yields now and then. Errors: ERR_CLOSED at end of file or reset, ERR_DEADLINE,
 * ERR_CANCELLED, ERR_TEMPORARY. TLS will be put between the buffers and the descriptor; nothing
 * here says "socket" to its users.
 */
#pragma once

#include "base/err.h"
#include "base/str.h"

#include "run/fiber.h"

enum {
    STREAM_IN_MAX = 65536, /* most octets buffered in, so also the longest line */
    STREAM_OUT_MAX = 65536,
    STREAM_LINGER_MAX = 1048576,
};

struct stream;
struct net_address;

/* Takes fd (non-blocking mode is set here); on failure fd is closed. */
int stream_open(struct stream **s, int fd, struct err *e);

/* A connection to `to`, from the address `from` (its port is not looked at; NULL: the system
 * chooses). Suspends until it stands; the fiber's deadline is how long it may take. ERR_TEMPORARY,
 * ERR_DEADLINE, ERR_CANCELLED. */
int stream_connect(
    struct stream **s, const struct net_address *to, const struct net_address *from, struct err *e);
void stream_close(struct stream **s); /* what was not flushed is dropped */

/* Ends the connection so that the last reply arrives. Closing a socket with unread input makes the
 * kernel send a reset, on which the peer may throw away what it has not read (RFC 2525 2.17). So:
 * what is buffered is written, the end of output is sent, and what still comes is dropped, until
 * the peer ends too, or linger_ms have passed, or STREAM_LINGER_MAX octets came, or the scope is
 * cancelled; then it is closed. Does not suspend and cannot fail: what has to wait does so in the
 * scope, which should be one that outlives the session, as a parked session does. */
void stream_finish(struct stream **s, struct scope *scope, uint64_t linger_ms);

/* Flushes, and tells the peer that nothing more will come; input goes on. */
int stream_shutdown_write(struct stream *s, struct err *e);

/* What has been read and not consumed; may be empty. Never suspends. */
struct str stream_input(const struct stream *s);
void stream_consume(struct stream *s, size_t n);

/* Has anything come that was not consumed, the end of the connection too? Never suspends. For a
 * client, to which nobody speaks unasked. */
bool stream_pending(const struct stream *s);

/* Forgets all input that is buffered and returns how much it was: after STARTTLS what came before
 * the handshake may have been put there by somebody else (RFC 3207 4.2). */
size_t stream_drop_input(struct stream *s);

/* Reads at least one octet more (flushing output first). ERR_PERMANENT if the buffer is full,
 * ERR_CLOSED at the end; what is buffered stays. */
int stream_fill(struct stream *s, struct err *e);

/* A line up to and with its CRLF, at most max octets long with it: line is without the CRLF and
 * already consumed. A CR or LF elsewhere is part of the line. Returns 1 and drops nothing if the
 * first max octets hold no CRLF; the caller may then stream_skip_line(). */
int stream_read_line(struct stream *s, size_t max, struct str *line, struct err *e);

/* Drops input up to and with the next CRLF; 1 if the next max octets hold none: they are dropped
 * (but for a CR at their end, which may be half of one). */
int stream_skip_line(struct stream *s, size_t max, struct err *e);

/* Is a whole line (CRLF within max octets, or max octets) buffered, so that read_line will not
 * suspend? */
bool stream_has_line(const struct stream *s, size_t max);

int stream_write(struct stream *s, struct str data, struct err *e);
int stream_printf(struct stream *s, struct err *e, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
int stream_flush(struct stream *s, struct err *e);

/* Nothing buffered in either direction: the session may park without a stack (run/fiber.h). */
bool stream_idle(const struct stream *s);
int stream_park(struct stream *s, struct scope *scope, uint64_t at, const char *name, fiber_fn *fn,
    void *arg, struct err *e);

uint64_t stream_octets_in(const struct stream *s);
uint64_t stream_octets_out(const struct stream *s);
int stream_fd(const struct stream *s);
