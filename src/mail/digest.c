#include "mail/digest.h"

#include "mail/digest_int.h"

enum {
    PARTS_MAX = 100000, /* no limit that anybody configures is larger */
    NUMBER_MAX = 10     /* octets of 64 bits in sevens */
};

void dig_put_number(struct buf *b, uint64_t v)
{
    char *to = buf_reserve(b, NUMBER_MAX);
    size_t n = 0;
    if (!to)
        return;
    for (; v > 127; v >>= 7)
        to[n++] = (char)(v | 128);
    to[n++] = (char)v;
    buf_advance(b, n);
}

void dig_put_signed(struct buf *b, int64_t v)
{
    dig_put_number(b, (uint64_t)v << 1 ^ (v < 0 ? UINT64_MAX : 0));
}

void dig_put_slice(struct buf *b, struct str s)
{
    dig_put_number(b, s.n);
    buf_put(b, s);
}

uint64_t dig_number(struct dig *r, uint64_t max)
{
    uint64_t v = 0;
    for (unsigned shift = 0; shift < 64 && r->rest.n > 0; shift += 7) {
        uint8_t octet = (uint8_t)r->rest.p[0];
        r->rest = str_from(r->rest, 1);
        if (shift == 63 && octet > 1)
            break;
        v |= (uint64_t)(octet & 127) << shift;
        if (octet < 128) {
            /* one spelling of each number: no zeros in front */
            if (v <= max && (octet > 0 || shift == 0) && !r->bad)
                return v;
            break;
        }
    }
    r->bad = true;
    r->rest = STR_NONE;
    return 0;
}

int64_t dig_signed(struct dig *r)
{
    uint64_t v = dig_number(r, UINT64_MAX);
    return (int64_t)(v >> 1 ^ (v & 1 ? UINT64_MAX : 0));
}

struct str dig_slice(struct dig *r)
{
    size_t n = (size_t)dig_number(r, r->rest.n);
    if (n > r->rest.n) {
        r->bad = true;
        return STR_NONE;
    }
    struct str s = str_head(r->rest, n);
    r->rest = str_from(r->rest, n);
    return s;
}

static void read_part(struct dig *r, uint32_t index, struct digest_part *part)
{
    *part = (struct digest_part){.index = index};
    part->parent = (uint32_t)dig_number(r, index > 0 ? index - 1 : 0);
    uint64_t flags = dig_number(r, 7u << 5 | 31);
    part->kind = (enum mime_kind)(flags & 3);
    part->message = flags & 4;
    part->opaque = flags & 8;
    part->attachment = flags & 16;
    part->encoding = (enum mime_encoding)(flags >> 5);
    part->header_start = dig_number(r, INT64_MAX);
    part->body_start = part->header_start + dig_number(r, INT64_MAX);
    part->body_end = part->body_start + dig_number(r, INT64_MAX);
    part->body_lines = dig_number(r, INT64_MAX);
    struct str *const slices[] = {&part->type, &part->subtype, &part->params, &part->disposition,
        &part->disposition_params, &part->encoding_text, &part->id, &part->description,
        &part->language, &part->location, &part->md5, &part->file_name, &part->envelope};
    for (size_t i = 0; i < sizeof slices / sizeof *slices; i++)
        *slices[i] = dig_slice(r);
}

bool digest_next_part(struct digest_parts *it, struct digest_part *part)
{
    struct dig r = {.rest = it->rest};
    if (it->rest.n == 0)
        return false;
    read_part(&r, it->index++, part);
    it->rest = r.rest;
    return !r.bad;
}

bool digest_next_param(struct str *params, struct mime_param *param)
{
    struct dig r = {.rest = *params};
    if (params->n == 0)
        return false;
    param->name = dig_slice(&r);
    param->value = dig_slice(&r);
    *params = r.rest;
    return !r.bad;
}

static bool read_envelope(struct str encoded, struct digest_envelope *env)
{
    struct dig r = {.rest = encoded};
    struct str *const slices[] = {&env->date, &env->subject, &env->from, &env->sender,
        &env->reply_to, &env->to, &env->cc, &env->bcc, &env->in_reply_to, &env->message_id};
    *env = (struct digest_envelope){0};
    for (size_t i = 0; i < sizeof slices / sizeof *slices; i++)
        *slices[i] = dig_slice(&r);
    return !r.bad && r.rest.n == 0;
}

void digest_envelope(struct str encoded, struct digest_envelope *env)
{
    read_envelope(encoded, env);
    if (env->sender.n == 0)
        env->sender = env->from;
    if (env->reply_to.n == 0)
        env->reply_to = env->from;
}

bool digest_next_address(struct str *list, struct digest_address *a)
{
    struct dig r = {.rest = *list};
    *a = (struct digest_address){0};
    if (list->n == 0)
        return false;
    a->kind = (enum digest_address_kind)dig_number(&r, DIGEST_GROUP_END);
    a->name = dig_slice(&r);
    a->route = dig_slice(&r);
    a->local = dig_slice(&r);
    a->domain = dig_slice(&r);
    *list = r.rest;
    return !r.bad;
}

static bool read_sort(struct str encoded, struct digest_sort *s)
{
    struct dig r = {.rest = encoded};
    uint64_t flags = dig_number(&r, 3);
    *s = (struct digest_sort){.has_date = flags & 1, .reply = flags & 2};
    s->date_ms = dig_signed(&r);
    int64_t zone = dig_signed(&r);
    s->zone_min = zone > -1440 && zone < 1440 ? (int)zone : 0;
    s->subject = dig_slice(&r);
    s->from = dig_slice(&r);
    s->to = dig_slice(&r);
    s->cc = dig_slice(&r);
    s->display_from = dig_slice(&r);
    s->display_to = dig_slice(&r);
    return !r.bad && r.rest.n == 0 && s->zone_min == zone;
}

void digest_sort(const struct digest *d, struct digest_sort *s)
{
    read_sort(d->sort, s);
}

static bool read_thread(struct str encoded, struct digest_thread *t)
{
    struct dig r = {.rest = encoded};
    t->message_id = dig_slice(&r);
    t->in_reply_to = dig_slice(&r);
    t->references = dig_slice(&r);
    return !r.bad && r.rest.n == 0;
}

void digest_thread(const struct digest *d, struct digest_thread *t)
{
    read_thread(d->thread, t);
}

bool digest_next_reference(struct str *references, struct str *id)
{
    struct dig r = {.rest = *references};
    if (references->n == 0)
        return false;
    *id = dig_slice(&r);
    *references = r.rest;
    return !r.bad;
}

/* ---- is all of it sound? */

static bool sound_list(struct str list)
{
    struct digest_address a;
    while (list.n > 0)
        if (!digest_next_address(&list, &a))
            return false;
    return true;
}

static bool sound_params(struct str params)
{
    struct mime_param param;
    while (params.n > 0)
        if (!digest_next_param(&params, &param))
            return false;
    return true;
}

static bool sound_envelope(struct str encoded)
{
    struct digest_envelope env;
    return encoded.n == 0 || (read_envelope(encoded, &env) && sound_list(env.from) &&
                                 sound_list(env.sender) && sound_list(env.reply_to) &&
                                 sound_list(env.to) && sound_list(env.cc) && sound_list(env.bcc));
}

static bool sound_thread(struct str encoded)
{
    struct digest_thread t;
    struct str id;
    if (!read_thread(encoded, &t))
        return false;
    while (t.references.n > 0)
        if (!digest_next_reference(&t.references, &id))
            return false;
    return true;
}

static bool sound_part(const struct digest *d, const struct digest_part *part)
{
    return part->kind <= MIME_MESSAGE && part->encoding <= MIME_UNKNOWN &&
           part->body_end <= d->size && part->body_end >= part->body_start &&
           part->body_start >= part->header_start && sound_params(part->params) &&
           sound_params(part->disposition_params) && sound_envelope(part->envelope);
}

static bool sound_parts(const struct digest *d)
{
    struct digest_parts it = digest_parts(d);
    struct digest_part part;
    uint32_t count = 0;
    while (it.rest.n > 0) {
        if (!digest_next_part(&it, &part) || !sound_part(d, &part))
            return false;
        count++;
    }
    return count == d->part_count && count > 0;
}

int digest_open(struct str octets, struct digest *d, struct err *e)
{
    struct dig r = {.rest = octets};
    struct digest got = {.version = (unsigned)dig_number(&r, UINT32_MAX)};
    struct digest_sort sort;
    if (octets.n > DIGEST_MAX || r.bad || got.version != DIGEST_VERSION)
        return err_set(e, ERR_PERMANENT, "digest", "version %u is not known", got.version);
    got.size = dig_number(&r, INT64_MAX);
    got.part_count = (uint32_t)dig_number(&r, PARTS_MAX);
    got.parts = dig_slice(&r);
    got.sort = dig_slice(&r);
    got.thread = dig_slice(&r);
    got.preview = dig_slice(&r);
    if (r.bad || r.rest.n > 0 || got.preview.n > PREVIEW_OCTETS || !sound_parts(&got) ||
        (got.sort.n > 0 && !read_sort(got.sort, &sort)) ||
        (got.thread.n > 0 && !sound_thread(got.thread)))
        return err_set(e, ERR_PERMANENT, "digest", "damaged digest");
    *d = got;
    return 0;
}
