#include "inbound/smtp/content.h"

#include "base/check.h"
#include "base/crc32c.h"
#include "base/mem.h"

#include "ipc/address_map.h"

#include "inbound/smtp/session.h"

/* ---- blocks */

static struct block *take_block(struct smtp_service *service)
{
    struct block *b = service->blocks;

    if (!b)
        return mem_alloc(sizeof *b);
    service->blocks = b->next;
    service->blocks_kept--;
    return b;
}

static void give_block(struct smtp_service *service, struct block *b)
{
    if (service->blocks_kept == BLOCKS_KEPT) {
        mem_free(b);
        return;
    }
    b->next = service->blocks;
    service->blocks = b;
    service->blocks_kept++;
}

uint64_t content_size(const struct content *c)
{
    return c->sent + c->used;
}

struct str content_rest(const struct content *c)
{
    return str_of(c->block->octets + BLOCK_GAP, c->used);
}

/* ---- its life */

static struct mime_limits mime_limits(const struct config_limits *limits)
{
    struct mime_limits m = MIME_LIMITS_DEFAULT;

    m.depth = (unsigned)limits->mime_depth;
    m.parts = (unsigned)limits->mime_parts;
    m.params = (unsigned)limits->mime_parameters;
    if (limits->header_size)
        m.header_max = (size_t)limits->header_size;
    return m;
}

static void add(struct session *s, struct str run);

static bool map_address(void *arg, bool sender, struct str address, struct buf *out)
{
    const struct session *s = arg;

    return address_map(
        s->service->maps, sender ? MAP_HEADER_SENDER : MAP_HEADER_RECIPIENT, address, out);
}

static void put_mapped(void *arg, struct str octets)
{
    add(arg, octets);
}

/* Nobody rewrites what strangers say about themselves. */
static void begin_map(struct session *s)
{
    const struct address_maps *maps = s->service->maps;
    struct content *c = &s->tx.content;

    if (s->right != IC_TRUSTED || (!address_maps_have(maps, MAP_HEADER_SENDER) &&
                                      !address_maps_have(maps, MAP_HEADER_RECIPIENT)))
        return;
    c->map = &c->block->map;
    header_map_init(c->map, map_address, put_mapped, s);
}

int content_begin(struct session *s, bool dots, struct smtp_verdict *v)
{
    const struct config *config = s->service->config;
    struct content *c = &s->tx.content;
    struct mime_limits mime = mime_limits(&config->limits);

    CHECK(!c->block);
    v->code = 451;
    if (!core_link_same(s->service->core, s->tx.generation))
        return err_set_status(&v->why, ERR_TEMPORARY, STATUS(4, 3, 0), "smtp",
            "the server was interrupted, try again");
    c->block = take_block(s->service);
    if (!c->block)
        return err_memory(&v->why, "smtp");
    smtp_data_init(&c->machine, dots,
        &(struct smtp_data_limits){
            .normalize = config->bare_lf == BARE_LF_NORMALIZE && s->right == IC_TRUSTED,
            .line_max = (size_t)config->limits.content_line,
            .size_max = config->limits.message_size,
        });
    header_scan_init(&c->header);
    begin_map(s);
    if (s->tx.local) {
        c->digest = &c->block->digest;
        digest_begin(c->digest, &mime);
    }
    return 0;
}

void content_drop(struct session *s)
{
    struct content *c = &s->tx.content;

    if (c->upload)
        core_abort(s->service->core, s->tx.generation, c->upload);
    if (c->digest)
        digest_done(c->digest);
    if (c->map)
        header_map_done(c->map);
    if (c->block)
        give_block(s->service, c->block);
    *c = (struct content){0};
}

static bool refused(const struct content *c)
{
    return c->verdict.why.class != ERR_NONE;
}

void content_refuse(struct content *c, uint16_t code, const struct err *why)
{
    if (!refused(c))
        c->verdict = (struct smtp_verdict){.code = code, .why = *why};
}

static void refuse(struct content *c, uint16_t code, struct err_status status, const char *text)
{
    struct err e;

    err_set_status(&e, ERR_PERMANENT, status, "smtp", "%s", text);
    content_refuse(c, code, &e);
}

/* ---- what is in it */

static void check_header(struct session *s)
{
    const struct config_limits *limits = &s->service->config->limits;
    struct content *c = &s->tx.content;
    const struct header_scan *h = &c->header;

    if (limits->header_size && h->octets > limits->header_size)
        refuse(c, 552, STATUS(5, 3, 4), "the header is too large");
    else if (limits->header_fields && (uint64_t)h->fields + h->junk > limits->header_fields)
        refuse(c, 554, STATUS(5, 6, 0), "too many header fields");
    else if (limits->received && h->count[HEADER_RECEIVED] > limits->received) /* RFC 5321 6.3 */
        refuse(c, 554, STATUS(5, 4, 6), "too many hops: the message goes in circles");
    else if (h->count[HEADER_FROM] > 1) /* RFC 5322 3.6: whoever reads it sees one author */
        refuse(c, 550, STATUS(5, 7, 1), "the message has more than one From field");
    else if (h->more_spans)
        refuse(c, 554, STATUS(5, 4, 6), "too many Return-Path and Delivered-To fields");
}

static void check_machine(struct content *c)
{
    unsigned faults = c->machine.faults;

    if (faults & SMTP_DATA_LARGE) { /* RFC 1870 6.3; outranks what was found in a part of it */
        c->verdict = (struct smtp_verdict){0};
        refuse(c, 552, STATUS(5, 3, 4), "the message is too large");
    } else if (faults & SMTP_DATA_LONG) {
        refuse(c, 554, STATUS(5, 6, 0), "a line of the message is too long");
    } else if (faults & SMTP_DATA_BARE) { /* RFC 5321 2.3.8 */
        refuse(c, 554, STATUS(5, 6, 0), "CR or LF outside of a line end in the message");
    }
}

/* Looks at what is in the block, once. */
static void measure(struct session *s)
{
    struct content *c = &s->tx.content;
    struct str rest = content_rest(c);

    c->crc = crc32c_extend(c->crc, rest);
    if (!c->header.ended) {
        header_scan_feed(&c->header, rest);
        check_header(s);
    }
    if (c->digest)
        digest_feed(c->digest, rest);
}

int content_put(struct session *s)
{
    struct content *c = &s->tx.content;
    struct ic_put put = {.part = IC_CONTENT, .octets = content_rest(c)};
    char *start = c->block->octets + BLOCK_GAP;
    struct str head;
    struct err e;

    if (!c->upload)
        c->upload = core_new_upload(s->service->core);
    put.upload = c->upload;
    buf_clear(&s->request);
    ic_put_encode_head(&put, &s->request);
    head = buf_str(&s->request);
    if (!buf_ok(&s->request))
        err_memory(&e, "smtp");
    CHECK(head.n <= BLOCK_GAP);
    memcpy(start - head.n, head.p, buf_ok(&s->request) ? head.n : 0);
    if (!buf_ok(&s->request) || core_put(s->service->core, s->tx.generation,
                                    str_of(start - head.n, head.n + c->used), c->wait, &e) < 0) {
        content_refuse(c, 451, &e);
        return -1;
    }
    c->sent += c->used;
    c->used = 0;
    c->wait = !c->wait;
    return 0;
}

static void add(struct session *s, struct str run)
{
    struct content *c = &s->tx.content;

    while (!str_empty(run) && !refused(c)) {
        struct str part = str_head(run, BLOCK_CONTENT - c->used);
        memcpy(c->block->octets + BLOCK_GAP + c->used, part.p, part.n);
        c->used += part.n;
        run = str_from(run, part.n);
        if (c->used == BLOCK_CONTENT && !str_empty(run)) {
            measure(s);
            if (!refused(c))
                (void)content_put(s);
        }
    }
}

/* What came in, on its way to add(). */
static void take_run(struct session *s, struct str run)
{
    struct content *c = &s->tx.content;
    struct err e;

    if (!c->map) {
        add(s, run);
        return;
    }
    header_map_feed(c->map, run);
    if (c->map->failed) {
        err_memory(&e, "smtp");
        content_refuse(c, 451, &e);
    }
}

static void end_map(struct session *s)
{
    if (s->tx.content.map)
        header_map_finish(s->tx.content.map);
    take_run(s, STR(""));
}

/* Nothing of a message that is refused is kept anywhere while the rest of it comes in. */
static void forget_refused(struct session *s)
{
    struct content *c = &s->tx.content;

    if (c->machine.faults)
        check_machine(c);
    if (refused(c) && c->upload) {
        core_abort(s->service->core, s->tx.generation, c->upload);
        c->upload = 0;
    }
}

/* ---- reading it */

/* The least rate: so many octets in each stretch of time (hostile.md 22). */
struct rate {
    uint64_t end, octets, least, stretch;
};

static struct rate rate_begin(const struct session *s)
{
    const struct config_limits *limits = &s->service->config->limits;
    struct rate r = {.least = 1, .stretch = limits->command_timeout_ms};

    if (limits->data_rate) {
        r.stretch = limits->data_rate_grace_ms;
        r.least = limits->data_rate * r.stretch / 1000;
    }
    r.end = r.stretch ? run_now() + r.stretch : DEADLINE_NONE;
    return r;
}

/* Reads more input. Only the time in which the client could send counts. */
static int read_more(struct session *s, struct rate *r, struct err *e)
{
    for (;;) {
        uint64_t before = stream_octets_in(s->stream);
        int rc;
        fiber_deadline_restore(DEADLINE_NONE);
        fiber_deadline_shorten(r->end);
        rc = stream_fill(s->stream, e);
        r->octets += stream_octets_in(s->stream) - before;
        if (rc < 0 && e->class != ERR_DEADLINE)
            return -1;
        if (run_now() >= r->end) {
            if (r->octets < r->least)
                return err_set(e, ERR_DEADLINE, "smtp", "content comes too slowly");
            r->octets = 0;
            r->end = run_now() + r->stretch;
        }
        if (rc == 0)
            return 0;
    }
}

/* Takes what is buffered, at most *left octets. True at the end of data. */
static bool take_input(struct session *s, uint64_t *left, struct rate *r)
{
    struct smtp_data *machine = &s->tx.content.machine;
    struct str in = str_head(stream_input(s->stream), *left < SIZE_MAX ? (size_t)*left : SIZE_MAX);
    uint64_t begun = run_now();
    size_t n = in.n;
    enum smtp_data_step step;
    struct str run;

    while ((step = smtp_data_next(machine, &in, &run)) == SMTP_DATA_RUN)
        take_run(s, run);
    forget_refused(s);
    stream_consume(s->stream, n - in.n);
    *left -= n - in.n;
    if (r->end != DEADLINE_NONE)
        r->end += run_now() - begun;
    return step == SMTP_DATA_END;
}

static void complete(struct session *s)
{
    struct content *c = &s->tx.content;

    end_map(s);
    if (!refused(c)) {
        measure(s);
        header_scan_finish(&c->header);
        check_header(s);
    }
    forget_refused(s);
}

int content_read_data(struct session *s, struct err *e)
{
    struct rate r = rate_begin(s);
    uint64_t left = UINT64_MAX;

    while (!take_input(s, &left, &r))
        if (read_more(s, &r, e) < 0)
            return -1;
    complete(s);
    return 0;
}

int content_read_chunk(struct session *s, uint64_t size, bool last, struct err *e)
{
    struct rate r = rate_begin(s);

    while (size) {
        take_input(s, &size, &r);
        if (size && read_more(s, &r, e) < 0)
            return -1;
    }
    if (!last)
        return 0;
    take_run(s, smtp_data_finish(&s->tx.content.machine));
    complete(s);
    return 0;
}

int content_swallow(struct session *s, uint64_t size, struct err *e)
{
    struct rate r = rate_begin(s);

    while (size) {
        size_t n = stream_input(s->stream).n;
        n = n < size ? n : (size_t)size;
        stream_consume(s->stream, n);
        size -= n;
        if (size && read_more(s, &r, e) < 0)
            return -1;
    }
    return 0;
}
