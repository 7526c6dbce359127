#include "core/digest_ask.h"

#include "mail/digest.h"

#include "ipc/channel.h"
#include "ipc/inbound_core.h"

#include "core/core.h"
#include "core/intake.h"

enum {
    ASK_MS = 5000,
    HEAD_SIZE = 4,
};

static int nobody(struct err *e)
{
    return err_set(e, ERR_TEMPORARY, "digest_ask", "no inbound process to ask");
}

static int put(
    struct core *c, uint32_t *owner, uint32_t job, struct str piece, struct buf *b, struct err *e)
{
    struct channel *channel = intake_channel(c, owner);

    if (!channel)
        return nobody(e);
    buf_clear(b);
    enc_u32(b, job);
    if (buf_put(b, piece) < 0)
        return err_memory(e, "digest_ask");
    return channel_notify(channel, IC_DIGEST_PUT, buf_str(b), e);
}

static int end(
    struct core *c, uint32_t *owner, uint32_t job, struct buf *b, struct buf *reply, struct err *e)
{
    struct channel *channel = intake_channel(c, owner);

    if (!channel)
        return nobody(e);
    buf_clear(b);
    enc_u32(b, job);
    return channel_ask(channel, IC_DIGEST_END, buf_str(b), reply, e);
}

static int ask(struct core *c, struct str content, struct buf *b, struct buf *reply, struct err *e)
{
    uint32_t owner = 0, job = ++c->next_digest;
    struct digest digest;

    for (size_t at = 0; at < content.n; at += IC_PUT_MAX)
        if (put(c, &owner, job, str_sub(content, at, IC_PUT_MAX), b, e) < 0)
            return -1;
    if (end(c, &owner, job, b, reply, e) < 0)
        return -1;
    return digest_open(buf_str(reply), &digest, e);
}

int digest_ask(struct core *c, struct str content, struct buf *out, struct err *e)
{
    uint64_t before = fiber_deadline_shorten(run_now() + ASK_MS);
    struct buf b, reply;
    int rc;

    buf_init(&b, HEAD_SIZE + IC_PUT_MAX);
    buf_init(&reply, CHANNEL_FRAME_MAX);
    rc = ask(c, content, &b, &reply, e);
    fiber_deadline_restore(before);
    if (rc == 0 && buf_put(out, buf_str(&reply)) < 0)
        rc = err_memory(e, "digest_ask");
    buf_done(&b);
    buf_done(&reply);
    return rc;
}
