#include "ipc/frame.h"

#include "base/check.h"
#include "base/mem.h"

#include "ipc/codec.h"

enum {
    KIND_BITS = 3,
    FD_BIT = 4,
    CREDIT_PAYLOAD = 8,
};

int frame_put(struct buf *out, const struct frame *f)
{
    CHECK(f->payload.n <= CHANNEL_FRAME_MAX);
    if (!buf_reserve(out, FRAME_HEADER + f->payload.n)) {
        out->bad = false;
        return -1;
    }
    enc_u32(out, (uint32_t)f->payload.n);
    enc_u16(out, f->type);
    enc_u16(out, (uint16_t)(f->kind | (f->has_fd ? FD_BIT : 0U)));
    enc_u32(out, f->call);
    buf_put(out, f->payload);
    return 0;
}

int frame_reader_open(struct frame_reader *r, struct err *e)
{
    *r = (struct frame_reader){.p = mem_alloc(FRAME_READ_SIZE)};
    return r->p ? 0 : err_memory(e, "channel");
}

void frame_reader_close(struct frame_reader *r)
{
    mem_free(r->p);
    *r = (struct frame_reader){0};
}

char *frame_reader_space(struct frame_reader *r, size_t *n)
{
    size_t have = r->end - r->start;

    if (have == 0)
        r->start = r->end = 0;
    /* The frame that has begun must fit as a whole; it is moved at most once for that. */
    if (r->start && FRAME_READ_SIZE - r->start < FRAME_HEADER + CHANNEL_FRAME_MAX) {
        memmove(r->p, r->p + r->start, have);
        r->start = 0;
        r->end = have;
    }
    *n = FRAME_READ_SIZE - r->end;
    return r->p + r->end;
}

void frame_reader_filled(struct frame_reader *r, size_t n)
{
    CHECK(n <= FRAME_READ_SIZE - r->end);
    r->end += n;
}

static bool header_sound(const struct frame *f, uint16_t flags, uint32_t size)
{
    if ((flags & ~(KIND_BITS | FD_BIT)) || size > CHANNEL_FRAME_MAX)
        return false;
    switch (f->kind) {
    case FRAME_NOTICE:
        return f->call == 0;
    case FRAME_REQUEST:
        return f->call != 0 && !f->has_fd;
    case FRAME_REPLY:
        return f->call != 0 && !f->has_fd && f->type == 0;
    case FRAME_CREDIT:
        return f->call == 0 && !f->has_fd && f->type == 0 && size == CREDIT_PAYLOAD;
    }
    return false;
}

int frame_next(struct frame_reader *r, struct frame *f, struct err *e)
{
    struct dec d = dec_of(str_of(r->p + r->start, r->end - r->start));
    uint32_t size;
    uint16_t flags;

    if (d.rest.n < FRAME_HEADER)
        return 0;
    size = dec_u32(&d);
    f->type = dec_u16(&d);
    flags = dec_u16(&d);
    f->kind = (enum frame_kind)(flags & KIND_BITS);
    f->has_fd = flags & FD_BIT;
    f->call = dec_u32(&d);
    if (!header_sound(f, flags, size))
        return err_set(e, ERR_BUG, "channel", "a frame of %u octets with flags %#x, call %u", size,
            flags, f->call);
    if (d.rest.n < size)
        return 0;
    f->payload = str_head(d.rest, size);
    r->start += FRAME_HEADER + size;
    return 1;
}
