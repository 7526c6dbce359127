#include "mail/header_map.h"

#include "mail/address.h"
#include "mail/address_list.h"
#include "mail/chars.h"
#include "mail/header.h"

enum state {
    LINE_START,
    AFTER_CR,     /* a CR at the start of a line */
    IN_NAME,      /* held */
    BEFORE_COLON, /* held: white space behind the name */
    IN_LINE,      /* passes */
    IN_FIELD,     /* held */
};

enum {
    MAPPED_MAX = 16 * HEADER_MAP_FIELD_MAX,
};

void header_map_init(struct header_map *m, header_map_fn *map, header_map_put_fn *put, void *arg)
{
    *m = (struct header_map){.map = map, .put = put, .arg = arg, .first = true};
    buf_init(&m->held, HEADER_MAP_FIELD_MAX);
}

void header_map_done(struct header_map *m)
{
    buf_done(&m->held);
}

/* ---- a field */

struct splice {
    struct header_map *m;
    struct buf out;
    const char *done; /* up to here the field has been copied */
    bool changed;
};

/* The addr-spec as mail/address.h wants it. */
static bool print_address(const struct address *a, struct buf *out)
{
    struct buf local, domain;
    bool ok;

    buf_init(&local, ADDRESS_KEY_MAX);
    buf_init(&domain, ADDRESS_KEY_MAX);
    address_put_local(a, &local);
    address_put_domain(a, &domain);
    ok = buf_ok(&local) && buf_ok(&domain) &&
         mailbox_print(buf_str(&local), buf_str(&domain), out) == 0;
    buf_done(&local);
    buf_done(&domain);
    return ok;
}

static void map_one(struct splice *s, const struct address *a)
{
    struct buf address, mapped;

    if (a->kind != ADDRESS_MAILBOX || !a->has_domain || a->bad || !a->local.n || !a->domain.n)
        return;
    buf_init(&address, ADDRESS_KEY_MAX);
    buf_init(&mapped, ADDRESS_KEY_MAX);
    if (print_address(a, &address) &&
        s->m->map(s->m->arg, s->m->sender, buf_str(&address), &mapped)) {
        buf_put(&s->out, str_of(s->done, (size_t)(a->local.p - s->done)));
        buf_put(&s->out, buf_str(&mapped));
        s->done = a->domain.p + a->domain.n;
        s->changed = true;
        s->out.bad |= !buf_ok(&mapped);
    }
    buf_done(&address);
    buf_done(&mapped);
}

/* Puts the field that is held, mapped. */
static void put_field(struct header_map *m)
{
    struct str field = buf_str(&m->held);
    struct splice s = {.m = m, .done = field.p};
    struct address_list list = address_list(str_from(field, (size_t)(str_find(field, ':') + 1)));
    struct address a;

    buf_init(&s.out, MAPPED_MAX);
    while (address_next(&list, &a))
        map_one(&s, &a);
    if (s.changed)
        buf_put(&s.out, str_of(s.done, (size_t)(field.p + field.n - s.done)));
    m->failed |= !buf_ok(&s.out);
    m->put(m->arg, s.changed ? buf_str(&s.out) : field);
    buf_done(&s.out);
    buf_clear(&m->held);
    m->is_held = false;
}

static void put_held(struct header_map *m)
{
    if (buf_len(&m->held))
        m->put(m->arg, buf_str(&m->held));
    buf_clear(&m->held);
    m->is_held = false;
}

/* ---- lines */

static bool is_mbox_line(struct str held)
{
    return str_eq(held, STR("From ")) || str_eq(held, STR(">From "));
}

/* The line is no field: of the first one that means there is no header. */
static void take_junk(struct header_map *m, bool mbox)
{
    put_held(m);
    if (m->first && !mbox)
        m->ended = true;
    m->state = IN_LINE;
}

/* The octet behind a name and its white space. */
static void behind_name(struct header_map *m, char c)
{
    struct str held = buf_str(&m->held), name = str_trim(held);
    enum header_id id;

    if (c != ':' || !name.n) {
        take_junk(m, is_mbox_line(str_head(held, name.n + 1)) && held.n > name.n);
        return;
    }
    id = header_id(name);
    m->sender = id == HEADER_FROM || id == HEADER_SENDER || id == HEADER_REPLY_TO;
    if (!m->sender && id != HEADER_TO && id != HEADER_CC) {
        put_held(m);
        m->state = IN_LINE;
        return;
    }
    m->is_held = true;
    m->state = IN_FIELD;
}

static void at_line_start(struct header_map *m, char c)
{
    if (m->is_held && (c == ' ' || c == '\t')) {
        m->state = IN_FIELD;
        return;
    }
    if (m->is_held)
        put_field(m);
    if (c == '\n')
        m->ended = true;
    else if (c == '\r')
        m->state = AFTER_CR;
    else if (c == ' ' || c == '\t')
        m->state = IN_LINE;
    else
        m->state = IN_NAME;
}

/* What the octet means; it is held or passed by the state that it leads to. */
static void look_at(struct header_map *m, char c)
{
    if (m->state == LINE_START)
        at_line_start(m, c);
    if (m->state == IN_NAME && !mail_is(c, CHAR_FTEXT)) {
        if ((c == ' ' || c == '\t') && buf_len(&m->held))
            m->state = BEFORE_COLON;
        else
            behind_name(m, c);
    } else if (m->state == IN_NAME && buf_len(&m->held) >= HEADER_NAME_MAX) {
        take_junk(m, false);
    } else if (m->state == BEFORE_COLON && c != ' ' && c != '\t') {
        behind_name(m, c);
    } else if (m->state == AFTER_CR && c == '\n') {
        m->ended = true;
    } else if (m->state == AFTER_CR && c != '\r') {
        take_junk(m, false);
    }
}

static bool holds(const struct header_map *m)
{
    return !m->ended && (m->state == IN_NAME || m->state == BEFORE_COLON || m->state == IN_FIELD);
}

/* Holds an octet; what is too long to be held passes from here on. */
static void hold(struct header_map *m, char c)
{
    if (buf_len(&m->held) < HEADER_MAP_FIELD_MAX) {
        m->failed |= buf_put_c(&m->held, c) < 0;
        return;
    }
    put_held(m);
    m->put(m->arg, str_of(&c, 1));
    m->state = IN_LINE;
}

static void take_char(struct header_map *m, const char *c)
{
    look_at(m, *c);
    if (holds(m))
        hold(m, *c);
    else
        m->put(m->arg, str_of(c, 1));
    if (*c == '\n' && !m->ended) {
        m->state = LINE_START;
        m->first = false;
    }
}

void header_map_feed(struct header_map *m, struct str run)
{
    while (run.n && !m->ended && !m->failed) {
        if (m->state == IN_LINE) {
            const char *lf = memchr(run.p, '\n', run.n);
            size_t n = lf ? (size_t)(lf - run.p) : run.n;
            if (n)
                m->put(m->arg, str_head(run, n));
            run = str_from(run, n);
            if (!run.n)
                return;
        }
        take_char(m, run.p);
        run = str_from(run, 1);
    }
    if (run.n && !m->failed)
        m->put(m->arg, run);
}

void header_map_finish(struct header_map *m)
{
    if (m->failed)
        return;
    if (m->is_held)
        put_field(m);
    else
        put_held(m);
    m->ended = true;
}
