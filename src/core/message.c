#include "core/message.h"

#include "base/mem.h"

enum {
    ARENA_MAX = 8 << 20,
    SPARE_MAX = 128,          /* blocks kept */
    SPARE_OCTETS = 40 * 1024, /* of a block that is kept, about */
};

/* Blocks that have done their work, for the next ones: with their buffers, which are what costs. */
static struct {
    struct message *first;
    unsigned count;
} spare;

static struct message *take_spare(void)
{
    struct message *m = spare.first;

    if (!m)
        return NULL;
    spare.first = m->next_spare;
    spare.count--;
    return m;
}

static struct message *make(void)
{
    struct message *m = MEM_NEW(struct message);

    if (!m)
        return NULL;
    arena_init(&m->arena, ARENA_MAX);
    buf_init(&m->frame, CHANNEL_FRAME_MAX);
    buf_init(&m->stored, ENVELOPE_MAX);
    buf_init(&m->digest, UPLOAD_DIGEST_MAX + CHANNEL_FRAME_MAX);
    return m;
}

struct message *message_new(struct str frame)
{
    struct message *m = take_spare();

    if (!m && !(m = make()))
        return NULL;
    if (buf_put(&m->frame, frame) < 0) {
        message_free(m);
        return NULL;
    }
    return m;
}

static void give_back(struct message *m)
{
    arena_done(&m->arena);
    buf_done(&m->frame);
    buf_done(&m->stored);
    buf_done(&m->digest);
    mem_free(m);
}

static bool is_small(const struct message *m)
{
    return m->frame.cap + m->stored.cap + m->digest.cap <= SPARE_OCTETS;
}

void message_free(struct message *m)
{
    struct message kept;

    if (!m)
        return;
    upload_free(m->upload);
    if (spare.count == SPARE_MAX || !is_small(m)) {
        give_back(m);
        return;
    }
    arena_reset(&m->arena);
    buf_clear(&m->frame);
    buf_clear(&m->stored);
    buf_clear(&m->digest);
    kept = (struct message){.arena = m->arena,
        .frame = m->frame,
        .stored = m->stored,
        .digest = m->digest,
        .next_spare = spare.first};
    *m = kept;
    spare.first = m;
    spare.count++;
}

void messages_done(void)
{
    struct message *m;

    while ((m = take_spare()))
        give_back(m);
}

static void message_release(struct spool_message *spool)
{
    message_free(spool->context);
}

/* Recipients that came by PUT stand before the ones in the commit. */
static int join_recipients(struct message *m, struct err *e)
{
    struct ic_envelope *given = &m->commit.envelope;
    struct ic_recipient *before, *all;
    uint32_t count;

    if (!m->upload || buf_len(&m->upload->recipients) == 0)
        return 0;
    if (ic_recipients_decode(&m->arena, buf_str(&m->upload->recipients), &before, &count, e) < 0)
        return -1;
    all = arena_array(&m->arena, (size_t)count + given->count, sizeof *all);
    if (!all)
        return err_memory(e, "message");
    memcpy(all, before, count * sizeof *all);
    if (given->count)
        memcpy(all + count, given->rcpt, given->count * sizeof *all);
    given->rcpt = all;
    given->count += count;
    return 0;
}

static int join_digest(struct message *m, struct err *e)
{
    if (!m->upload || buf_len(&m->upload->digest) == 0)
        return 0;
    buf_put(&m->digest, buf_str(&m->upload->digest));
    if (buf_put(&m->digest, m->commit.digest) < 0)
        return err_memory(e, "message");
    m->commit.digest = buf_str(&m->digest);
    return 0;
}

int message_decode(struct message *m, struct err *e)
{
    uint64_t uploaded = m->upload ? m->upload->octets : 0;

    if (join_recipients(m, e) < 0 || join_digest(m, e) < 0)
        return -1;
    if (m->commit.envelope.count == 0)
        return err_set(e, ERR_BUG, "message", "a commit without recipients");
    if (uploaded + m->commit.content.n != m->commit.content_size)
        return err_set(e, ERR_BUG, "message", "a commit of %llu octets that brought %llu",
            (unsigned long long)m->commit.content_size,
            (unsigned long long)(uploaded + m->commit.content.n));
    return 0;
}

int message_seal(struct message *m, struct spool_large *large, struct err *e)
{
    struct spool_message *s = &m->spool;

    m->envelope.given = m->commit.envelope;
    m->envelope.client = m->commit.client;
    m->envelope.helo = m->commit.helo;
    m->envelope.protocol = m->commit.protocol;
    m->envelope.cut = m->commit.cut;
    m->envelope.cuts = m->commit.cuts;
    envelope_encode(&m->envelope, &m->stored);
    if (!buf_ok(&m->stored)) {
        spool_large_abort(&large);
        return err_memory(e, "message");
    }
    if (m->upload && !large)
        m->content[0] = buf_str(&m->upload->content);
    m->content[1] = m->commit.content;
    *s = (struct spool_message){
        .id = m->commit.envelope.id,
        .rcpts = m->envelope.targets,
        .envelope = buf_str(&m->stored),
        .prefix = m->commit.prefix,
        .digest = m->commit.digest,
        .content = m->content,
        .pieces = large ? 0 : 2,
        .large = large,
        .has_crc = true,
        .content_crc = m->commit.content_crc,
        .release = message_release,
        .context = m,
    };
    return 0;
}
