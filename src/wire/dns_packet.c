#include "wire/dns_packet.h"

#include "base/check.h"

enum {
    HEADER = 12,
    NAME_WIRE_MAX = 255, /* RFC 1035 2.3.4 */
    LABEL_MAX = 63,
    CLASS_IN = 1,
    TYPE_SOA = 6,
    FLAG_QR = 0x8000,
    FLAG_TC = 0x0200,
    RCODE = 0x000f,
    NOERROR = 0,
    NXDOMAIN = 3,
};

/* A name without compression, in lower case, with its root label. */
struct name {
    uint8_t n;
    uint8_t octets[NAME_WIRE_MAX];
};

struct rr {
    struct name owner;
    uint16_t type, class;
    uint32_t ttl;
    size_t rdata, rdata_n; /* where in the packet */
};

/* A record of the set: what it is sorted by, and where its rdata lies. */
struct found {
    uint16_t preference;
    size_t rdata, rdata_n;
};

struct reading {
    const uint8_t *p;
    size_t n, at;
    bool bad;
    enum dns_type type;
    uint16_t answers, authorities;
    size_t answers_at;
    struct name name; /* where the CNAMEs have led so far */
    uint32_t ttl;
    struct found set[DNS_RECORDS_MAX];
    uint32_t count;
    bool cut;
};

static uint16_t read_u16(struct reading *r)
{
    uint16_t v;

    if (r->bad || r->n - r->at < 2) {
        r->bad = true;
        return 0;
    }
    v = (uint16_t)(r->p[r->at] << 8 | r->p[r->at + 1]);
    r->at += 2;
    return v;
}

static uint32_t read_u32(struct reading *r)
{
    uint32_t high = read_u16(r);

    return high << 16 | read_u16(r);
}

/* RFC 1035 4.1.4. A pointer leads to before where the labels that hold it began, so it ends. */
static void read_name(struct reading *r, struct name *out)
{
    size_t at = r->at, limit = r->at, n = 0;
    bool jumped = false;

    out->n = 0;
    while (!r->bad) {
        uint8_t length = at < r->n ? r->p[at] : 0xff;
        if ((length & 0xc0) == 0xc0 && at + 1 < r->n) {
            size_t target = (size_t)(length & 0x3f) << 8 | r->p[at + 1];
            if (!jumped)
                r->at = at + 2;
            jumped = true;
            r->bad = target >= limit || target < HEADER;
            at = limit = target;
            continue;
        }
        if (length > LABEL_MAX || r->n - at < length + 1U || n + length + 1U > NAME_WIRE_MAX) {
            r->bad = true;
            return;
        }
        out->octets[n++] = length;
        for (size_t i = 1; i <= length; i++)
            out->octets[n++] = (uint8_t)ascii_lower((char)r->p[at + i]);
        at += length + 1U;
        if (length == 0)
            break;
    }
    if (r->bad)
        return;
    out->n = (uint8_t)n;
    if (!jumped)
        r->at = at;
}

static void read_rr(struct reading *r, struct rr *out)
{
    read_name(r, &out->owner);
    out->type = read_u16(r);
    out->class = read_u16(r);
    out->ttl = read_u32(r);
    out->rdata_n = read_u16(r);
    out->rdata = r->at;
    if (r->bad || r->n - r->at < out->rdata_n)
        r->bad = true;
    else
        r->at += out->rdata_n;
    /* RFC 2181 8: a TTL with the highest bit set is 0. */
    if (out->ttl > INT32_MAX)
        out->ttl = 0;
}

static bool name_eq(const struct name *a, const struct name *b)
{
    return a->n == b->n && memcmp(a->octets, b->octets, a->n) == 0;
}

/* A name that fills the rdata from `at` on. */
static void read_rdata_name(struct reading *r, size_t at, size_t end, struct name *out)
{
    r->at = at;
    read_name(r, out);
    r->bad |= r->at != end;
}

static bool plain(char c)
{
    return c > ' ' && c < 127 && c != '.' && c != '\\';
}

bool dns_name_sound(struct str name)
{
    struct str label;
    bool more = true;

    if (name.n > DNS_NAME_MAX)
        return false;
    while (more) {
        more = str_cut(&name, '.', &label);
        if (label.n == 0 || label.n > LABEL_MAX)
            return false;
        for (size_t i = 0; i < label.n; i++)
            if (!plain(label.p[i]))
                return false;
    }
    return true;
}

static void name_of_text(struct str text, struct name *out)
{
    struct str label;
    bool more = true;
    size_t n = 0;

    CHECK(dns_name_sound(text));
    while (more) {
        more = str_cut(&text, '.', &label);
        out->octets[n++] = (uint8_t)label.n;
        for (size_t i = 0; i < label.n; i++)
            out->octets[n++] = (uint8_t)ascii_lower(label.p[i]);
    }
    out->octets[n++] = 0;
    out->n = (uint8_t)n;
}

/* False without memory. */
static bool name_text(struct arena *a, const struct name *name, struct str *out)
{
    char text[DNS_NAME_TEXT_MAX];
    size_t n = 0;

    for (size_t at = 0; name->octets[at]; at += name->octets[at] + 1U) {
        if (at)
            text[n++] = '.';
        for (size_t i = 1; i <= name->octets[at]; i++) {
            uint8_t c = name->octets[at + i];
            if (plain((char)c)) {
                text[n++] = (char)c;
                continue;
            }
            text[n++] = '\\';
            text[n++] = (char)('0' + c / 100);
            text[n++] = (char)('0' + c / 10 % 10);
            text[n++] = (char)('0' + c % 10);
        }
    }
    if (n == 0)
        text[n++] = '.';
    return arena_dup(a, str_of(text, n), out);
}

/* ---- which records */

/* Keeps the DNS_RECORDS_MAX of lowest preference, equal ones in the order of the packet. */
static void keep(struct reading *r, struct found one)
{
    uint32_t at;

    if (r->count == DNS_RECORDS_MAX) {
        r->cut = true;
        if (r->set[r->count - 1].preference <= one.preference)
            return;
        r->count--;
    }
    for (at = r->count++; at > 0 && r->set[at - 1].preference > one.preference; at--)
        r->set[at] = r->set[at - 1];
    r->set[at] = one;
}

static void keep_rr(struct reading *r, const struct rr *rr)
{
    struct found one = {.rdata = rr->rdata, .rdata_n = rr->rdata_n};

    if (r->type == DNS_MX && rr->rdata_n < 3)
        r->bad = true;
    else if (r->type == DNS_MX)
        one.preference = (uint16_t)(r->p[rr->rdata] << 8 | r->p[rr->rdata + 1]);
    if (!r->bad)
        keep(r, one);
}

static void lower_ttl(struct reading *r, uint32_t ttl)
{
    if (ttl < r->ttl)
        r->ttl = ttl;
}

/* Goes over the answer section once: the records at r->name, or whether a CNAME leads on. */
static bool search(struct reading *r, struct name *target)
{
    struct rr rr;
    bool alias = false;

    r->at = r->answers_at;
    for (uint32_t i = 0; i < r->answers && !r->bad; i++) {
        read_rr(r, &rr);
        if (r->bad || rr.class != CLASS_IN || !name_eq(&rr.owner, &r->name))
            continue;
        if (rr.type == (uint16_t)r->type) {
            lower_ttl(r, rr.ttl);
            keep_rr(r, &rr);
        } else if (rr.type == DNS_CNAME && !alias) {
            lower_ttl(r, rr.ttl);
            read_rdata_name(r, rr.rdata, rr.rdata + rr.rdata_n, target);
            alias = true;
        }
    }
    return alias && !r->count;
}

/* Follows CNAMEs; false where there are too many. */
static bool follow(struct reading *r)
{
    struct name target;
    unsigned hops = 0;

    while (search(r, &target)) {
        if (++hops > DNS_CNAMES_MAX)
            return false;
        r->name = target;
    }
    return true;
}

/* RFC 2308 5: how long nothing is there: the lesser of the SOA's TTL and its MINIMUM. */
static void negative_ttl(struct reading *r)
{
    uint32_t ttl = 0;
    struct rr rr;

    for (uint32_t i = 0; i < r->authorities && !r->bad; i++) {
        read_rr(r, &rr);
        if (r->bad || rr.type != TYPE_SOA || rr.rdata_n < 4)
            continue;
        r->at = rr.rdata + rr.rdata_n - 4;
        ttl = read_u32(r);
        if (rr.ttl < ttl)
            ttl = rr.ttl;
        break;
    }
    lower_ttl(r, ttl);
}

/* ---- what they hold */

/* RFC 1035 3.3.14: strings of one length octet each. */
static bool read_text(struct reading *r, struct arena *a, const struct found *f, struct str *out)
{
    char *p = arena_alloc(a, f->rdata_n + 1);
    size_t n = 0, at = f->rdata, end = f->rdata + f->rdata_n;

    if (!p)
        return false;
    while (at < end && !r->bad) {
        size_t length = r->p[at++];
        if (length > end - at) {
            r->bad = true;
            break;
        }
        memcpy(p + n, r->p + at, length);
        n += length;
        at += length;
    }
    r->bad |= f->rdata_n == 0;
    *out = str_of(p, n);
    return true;
}

static bool read_address(struct reading *r, const struct found *f, uint8_t out[16])
{
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
    size_t n = r->type == DNS_A ? 4 : 16;

    if (f->rdata_n != n) {
        r->bad = true;
        return true;
    }
    memcpy(out, mapped, sizeof mapped);
    memcpy(out + 16 - n, r->p + f->rdata, n);
    return true;
}

static bool read_tlsa(
    struct reading *r, struct arena *a, const struct found *f, struct dns_tlsa *out)
{
    const uint8_t *p = r->p + f->rdata;

    if (f->rdata_n < 4) {
        r->bad = true;
        return true;
    }
    *out = (struct dns_tlsa){.usage = p[0], .selector = p[1], .matching = p[2]};
    return arena_dup(a, str_of((const char *)p + 3, f->rdata_n - 3), &out->data);
}

static bool read_named(
    struct reading *r, struct arena *a, const struct found *f, size_t before, struct str *out)
{
    struct name name;

    read_rdata_name(r, f->rdata + before, f->rdata + f->rdata_n, &name);
    return r->bad || name_text(a, &name, out);
}

/* False without memory. */
static bool read_record(
    struct reading *r, struct arena *a, const struct found *f, struct dns_record *out)
{
    switch (r->type) {
    case DNS_A:
    case DNS_AAAA:
        return read_address(r, f, out->address);
    case DNS_MX:
        out->mx.preference = f->preference;
        return read_named(r, a, f, 2, &out->mx.host);
    case DNS_CNAME:
    case DNS_PTR:
        return read_named(r, a, f, 0, &out->name);
    case DNS_TXT:
        return read_text(r, a, f, &out->text);
    case DNS_TLSA:
        return read_tlsa(r, a, f, &out->tlsa);
    }
    UNREACHABLE();
}

static bool read_records(struct reading *r, struct arena *a, struct dns_answer *out)
{
    out->records = arena_array(a, r->count, sizeof *out->records);
    if (!out->records)
        return false;
    for (; out->count < r->count && !r->bad; out->count++)
        if (!read_record(r, a, &r->set[out->count], &out->records[out->count]))
            return false;
    return true;
}

/* ---- the whole */

/* The header and the question, which must be the one that was asked. Returns the flags. */
static uint16_t read_head(struct reading *r)
{
    struct name asked;
    uint16_t flags, questions;

    r->bad = r->n < HEADER;
    r->at = 2;
    flags = read_u16(r);
    questions = read_u16(r);
    r->answers = read_u16(r);
    r->authorities = read_u16(r);
    read_u16(r);
    r->bad |= questions != 1 || !(flags & FLAG_QR);
    read_name(r, &asked);
    r->bad |= read_u16(r) != (uint16_t)r->type;
    r->bad |= read_u16(r) != CLASS_IN;
    r->bad |= !r->bad && !name_eq(&asked, &r->name);
    r->answers_at = r->at;
    return flags;
}

static const char *rcode_text(unsigned rcode)
{
    static const char *const texts[] = {
        [1] = "format error", [2] = "server failure", [4] = "not implemented", [5] = "refused"};

    return rcode < sizeof texts / sizeof *texts && texts[rcode] ? texts[rcode] : "an odd error";
}

/* A status without records, and the text that says why. */
static int settle(struct arena *a, struct dns_answer *out, enum dns_status status, struct str name,
    const char *why, struct err *e)
{
    out->status = status;
    out->count = 0;
    out->records = NULL;
    out->why = arena_printf(a, "%.*s: %s", STR_ARG(name), why);
    return out->why.p ? 0 : err_memory(e, "dns");
}

static int read_answer(
    struct arena *a, struct reading *r, struct str name, struct dns_answer *out, struct err *e)
{
    unsigned flags = read_head(r), rcode = flags & RCODE;
    bool within = r->bad || follow(r);

    if (!r->bad && r->count == 0)
        negative_ttl(r);
    if (!r->bad && r->count && !read_records(r, a, out))
        return err_memory(e, "dns");
    if (r->bad)
        return settle(a, out, DNS_TEMPORARY, name, "the answer cannot be read", e);
    if (flags & FLAG_TC)
        return settle(a, out, DNS_TEMPORARY, name, "the answer is too large", e);
    if (rcode != NOERROR && rcode != NXDOMAIN)
        return settle(a, out, DNS_TEMPORARY, name, rcode_text(rcode), e);
    if (!within)
        return settle(a, out, DNS_TEMPORARY, name, "too many CNAMEs", e);
    if (!name_text(a, &r->name, &out->name))
        return err_memory(e, "dns");
    out->ttl_s = r->ttl < DNS_TTL_MIN_S ? DNS_TTL_MIN_S : r->ttl;
    out->cut = r->cut;
    if (r->count)
        return 0;
    /* RFC 6604 2.1: the code speaks of where the CNAMEs led. */
    return rcode == NXDOMAIN ? settle(a, out, DNS_NO_NAME, name, "no such domain", e)
                             : settle(a, out, DNS_NO_DATA, name, "no record of this type", e);
}

int dns_packet_read(struct arena *a, struct str packet, enum dns_type type, struct str name,
    struct dns_answer *out, struct err *e)
{
    struct reading *r = ARENA_NEW(a, struct reading);

    if (!r)
        return err_memory(e, "dns");
    r->p = (const uint8_t *)packet.p;
    r->n = packet.n;
    r->type = type;
    r->ttl = DNS_TTL_MAX_S;
    name_of_text(name, &r->name);
    *out = (struct dns_answer){.status = DNS_FOUND, .ttl_s = DNS_TTL_MIN_S, .name = name};
    return read_answer(a, r, name, out, e);
}
