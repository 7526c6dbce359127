/* The end of a message: one frame to core where it fits, else what does not fit before it. */
#include "base/check.h"

#include "inbound/smtp/session.h"

/* RFC 2033 4.2, 4.3: behind the end of a message LMTP has a reply for each recipient. */
static uint32_t replies_at_end(const struct session *s)
{
    return session_is_lmtp(s) ? s->tx.envelope.count : 1;
}

static void refuse(struct session *s, uint32_t replies)
{
    struct smtp_verdict v = s->tx.content.verdict;

    s->refused++;
    log_info(&s->tx.event, EV_MAIL_REFUSED, kv_u64("code", v.code), kv_err(&v.why));
    for (uint32_t i = 0; i < replies; i++)
        smtp_say_err(s, v.code, &v.why);
    session_reset(s);
}

void smtp_refuse_message(struct session *s)
{
    refuse(s, replies_at_end(s));
}

void smtp_refuse_early(struct session *s)
{
    refuse(s, 1);
}

static void accepted(struct session *s, uint64_t octets)
{
    const struct ic_envelope *envelope = &s->tx.envelope;
    struct str to = envelope->count == 1 ? envelope->rcpt[0].address : STR_NONE;
    char queued[] = "queued as 0123456789abc";

    s->messages++;
    s->recipients += envelope->count;
    s->junk = 0;
    log_info(&s->tx.event, EV_MAIL_ACCEPTED, kv_str("to", to),
        kv_u64("recipients", envelope->count), kv_u64("bytes", octets),
        kv_str("proto", trace_protocol(s)));
    memcpy(queued + sizeof queued - sizeof s->tx.id_text, s->tx.id_text, sizeof s->tx.id_text);
    for (uint32_t i = replies_at_end(s); i > 0; i--)
        smtp_say(s, 250, STATUS(2, 0, 0), str_c(queued));
    session_reset(s);
}

/* ---- the frame */

struct parts {
    struct ic_commit commit;
    size_t head; /* octets of the head in s->request; the tail is behind it */
};

static int encode(struct session *s, struct parts *p, struct err *e)
{
    buf_clear(&s->request);
    ic_commit_encode_head(&p->commit, &s->request);
    p->head = buf_len(&s->request);
    ic_commit_encode_tail(&p->commit, &s->request);
    return buf_ok(&s->request) ? 0 : err_memory(e, "smtp");
}

static bool fits(const struct session *s, const struct parts *p)
{
    return buf_ok(&s->request) && p->head <= BLOCK_GAP &&
           buf_len(&s->request) + p->commit.content.n <= CHANNEL_FRAME_MAX;
}

static int put_part(struct session *s, enum ic_part part, struct str octets, struct err *e)
{
    struct content *c = &s->tx.content;
    struct ic_put put = {.part = part, .octets = octets};

    if (!c->upload)
        c->upload = core_new_upload(s->service->core);
    put.upload = c->upload;
    buf_clear(&s->request);
    ic_put_encode(&put, &s->request);
    if (!buf_ok(&s->request))
        return err_memory(e, "smtp");
    return core_put(s->service->core, s->tx.generation, buf_str(&s->request), false, e);
}

static int put_digest(struct session *s, struct parts *p, struct err *e)
{
    struct str rest = p->commit.digest;

    for (; !str_empty(rest); rest = str_from(rest, IC_PUT_MAX))
        if (put_part(s, IC_DIGEST, str_head(rest, IC_PUT_MAX), e) < 0)
            return -1;
    p->commit.digest = STR_NONE;
    return 0;
}

/* In runs that fit a part. */
static int put_recipients(struct session *s, struct parts *p, struct err *e)
{
    struct ic_envelope *envelope = &p->commit.envelope;
    struct buf run;
    int rc = 0;

    buf_init(&run, IC_PUT_MAX);
    for (uint32_t i = 0; i < envelope->count && rc == 0; i++) {
        size_t before = buf_len(&run);
        ic_recipients_encode(&envelope->rcpt[i], 1, &run);
        if (buf_ok(&run))
            continue;
        if (before == 0) {
            rc = err_memory(e, "smtp");
            break;
        }
        rc = put_part(s, IC_ENVELOPE_RECIPIENTS, str_head(buf_str(&run), before), e);
        buf_clear(&run);
        i--;
    }
    if (rc == 0 && buf_len(&run))
        rc = put_part(s, IC_ENVELOPE_RECIPIENTS, buf_str(&run), e);
    buf_done(&run);
    envelope->count = 0;
    return rc;
}

/* Takes out of the frame what is too much for one, the largest first. */
static int make_fit(struct session *s, struct parts *p, struct err *e)
{
    struct content *c = &s->tx.content;

    (void)encode(s, p, e);
    if (fits(s, p))
        return 0;
    if (c->used) {
        if (content_put(s) < 0) {
            *e = c->verdict.why;
            return -1;
        }
        p->commit.content = STR_NONE;
    }
    p->commit.upload = c->upload;
    if (encode(s, p, e) == 0 && fits(s, p))
        return 0;
    if (put_digest(s, p, e) < 0)
        return -1;
    p->commit.upload = c->upload;
    if (encode(s, p, e) == 0 && fits(s, p))
        return 0;
    if (put_recipients(s, p, e) < 0)
        return -1;
    p->commit.upload = c->upload;
    if (encode(s, p, e) < 0)
        return -1;
    CHECK(fits(s, p));
    return 0;
}

/* The whole frame around the content in the block. */
static struct str assemble(struct session *s, const struct parts *p)
{
    struct content *c = &s->tx.content;
    char *start = c->block->octets + BLOCK_GAP;
    struct str head = str_head(buf_str(&s->request), p->head);
    struct str tail = str_from(buf_str(&s->request), p->head);

    memcpy(start - head.n, head.p, head.n);
    memcpy(start + c->used, tail.p, tail.n);
    return str_of(start - head.n, head.n + c->used + tail.n);
}

/* What local copies leave out (RFC 5321 4.4). */
static int take_cuts(struct session *s, struct ic_commit *commit, struct err *e)
{
    const struct header_scan *h = &s->tx.content.header;

    _Static_assert((int)HEADER_SPANS_MAX <= (int)IC_CUTS_MAX, "all of them can be told");
    if (h->spans == 0)
        return 0;
    commit->cut = arena_array(&s->scratch, 2 * (size_t)h->spans, sizeof *commit->cut);
    if (!commit->cut)
        return err_memory(e, "smtp");
    for (uint32_t i = 0; i < h->spans; i++) {
        commit->cut[2 * i] = h->span[i].offset;
        commit->cut[2 * i + 1] = h->span[i].length;
    }
    commit->cuts = h->spans;
    return 0;
}

static int commit_with(struct session *s, struct buf *digest, struct err *e)
{
    struct content *c = &s->tx.content;
    struct parts p = {.commit = {
                          .upload = c->upload,
                          .envelope = s->tx.envelope,
                          .slot = s->slot.slot,
                          .client = str_c(s->client),
                          .helo = s->helo,
                          .protocol = trace_protocol(s),
                          .prefix = trace_prefix(s),
                          .content = content_rest(c),
                          .content_size = content_size(c),
                          .content_crc = c->crc,
                      }};

    if (str_empty(p.commit.prefix))
        return err_memory(e, "smtp");
    if (c->digest && digest_finish(c->digest, digest, e) < 0)
        return -1;
    p.commit.digest = buf_str(digest);
    if (take_cuts(s, &p.commit, e) < 0 || make_fit(s, &p, e) < 0)
        return -1;
    return core_commit(s->service->core, s->tx.generation, assemble(s, &p), &s->reply, e);
}

void smtp_commit(struct session *s)
{
    struct content *c = &s->tx.content;
    struct buf digest;
    struct err e = {0};
    uint64_t octets = content_size(c);
    int rc = -1;

    fiber_deadline_restore(DEADLINE_NONE); /* a commit has its own, in core_link */
    if (c->verdict.why.class == ERR_NONE) {
        buf_init(&digest, DIGEST_MAX);
        rc = commit_with(s, &digest, &e);
        buf_done(&digest);
        c->upload = rc == 0 ? 0 : c->upload;
    }
    if (rc == 0) {
        accepted(s, octets);
        return;
    }
    if (c->verdict.why.class == ERR_NONE) {
        uint16_t code = smtp_code_of(&e);
        content_refuse(c, code, &e);
    }
    smtp_refuse_message(s);
}
