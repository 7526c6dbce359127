/* A whole session. The input is what a client sends; an octet 1 lets the server answer first.
 *
 * Property G5: a reader that knows nothing but line ends, BDAT's numbers and CRLF . CRLF walks
 * through the input with the replies in hand. There is exactly one reply for each command, in
 * order, none for octets of content, and core was given exactly the contents that got a 250. */
#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/check.h"
#include "base/mem.h"

#include "inbound/smtp/rig.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum {
    INPUT_MAX = 16384,
    REPLIES_MAX = 512,
    QUIET_TURNS = 10,
    LINE_MAX_OCTETS = 2048,
    SKIP_MAX = 65536,
};

struct reply {
    unsigned code;
    bool queued;
};

struct run {
    struct str input;
    struct buf sent, heard, chunks, content;
    struct reply reply[REPLIES_MAX];
    unsigned replies;
    bool closed; /* by the server */
    int fd;
};

static struct rig rig;
static struct run now;

/* ---- the client */

static void hear(void)
{
    unsigned quiet = 0;

    while (quiet < QUIET_TURNS && !now.closed) {
        char *room = buf_reserve(&now.heard, 4096);
        ssize_t got;
        CHECK(room);
        CHECK(fiber_yield(NULL) == 0);
        got = recv(now.fd, room, 4096, MSG_DONTWAIT);
        quiet = got > 0 ? 0 : quiet + 1;
        if (got > 0)
            buf_advance(&now.heard, (size_t)got);
        else if (got == 0 || (errno != EAGAIN && errno != EINTR))
            now.closed = true;
    }
}

static void speak(struct str octets)
{
    while (!str_empty(octets) && !now.closed) {
        ssize_t done = send(now.fd, octets.p, octets.n, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (done > 0) {
            buf_put(&now.sent, str_head(octets, (size_t)done));
            octets = str_from(octets, (size_t)done);
        }
        if (!str_empty(octets))
            hear();
    }
    hear();
}

static void take_replies(void)
{
    struct str rest = buf_str(&now.heard), line;

    while (!str_empty(rest)) {
        ptrdiff_t end = str_find_str(rest, STR("\r\n"));
        uint64_t code;
        CHECK(end >= 3);
        line = str_head(rest, (size_t)end);
        rest = str_from(rest, (size_t)end + 2);
        CHECK(line.n <= 510 && str_to_u64(str_head(line, 3), 599, &code) && code >= 200);
        for (size_t i = 0; i < line.n; i++)
            CHECK(line.p[i] >= 32 && line.p[i] < 127);
        if (line.n > 3 && line.p[3] == '-')
            continue;
        CHECK(now.replies < REPLIES_MAX);
        now.reply[now.replies++] =
            (struct reply){(unsigned)code, str_starts(line, STR("250 2.0.0 queued as "))};
    }
}

/* ---- the reader */

static void expect_message(struct str content)
{
    struct stub_message *m = stub_core_take(&rig.core);

    CHECK(m && str_eq(buf_str(&m->content), content));
    stub_message_free(m);
}

/* Content of DATA up to its end: unstuffed. */
static void unstuff(struct str content)
{
    buf_clear(&now.content);
    while (!str_empty(content)) {
        ptrdiff_t end = str_find_str(content, STR("\r\n"));
        struct str line;
        CHECK(end >= 0);
        line = str_head(content, (size_t)end + 2);
        content = str_from(content, line.n);
        buf_put(&now.content, str_starts(line, STR(".")) ? str_from(line, 1) : line);
    }
}

static struct str trim(struct str s)
{
    while (s.n && (s.p[0] == ' ' || s.p[0] == '\t'))
        s = str_from(s, 1);
    while (s.n && (s.p[s.n - 1] == ' ' || s.p[s.n - 1] == '\t'))
        s = str_head(s, s.n - 1);
    return s;
}

/* The number of octets behind a BDAT, or -1 where the line is none. */
static int64_t chunk_size(struct str line, bool *last)
{
    struct str word;
    uint64_t size;

    line = trim(line);
    if (!str_starts_ascii(line, STR("BDAT")) ||
        (line.n > 4 && line.p[4] != ' ' && line.p[4] != '\t'))
        return -1;
    line = trim(str_from(line, 4));
    *last = str_cut(&line, ' ', &word);
    if (!str_to_u64(word, INT64_MAX, &size))
        return -1;
    return (int64_t)size;
}

/* A command line too long: 500 once, and on behind its end. False where there is none. */
static bool skip_line(struct str rest, size_t *at)
{
    ptrdiff_t end = str_find_str(str_head(rest, SKIP_MAX), STR("\r\n"));

    *at += end < 0 ? 0 : (size_t)end + 2;
    return end >= 0;
}

/* Content behind a 354. False where its end was not sent. */
static bool take_data(struct str all, size_t *at, bool queued)
{
    ptrdiff_t dot = str_find_str(str_from(all, *at - 2), STR("\r\n.\r\n"));

    if (dot < 0)
        return false;
    unstuff(str_sub(all, *at, (size_t)dot));
    *at += (size_t)dot + 3;
    if (queued)
        expect_message(buf_str(&now.content));
    return true;
}

static void take_chunk(struct str octets, bool last, struct reply r)
{
    buf_put(&now.chunks, octets);
    if (r.queued) {
        CHECK(last);
        if (buf_len(&now.chunks) && !str_ends(buf_str(&now.chunks), STR("\r\n")))
            buf_put(&now.chunks, STR("\r\n"));
        expect_message(buf_str(&now.chunks));
    }
    if (last || r.code != 250)
        buf_clear(&now.chunks);
}

static bool ends_transaction(struct str line)
{
    line = trim(line);
    return str_starts_ascii(line, STR("RSET")) || str_starts_ascii(line, STR("EHLO")) ||
           str_starts_ascii(line, STR("HELO"));
}

/* Walks through what was sent; returns the number of replies that it accounts for. */
static unsigned walk(void)
{
    struct str all = buf_str(&now.sent);
    unsigned n = 1; /* the greeting */

    for (size_t at = 0;;) {
        struct str rest = str_from(all, at);
        ptrdiff_t end = str_find_str(str_head(rest, LINE_MAX_OCTETS), STR("\r\n"));
        int64_t size = -1;
        bool last = false, whole = end >= 0 || rest.n >= LINE_MAX_OCTETS;

        if (end >= 0) {
            size = chunk_size(str_head(rest, (size_t)end), &last);
            at += (size_t)end + 2;
            whole = size < 0 || (uint64_t)size <= all.n - at;
        }
        if (!whole) /* a chunk may be too large to be waited for */
            return n + (size > 0 && now.closed && n < now.replies);
        if (n == now.replies) {
            CHECK(now.closed);
            return n;
        }
        struct reply r = now.reply[n++];
        if (end < 0) {
            CHECK(r.code == 500 || r.code == 421);
            if (!skip_line(rest, &at))
                return n;
        } else if (size >= 0) {
            take_chunk(str_sub(all, at, (size_t)size), last, r);
            at += (size_t)size;
        } else if (r.code == 354) {
            bool queued = n < now.replies && now.reply[n].queued;
            if (!take_data(all, &at, queued))
                return n;
            n += n < now.replies;
        } else {
            CHECK(!r.queued);
            if (r.code == 250 && ends_transaction(str_head(rest, (size_t)end)))
                buf_clear(&now.chunks);
        }
    }
}

static void body(void *arg)
{
    struct str rest = now.input, part;
    unsigned accounted;
    bool more = true;

    (void)arg;
    rig_connect(&rig, "192.0.2.1:25");
    now.fd = dup(stream_fd(rig.client));
    CHECK(now.fd >= 0);
    rig_disconnect(&rig);
    hear();
    while (more && !now.closed) {
        more = str_cut(&rest, 1, &part);
        speak(part);
    }
    take_replies();
    CHECK(now.replies >= 1 && now.reply[0].code == 220);
    accounted = walk();
    /* One more: 421 for too much of something, said without a command. */
    CHECK(accounted == now.replies ||
          (accounted + 1 == now.replies && now.reply[accounted].code == 421 && now.closed));
    CHECK(list_empty(&rig.core.messages));
    close(now.fd);
    while (smtp_service_sessions(rig.service))
        CHECK(fiber_yield(NULL) == 0);
    CHECK(list_empty(&rig.core.uploads) && rig.core.admitted == rig.core.released);
    run_stop();
}

static void start(void *arg)
{
    (void)arg;
    rig_open(&rig, "", PROTOCOL_SMTP);
    rig.config->limits.message_size = 4096; /* within what an input holds */
    rig.config->limits.content_line = 200;
    run_stop();
}

static void in_fiber(fiber_fn *fn)
{
    struct scope scope;

    scope_init(&scope);
    CHECK(fiber_start(&scope, "fuzz", fn, NULL, NULL) == 0);
    while (scope.count)
        run_loop();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static bool ready;

    if (size > INPUT_MAX)
        return 0;
    if (!ready) {
        log_open(&(struct log_settings){.fd = -1, .level = LOG_ERROR, .process = "fuzz"});
        CHECK(run_open(NULL) == 0);
        in_fiber(start);
    }
    ready = true;
    now = (struct run){.input = str_of((const char *)data, size)};
    buf_init(&now.sent, INPUT_MAX + 1);
    buf_init(&now.heard, 1 << 20);
    buf_init(&now.chunks, INPUT_MAX + 2);
    buf_init(&now.content, INPUT_MAX);
    in_fiber(body);
    buf_done(&now.sent);
    buf_done(&now.heard);
    buf_done(&now.chunks);
    buf_done(&now.content);
    return 0;
}
