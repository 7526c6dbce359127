#include "core/spool/format.h"

#include "base/crc32c.h"

static const char SEGMENT_MAGIC[8] = "vrdspool";
static const char FRAME_MAGIC[4] = "\xe5\xc2\xfd\x46"; /* no text begins with these */

/* Magic, version and length lie where they are in every version; the checksum ends the slot. */
void segment_header_encode(char out[SEGMENT_HEADER], const struct segment_header *h)
{
    memcpy(out, SEGMENT_MAGIC, 8);
    put_u32(out + 8, SPOOL_FORMAT);
    put_u32(out + 12, SEGMENT_HEADER);
    memcpy(out + 16, h->spool_id, 16);
    put_u64(out + 32, h->serial);
    put_u64(out + 40, h->number);
    put_u64(out + 48, h->previous);
    put_u64(out + 56, h->epoch);
    put_u64(out + 64, h->size);
    put_u32(out + 72, 0);
    put_u32(out + 76, crc32c(str_of(out, 76)));
}

static bool all_zero(const char *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (p[i])
            return false;
    return true;
}

enum header_verdict segment_header_decode(const char *p, struct segment_header *h)
{
    uint32_t version, length;

    if (all_zero(p, SEGMENT_HEADER))
        return HEADER_EMPTY;
    version = get_u32(p + 8);
    length = get_u32(p + 12);
    if (memcmp(p, SEGMENT_MAGIC, 8) != 0 || length < 20 || length > SEGMENT_HEADER_MAX)
        return HEADER_BAD;
    if (get_u32(p + length - 4) != crc32c(str_of(p, length - 4)))
        return HEADER_BAD;
    if (version > SPOOL_FORMAT)
        return HEADER_NEWER;
    if (version != SPOOL_FORMAT || length != SEGMENT_HEADER)
        return HEADER_BAD;
    memcpy(h->spool_id, p + 16, 16);
    h->serial = get_u64(p + 32);
    h->number = get_u64(p + 40);
    h->previous = get_u64(p + 48);
    h->epoch = get_u64(p + 56);
    h->size = get_u64(p + 64);
    return HEADER_GOOD;
}

uint32_t frame_salt(const uint8_t spool_id[16])
{
    return crc32c(str_of((const char *)spool_id, 16));
}

void frame_encode(char out[FRAME_HEADER], const struct frame *f, struct str head, uint32_t salt)
{
    uint32_t crc;

    memcpy(out, FRAME_MAGIC, 4);
    out[4] = (char)f->type;
    out[5] = (char)f->flags;
    put_u16(out + 6, (uint16_t)f->head);
    put_u32(out + 8, f->body);
    put_u32(out + 12, f->body_crc);
    put_u64(out + 16, f->segment);
    put_u64(out + 24, f->sequence);
    put_u32(out + 32, f->epoch);
    put_u32(out + 36, f->group);
    put_u32(out + 40, 0);
    crc = crc32c_extend(salt, str_of(out, 44));
    put_u32(out + 44, crc32c_extend(crc, head));
}

bool frame_magic(const char *p)
{
    return memcmp(p, FRAME_MAGIC, 4) == 0;
}

bool frame_decode(const char *p, size_t n, uint32_t salt, struct frame *f)
{
    uint32_t crc;

    if (n < FRAME_HEADER || !frame_magic(p))
        return false;
    f->head = get_u16(p + 6);
    if (f->head > FRAME_HEAD_MAX || n - FRAME_HEADER < f->head)
        return false;
    crc = crc32c_extend(salt, str_of(p, 44));
    crc = crc32c_extend(crc, str_of(p + FRAME_HEADER, f->head));
    if (crc != get_u32(p + 44))
        return false;
    f->type = (uint8_t)p[4];
    f->flags = (uint8_t)p[5];
    f->body = get_u32(p + 8);
    f->body_crc = get_u32(p + 12);
    f->segment = get_u64(p + 16);
    f->sequence = get_u64(p + 24);
    f->epoch = get_u32(p + 32);
    f->group = get_u32(p + 36);
    return true;
}

void open_head_encode(char out[OPEN_HEAD], const struct open_head *h)
{
    put_u64(out, h->previous);
    put_u64(out + 8, h->previous_end);
    put_u32(out + 16, h->count);
    put_u32(out + 20, 0);
}

bool open_head_decode(struct str head, struct open_head *h)
{
    if (head.n != OPEN_HEAD)
        return false;
    h->previous = get_u64(head.p);
    h->previous_end = get_u64(head.p + 8);
    h->count = get_u32(head.p + 16);
    return true;
}

void message_head_encode(char out[MESSAGE_HEAD], const struct message_head *h)
{
    put_u64(out, h->id);
    put_u64(out + 8, h->content);
    put_u64(out + 16, h->large_use);
    put_u32(out + 24, h->back);
    put_u32(out + 28, h->content_crc);
    put_u32(out + 32, h->rcpts);
    put_u32(out + 36, h->envelope);
    put_u32(out + 40, h->prefix);
    put_u32(out + 44, h->digest);
    put_u32(out + 48, h->large);
    put_u32(out + 52, 0);
}

bool message_head_decode(struct str head, struct message_head *h)
{
    if (head.n != MESSAGE_HEAD)
        return false;
    h->id = get_u64(head.p);
    h->content = get_u64(head.p + 8);
    h->large_use = get_u64(head.p + 16);
    h->back = get_u32(head.p + 24);
    h->content_crc = get_u32(head.p + 28);
    h->rcpts = get_u32(head.p + 32);
    h->envelope = get_u32(head.p + 36);
    h->prefix = get_u32(head.p + 40);
    h->digest = get_u32(head.p + 44);
    h->large = get_u32(head.p + 48);
    if (h->id == 0 || h->rcpts == 0 || h->rcpts > SPOOL_RCPTS_MAX)
        return false;
    return h->large != 0 ? h->back == 0
                         : h->content < UINT32_MAX && h->back == content_frames_size(h->content);
}

void moved_head_encode(char out[MOVED_HEAD], const struct message_head *h, uint64_t from)
{
    message_head_encode(out, h);
    put_u64(out + MESSAGE_HEAD, from);
}

bool commit_head_decode(uint8_t type, struct str head, struct message_head *h, uint64_t *from)
{
    bool moved = type == FRAME_MOVED;

    if ((type != FRAME_MESSAGE && !moved) || head.n != (moved ? MOVED_HEAD : MESSAGE_HEAD))
        return false;
    if (from)
        *from = moved ? get_u64(head.p + MESSAGE_HEAD) : 0;
    return message_head_decode(str_head(head, MESSAGE_HEAD), h);
}

void rcpt_encode(char out[RCPT_OCTETS], const struct spool_rcpt *r)
{
    out[0] = (char)r->state;
    out[1] = (char)r->attempts;
    put_u16(out + 2, r->status);
    put_u32(out + 4, r->when);
}

struct spool_rcpt rcpt_decode(const char *p)
{
    struct spool_rcpt r = {(uint8_t)p[0], (uint8_t)p[1], get_u16(p + 2), get_u32(p + 4)};

    return r;
}

void outcome_head_encode(char out[OUTCOME_HEAD], const struct outcome_head *h)
{
    put_u64(out, h->id);
    put_u64(out + 8, h->segment);
    put_u32(out + 16, h->rcpt);
    rcpt_encode(out + 20, &h->outcome);
    put_u32(out + 28, 0);
}

bool outcome_head_decode(struct str head, struct outcome_head *h)
{
    if (head.n != OUTCOME_HEAD)
        return false;
    h->id = get_u64(head.p);
    h->segment = get_u64(head.p + 8);
    h->rcpt = get_u32(head.p + 16);
    h->outcome = rcpt_decode(head.p + 20);
    return h->outcome.state < SPOOL_RCPT_STATES;
}

void end_head_encode(char out[END_HEAD], const struct end_head *h)
{
    put_u64(out, h->id);
    put_u64(out + 8, h->segment);
    put_u32(out + 16, h->reason);
    put_u32(out + 20, 0);
}

bool end_head_decode(struct str head, struct end_head *h)
{
    if (head.n != END_HEAD)
        return false;
    h->id = get_u64(head.p);
    h->segment = get_u64(head.p + 8);
    h->reason = get_u32(head.p + 16);
    return true;
}

void state_head_encode(char out[STATE_HEAD], const struct state_head *h)
{
    put_u64(out, h->segment);
    put_u32(out + 8, h->count);
    put_u32(out + 12, 0);
}

bool state_head_decode(struct str head, struct state_head *h)
{
    if (head.n != STATE_HEAD)
        return false;
    h->segment = get_u64(head.p);
    h->count = get_u32(head.p + 8);
    return true;
}

uint64_t content_frames_size(uint64_t content)
{
    uint64_t whole = content / CONTENT_FRAME, rest = content % CONTENT_FRAME;
    uint64_t n = whole * (FRAME_HEADER + CONTENT_FRAME);

    if (rest)
        n += (FRAME_HEADER + rest + FRAME_ALIGN - 1) & ~(uint64_t)(FRAME_ALIGN - 1);
    return n;
}
