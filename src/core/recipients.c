#include "core/recipients.h"

#include "base/mem.h"

#include "mail/address.h"

#include "run/fiber.h"

#include "ipc/address_map.h"

#include "core/directory/directory.h"
#include "core/queue/route.h"

enum {
    SCRATCH_MAX = 4 << 20,
};

/* Routes as long as somebody goes by them: a reload does not wait for calls. */
struct ways {
    struct routes *routes;
    uint32_t users; /* the recipients, while they are the present ones, and calls */
};

struct recipients {
    const struct sys *sys;
    const struct config *config;
    const struct event *event;
    struct directory *directory;
    int (*probe)(void *arg, const struct route *route, struct str address, struct err *why);
    void *arg;
    struct address_maps *maps;
    struct ways *ways; /* to next hops that are asked */
    struct forward *forward;
    struct verify *verify;
};

/* ---- its life */

static int ways_make(const struct config *config, struct ways **out, struct err *e)
{
    struct ways *ways = MEM_NEW(struct ways);

    if (!ways)
        return err_memory(e, "recipients");
    if (routes_make(config, &ways->routes, e) < 0) {
        mem_free(ways);
        return -1;
    }
    ways->users = 1;
    *out = ways;
    return 0;
}

static void ways_leave(struct ways *ways)
{
    if (!ways || --ways->users)
        return;
    routes_free(&ways->routes);
    mem_free(ways);
}

/* What is discarded or kept is taken by nobody else. */
static bool has_hosts(const struct route *route)
{
    return route->kind != ROUTE_NULL && route->kind != ROUTE_HOLD;
}

static int call_next_hop(void *arg, struct str address, struct err *why)
{
    struct recipients *r = arg;
    struct ways *ways = r->ways;
    struct arena scratch;
    struct route route;
    int status = -1;

    ways->users++;
    arena_init(&scratch, SCRATCH_MAX);
    if (!r->probe)
        err_set(why, ERR_TEMPORARY, "recipients", "nobody to ask");
    else if (routes_find(ways->routes, &scratch, STR_NONE, address, &route, why) == 0)
        status = has_hosts(&route) ? r->probe(r->arg, &route, address, why) : 0;
    arena_done(&scratch);
    ways_leave(ways);
    return status;
}

int recipients_open(
    struct recipients **out, const struct recipients_settings *settings, struct err *e)
{
    struct recipients *r = MEM_NEW(struct recipients);
    const struct verify_settings verify = {
        .call = call_next_hop, .arg = r, .entries_max = VERIFY_ENTRIES_MAX};

    if (!r)
        return err_memory(e, "recipients");
    r->sys = settings->sys;
    r->config = settings->config;
    r->event = settings->event;
    r->directory = settings->directory;
    r->probe = settings->probe;
    r->arg = settings->arg;
    if (address_maps_make(r->config, &r->maps, e) < 0 || ways_make(r->config, &r->ways, e) < 0 ||
        forward_open(&r->forward, r->sys, r->config, r->directory, e) < 0 ||
        verify_open(&r->verify, &verify, e) < 0) {
        recipients_close(&r);
        return -1;
    }
    *out = r;
    return 0;
}

void recipients_stop(struct recipients *r)
{
    if (r)
        verify_close(&r->verify);
}

void recipients_close(struct recipients **out)
{
    struct recipients *r = *out;

    if (!r)
        return;
    recipients_stop(r);
    forward_close(&r->forward);
    ways_leave(r->ways);
    address_maps_free(&r->maps);
    mem_free(r);
    *out = NULL;
}

void recipients_reconfigure(struct recipients *r, const struct config *config)
{
    struct address_maps *maps;
    struct ways *ways;
    struct err e;

    r->config = config;
    if (address_maps_make(config, &maps, &e) == 0) {
        address_maps_free(&r->maps);
        r->maps = maps;
    } else {
        log_error(r->event, "maps_not_made", kv_err(&e));
    }
    if (ways_make(config, &ways, &e) == 0) {
        ways_leave(r->ways);
        r->ways = ways;
    } else {
        log_error(r->event, "routes_not_made", kv_err(&e));
    }
    if (forward_reconfigure(r->forward, config, &e) < 0)
        log_error(r->event, "keys_not_read", kv_err(&e));
}

struct forward *recipients_forward(const struct recipients *r)
{
    return r->forward;
}

/* ---- one recipient */

/* Who it is about, and what may be done with it. */
struct subject {
    struct str address; /* behind maps and the way back */
    enum ic_right right;
};

/* A stranger's report to an address that forwarding made goes to whom that address stands for, and
 * nothing else does: else it would be a way to relay for whoever got a forwarded message. */
static int take_back(struct recipients *r, struct arena *a, enum ic_right right,
    struct str reverse_path, struct subject *s, struct err *e)
{
    struct str behind;
    int status = forward_back(r->forward, a, s->address, &behind, e);

    if (status <= 0)
        return status;
    if (right == IC_STRANGER && reverse_path.n)
        return err_set_status(e, ERR_PERMANENT, (struct err_status){5, 7, 1}, "recipients",
            "this address takes reports only (MAIL FROM:<>)");
    s->address = behind;
    s->right = IC_TRUSTED;
    return 0;
}

static int make_subject(struct recipients *r, struct arena *a, enum ic_right right,
    struct str reverse_path, struct str address, struct subject *s, struct err *e)
{
    struct buf mapped;
    bool ok = true;

    *s = (struct subject){.address = address, .right = right};
    buf_init(&mapped, ADDRESS_KEY_MAX);
    if (address_map(r->maps, MAP_RECIPIENT, address, &mapped))
        ok = buf_ok(&mapped) && arena_dup(a, buf_str(&mapped), &s->address);
    buf_done(&mapped);
    return ok ? take_back(r, a, right, reverse_path, s, e) : err_memory(e, "recipients");
}

/* ---- RCPT */

static struct str key_of(struct str address, struct buf *key)
{
    struct mailbox m;

    if (mailbox_parse(address, &m, NULL) < 0 || mailbox_key(&m, key, NULL) < 0)
        return STR_NONE;
    return buf_str(key);
}

enum phase {
    LOOK,  /* without waiting: false where that is needed */
    BEGIN, /* the same, and calls are begun */
    WAIT,
};

static bool ask_next_hop(
    struct recipients *r, struct str address, enum phase phase, struct ic_rcpt_answer *answer)
{
    enum verify_answer said;
    struct buf key;

    buf_init(&key, ADDRESS_KEY_MAX);
    key_of(address, &key);
    said = verify_find(r->verify, buf_str(&key), address, &answer->why);
    if (said == VERIFY_ASK && phase == BEGIN)
        verify_begin(r->verify, buf_str(&key), address);
    else if (said == VERIFY_ASK && phase == WAIT)
        said = verify_wait(r->verify, buf_str(&key), address, &answer->why);
    buf_done(&key);
    if (said == VERIFY_NO || said == VERIFY_UNKNOWN)
        answer->verdict = IC_REFUSED;
    return said != VERIFY_ASK;
}

static bool answer_one(struct recipients *r, struct arena *a, enum ic_right right,
    const struct ic_rcpt *ask, uint32_t i, enum phase phase, struct ic_rcpt_answer *answer)
{
    struct resolution found;
    struct subject s;

    *answer = (struct ic_rcpt_answer){.verdict = IC_REFUSED};
    if (make_subject(r, a, right, ask->reverse_path, ask->address[i], &s, &answer->why) < 0)
        return true;
    directory_resolve(r->directory, s.address, s.right, &found);
    answer->verdict = found.verdict;
    answer->why = found.why;
    if (found.cold)
        return false;
    return !found.ask || ask_next_hop(r, s.address, phase, answer);
}

static bool answer_all(struct recipients *r, struct arena *a, enum ic_right right,
    const struct ic_rcpt *ask, enum phase phase, struct ic_rcpt_answer *answer)
{
    bool all = true;

    for (uint32_t i = 0; i < ask->count; i++) {
        all &= answer_one(r, a, right, ask, i, phase, &answer[i]);
        if (!all && phase == LOOK)
            return false;
    }
    return all;
}

bool recipients_answer(struct recipients *r, enum ic_right right, const struct ic_rcpt *ask,
    struct ic_rcpt_answer *answer)
{
    struct arena scratch;
    uint64_t before;
    bool all;

    arena_init(&scratch, SCRATCH_MAX);
    if (!fiber_running()) {
        all = answer_all(r, &scratch, right, ask, LOOK, answer);
    } else {
        before = fiber_deadline_shorten(run_now() + VERIFY_WAIT_MS);
        all = answer_all(r, &scratch, right, ask, BEGIN, answer) ||
              answer_all(r, &scratch, right, ask, WAIT, answer);
        fiber_deadline_restore(before);
    }
    arena_done(&scratch);
    return all;
}

/* ---- the commit */

static int map_sender(
    struct recipients *r, struct arena *a, struct ic_envelope *envelope, struct err *e)
{
    struct buf mapped;
    bool ok = true;

    buf_init(&mapped, ADDRESS_KEY_MAX);
    if (address_map(r->maps, MAP_SENDER, envelope->reverse_path, &mapped))
        ok = buf_ok(&mapped) && arena_dup(a, buf_str(&mapped), &envelope->reverse_path);
    buf_done(&mapped);
    return ok ? 0 : err_memory(e, "recipients");
}

/* RFC 3461 4.1: who asked for reports of success alone wants no others. */
static void ignore_success(struct ic_envelope *envelope)
{
    for (uint32_t i = 0; i < envelope->count; i++) {
        uint8_t *notify = &envelope->rcpt[i].notify;
        if (*notify & IC_NOTIFY_SUCCESS)
            *notify &= (uint8_t)~IC_NOTIFY_SUCCESS;
        else
            continue;
        if (*notify == IC_NOTIFY_DEFAULT)
            *notify = IC_NOTIFY_NEVER;
    }
}

static int add_bcc(struct arena *a, struct str address, struct ic_envelope *envelope, struct err *e)
{
    struct ic_recipient *all = arena_array(a, (size_t)envelope->count + 1, sizeof *all);

    if (!all || !arena_dup(a, address, &all[envelope->count].address))
        return err_memory(e, "recipients");
    memcpy(all, envelope->rcpt, envelope->count * sizeof *all);
    all[envelope->count].notify = IC_NOTIFY_NEVER;
    envelope->rcpt = all;
    envelope->count++;
    return 0;
}

static int make_given(struct recipients *r, struct arena *a, enum ic_right right,
    const struct ic_envelope *envelope, uint32_t own, struct directory_given *given, struct err *e)
{
    for (uint32_t i = 0; i < envelope->count; i++) {
        struct subject s;
        if (make_subject(r, a, i < own ? right : IC_TRUSTED, envelope->reverse_path,
                envelope->rcpt[i].address, &s, e) < 0)
            return -1;
        given[i] = (struct directory_given){s.address, s.right};
    }
    return 0;
}

int recipients_expand(struct recipients *r, struct arena *a, enum ic_right right,
    struct ic_envelope *envelope, uint32_t *own, struct target **target, uint32_t *count,
    struct err *e)
{
    struct directory_given *given;

    *own = envelope->count;
    if (right == IC_STRANGER && !r->config->dsn.strangers)
        ignore_success(envelope);
    if (r->config->always_bcc.n && add_bcc(a, r->config->always_bcc, envelope, e) < 0)
        return -1;
    given = arena_array(a, envelope->count, sizeof *given);
    if (!given)
        return err_memory(e, "recipients");
    /* The way back looks at the reverse-path as it was at RCPT. */
    if (make_given(r, a, right, envelope, *own, given, e) < 0 || map_sender(r, a, envelope, e) < 0)
        return -1;
    return directory_expand(r->directory, a, given, envelope->count, target, count, e);
}

int recipients_expand_own(struct recipients *r, struct arena *a, const struct ic_envelope *envelope,
    struct target **target, uint32_t *count, struct err *e)
{
    struct directory_given *given = arena_array(a, envelope->count, sizeof *given);

    if (!given)
        return err_memory(e, "recipients");
    if (make_given(r, a, IC_TRUSTED, envelope, envelope->count, given, e) < 0)
        return -1;
    return directory_expand(r->directory, a, given, envelope->count, target, count, e);
}
