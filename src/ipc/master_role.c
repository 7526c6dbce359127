#include "ipc/master_role.h"

static const char *const kind_names[ROLE_KINDS] = {"core", "inbound", "resolver", "outbound"};
static const char *const class_names[] = {"", "mx", "client"};

enum {
    NAME_MAX_OCTETS = 16, /* of a role */
};

const char *role_kind_name(enum role_kind kind)
{
    return kind_names[kind];
}

const char *role_class_name(enum role_class class)
{
    return class_names[class];
}

/* The names of roles are literals: one that a peer sent is looked up. */
static const char *find_name(struct str name)
{
    if (str_eq(name, STR("master")))
        return "master";
    for (size_t i = 0; i < ROLE_KINDS; i++)
        if (str_eq(name, str_c(kind_names[i])))
            return kind_names[i];
    return NULL;
}

static enum role_class dec_class(struct dec *d)
{
    uint8_t v = dec_u8(d);

    if (v > CLASS_CLIENT) {
        d->bad = true;
        return CLASS_NONE;
    }
    return (enum role_class)v;
}

static enum role_kind dec_kind(struct dec *d)
{
    uint8_t v = dec_u8(d);

    if (v >= ROLE_KINDS) {
        d->bad = true;
        return ROLE_CORE;
    }
    return (enum role_kind)v;
}

void mr_hello_encode(const struct mr_hello *v, struct buf *out)
{
    enc_u8(out, (uint8_t)v->kind);
    enc_u8(out, (uint8_t)v->class);
    enc_u16(out, v->index);
    enc_u16(out, v->count);
    enc_u32(out, v->number);
    enc_u32(out, v->generation);
    enc_u32(out, v->restarts);
}

int mr_hello_decode(struct str p, struct mr_hello *v, struct err *e)
{
    struct dec d = dec_of(p);

    *v = (struct mr_hello){.kind = dec_kind(&d)};
    v->class = dec_class(&d);
    v->index = dec_u16(&d);
    v->count = dec_u16(&d);
    v->number = dec_u32(&d);
    v->generation = dec_u32(&d);
    v->restarts = dec_u32(&d);
    d.bad |= v->index >= v->count;
    return dec_done(&d, "hello", e);
}

void mr_peer_encode(const struct role_peer *v, struct buf *out)
{
    enc_u8(out, (uint8_t)v->kind);
    enc_u8(out, (uint8_t)v->class);
    enc_u16(out, v->index);
    enc_u32(out, v->number);
}

int mr_peer_decode(struct str p, struct role_peer *v, struct err *e)
{
    struct dec d = dec_of(p);

    *v = (struct role_peer){.kind = dec_kind(&d)};
    v->class = dec_class(&d);
    v->index = dec_u16(&d);
    v->number = dec_u32(&d);
    return dec_done(&d, "peer", e);
}

void mr_listener_encode(const struct role_listener *v, struct buf *out)
{
    enc_u16(out, v->listen);
    enc_u16(out, v->address);
}

int mr_listener_decode(struct str p, struct role_listener *v, struct err *e)
{
    struct dec d = dec_of(p);

    *v = (struct role_listener){.fd = -1};
    v->listen = dec_u16(&d);
    v->address = dec_u16(&d);
    return dec_done(&d, "listener", e);
}

void mr_ban_encode(const struct role_ban *v, struct buf *out)
{
    buf_put(out, str_of((const char *)v->address, sizeof v->address));
    enc_bool(out, v->network);
    enc_u64(out, v->left_ms);
}

int mr_ban_decode(struct str p, struct role_ban *v, struct err *e)
{
    struct dec d = dec_of(p);

    *v = (struct role_ban){0};
    for (size_t i = 0; i < sizeof v->address; i++)
        v->address[i] = dec_u8(&d);
    v->network = dec_bool(&d);
    v->left_ms = dec_u64(&d);
    return dec_done(&d, "ban", e);
}

void mr_process_encode(const struct role_process *v, struct buf *out)
{
    enc_str(out, str_c(v->role));
    enc_u8(out, (uint8_t)v->class);
    enc_u16(out, v->index);
    enc_u32(out, v->pid);
    enc_u32(out, v->generation);
    enc_u32(out, v->restarts);
    enc_u64(out, v->uptime_ms);
    enc_bool(out, v->ready);
    enc_bool(out, v->draining);
}

static void process_decode(struct dec *d, struct role_process *v)
{
    *v = (struct role_process){.role = find_name(dec_str(d, NAME_MAX_OCTETS))};
    v->class = dec_class(d);
    v->index = dec_u16(d);
    v->pid = dec_u32(d);
    v->generation = dec_u32(d);
    v->restarts = dec_u32(d);
    v->uptime_ms = dec_u64(d);
    v->ready = dec_bool(d);
    v->draining = dec_bool(d);
    d->bad |= !v->role;
}

int mr_processes_decode(
    struct arena *a, struct str p, struct role_process **v, uint32_t *count, struct err *e)
{
    struct dec d = dec_of(p);
    struct role_process one, *all;
    uint32_t n = 0;

    while (!d.bad && d.rest.n) {
        process_decode(&d, &one);
        d.bad |= ++n > MR_PROCESSES_MAX;
    }
    d.bad |= n == 0;
    if (d.bad)
        return dec_done(&d, "processes", e);
    all = arena_array(a, n, sizeof *all);
    if (!all)
        return err_memory(e, "role");
    d = dec_of(p);
    for (uint32_t i = 0; i < n; i++)
        process_decode(&d, &all[i]);
    *v = all;
    *count = n;
    return dec_done(&d, "processes", e);
}

void mr_reload_encode(const struct err *outcome, struct str problems, struct buf *out)
{
    enc_err(out, outcome);
    enc_str(out, str_head(problems, MR_PROBLEMS_MAX));
}

int mr_reload_decode(struct str p, struct err *outcome, struct str *problems, struct err *e)
{
    struct dec d = dec_of(p);

    dec_err(&d, outcome);
    *problems = dec_str(&d, MR_PROBLEMS_MAX);
    return dec_done(&d, "reload", e);
}
