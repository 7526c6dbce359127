#include "base/check.h"

#include "core/directory/directory_int.h"

/* An address on the way from one that was given to its final ones. In the arena. */
struct node {
    struct str key, text;
    const struct node *parent; /* the alias that named it */
    struct node *next;
    uint32_t given, depth;
    enum ic_right right; /* of one that was given */
};

struct expansion {
    struct directory *d;
    struct arena *arena;
    const struct table *overlay; /* alias edits that count as done, or NULL */
    struct node *first, *last;   /* what is still to do */
    struct table seen;           /* nodes by key */
    struct table accounts;       /* targets by account */
    struct target *target;
    uint32_t targets, cap;
    uint32_t mailboxes, elsewhere; /* kinds of targets that can be reached */
    const struct node *loop;       /* comes back to where it has been, and there is no account */
    struct err why;                /* the last refusal */
};

enum {
    SCRATCH_MAX = 16 << 20, /* octets for one expansion that nobody keeps */
    NODES_MAX = 2 * ENVELOPE_TARGETS_MAX,
};

static struct str node_key(const void *entry)
{
    return ((const struct node *)entry)->key;
}

static struct str target_account(const void *entry)
{
    const struct target *t = entry;
    return str_of((const char *)&t->account, sizeof t->account);
}

static void expansion_init(struct expansion *x, struct directory *d, struct arena *arena)
{
    *x = (struct expansion){.d = d, .arena = arena};
    table_init(&x->seen, node_key, NODES_MAX);
    table_init(&x->accounts, target_account, ENVELOPE_TARGETS_MAX);
}

static void expansion_done(struct expansion *x)
{
    table_done(&x->seen);
    table_done(&x->accounts);
}

static int push(
    struct expansion *x, struct str text, const struct node *parent, uint32_t given, struct err *e)
{
    struct node *node = ARENA_NEW(x->arena, struct node);

    if (!node || !arena_dup(x->arena, text, &node->text))
        return err_memory(e, "directory");
    node->parent = parent;
    node->given = given;
    node->depth = parent ? parent->depth + 1 : 0;
    node->right = IC_TRUSTED;
    if (x->last)
        x->last->next = node;
    else
        x->first = node;
    x->last = node;
    return 0;
}

/* Room for count targets in all; the accounts' table points into the array, so it is made anew. */
static int grow(struct expansion *x, struct err *e)
{
    uint32_t cap = x->cap ? 2 * x->cap : 8;
    struct target *more = arena_array(x->arena, cap, sizeof *more);

    if (!more)
        return err_memory(e, "directory");
    if (x->targets)
        memcpy(more, x->target, x->targets * sizeof *more);
    x->target = more;
    x->cap = cap;
    table_done(&x->accounts);
    for (uint32_t i = 0; i < x->targets; i++)
        if (more[i].kind == TARGET_ACCOUNT && table_add(&x->accounts, &more[i]) != 0)
            return err_memory(e, "directory");
    return 0;
}

static int emit(struct expansion *x, const struct node *node, uint64_t account, struct err *e)
{
    struct target *t;

    if (account && table_find(&x->accounts, str_of((const char *)&account, sizeof account)))
        return 0;
    if (x->targets >= ENVELOPE_TARGETS_MAX)
        return err_set_status(e, ERR_PERMANENT, (struct err_status){5, 5, 3}, "directory",
            "more than %d recipients after expanding aliases", ENVELOPE_TARGETS_MAX);
    if (x->targets == x->cap && grow(x, e) < 0)
        return -1;
    t = &x->target[x->targets++];
    *t = (struct target){
        .kind = account ? TARGET_ACCOUNT : TARGET_ADDRESS,
        .given = node->given,
        .account = account,
        .address = node->text,
    };
    if (account && table_add(&x->accounts, t) != 0)
        return err_memory(e, "directory");
    return 0;
}

static int emit_mailbox(
    struct expansion *x, const struct node *node, uint64_t account, struct err *e)
{
    x->mailboxes++;
    return emit(x, node, account, e);
}

static int emit_elsewhere(struct expansion *x, const struct node *node, struct err *e)
{
    x->elsewhere++;
    return emit(x, node, 0, e);
}

/* An address of ours that leads nowhere stays in the list: the queue returns it by name. */
static int emit_refused(
    struct expansion *x, const struct node *node, const struct err *why, struct err *e)
{
    x->why = *why;
    return emit(x, node, 0, e);
}

static const struct node *ancestor(const struct node *node, struct str key)
{
    for (const struct node *p = node->parent; p; p = p->parent)
        if (str_eq(p->key, key))
            return p;
    return NULL;
}

/* Back where it has been: an alias that names its own account delivers there; without one it is a
 * loop. An address that was reached another way is a duplicate. */
static int again(struct expansion *x, const struct node *node, const struct place *p, struct err *e)
{
    struct err why = {0};

    if (!ancestor(node, node->key) || p->kind != PLACE_ALIAS)
        return 0;
    if (p->account)
        return emit_mailbox(x, node, p->account, e);
    if (p->disabled)
        err_set_status(
            &why, ERR_PERMANENT, (struct err_status){5, 2, 1}, "directory", "mailbox is disabled");
    else
        err_set_status(
            &why, ERR_PERMANENT, (struct err_status){5, 4, 6}, "directory", "alias loop");
    if (!p->disabled)
        x->loop = node;
    return emit_refused(x, node, &why, e);
}

static int follow(struct expansion *x, const struct node *node, struct str lines, struct err *e)
{
    struct err why = {0};
    struct str line;

    if (node->depth >= DIRECTORY_DEPTH_MAX) {
        err_set_status(&why, ERR_PERMANENT, (struct err_status){5, 4, 6}, "directory",
            "aliases nested more than %d deep", DIRECTORY_DEPTH_MAX);
        return emit_refused(x, node, &why, e);
    }
    while (lines.n) {
        str_cut(&lines, '\n', &line);
        if (push(x, line, node, node->given, e) < 0)
            return -1;
    }
    return 0;
}

static void locate_with_overlay(struct expansion *x, const struct name *n, struct place *p)
{
    const struct alias_edit *edit = x->overlay ? table_find(x->overlay, n->key) : NULL;

    locate(x->d, n, p);
    if (edit && edit->targets) {
        p->kind = PLACE_ALIAS;
        p->targets = edit->lines;
    }
}

static int step(struct expansion *x, struct node *node, struct err *e)
{
    struct place p;
    struct name n;
    int status;

    if (name_parse_alias(x->d, node->text, &n, &p.why) < 0)
        return emit_refused(x, node, &p.why, e);
    if (!arena_dup(x->arena, n.key, &node->key))
        return err_memory(e, "directory");
    locate_with_overlay(x, &n, &p);
    status = table_add(&x->seen, node);
    if (status < 0)
        return err_memory(e, "directory");
    if (status > 0)
        return again(x, node, &p, e);
    switch (p.kind) {
    case PLACE_ACCOUNT:
        return emit_mailbox(x, node, p.account, e);
    case PLACE_ALIAS:
        return follow(x, node, p.targets, e);
    case PLACE_FOREIGN:
        if (node->right == IC_STRANGER)
            return err_set_status(
                e, ERR_PERMANENT, (struct err_status){5, 7, 1}, "directory", "relaying denied");
        return emit_elsewhere(x, node, e);
    case PLACE_RELAY:
        return emit_elsewhere(x, node, e);
    case PLACE_REFUSED:
        return emit_refused(x, node, &p.why, e);
    }
    UNREACHABLE();
}

static int expansion_run(struct expansion *x, struct err *e)
{
    uint32_t done = 0;

    for (struct node *node = x->first; node; node = node->next) {
        if (++done > NODES_MAX + ENVELOPE_TARGETS_MAX)
            return err_set_status(e, ERR_PERMANENT, (struct err_status){5, 5, 3}, "directory",
                "aliases lead to too many addresses");
        if (step(x, node, e) < 0)
            return -1;
    }
    return 0;
}

int directory_expand(struct directory *d, struct arena *a, const struct directory_given *given,
    uint32_t given_count, struct target **target, uint32_t *count, struct err *e)
{
    struct expansion x;
    int status = 0;

    expansion_init(&x, d, a);
    for (uint32_t i = 0; i < given_count && status == 0; i++) {
        status = push(&x, given[i].address, NULL, i, e);
        if (status == 0)
            x.last->right = given[i].right;
    }
    if (status == 0)
        status = expansion_run(&x, e);
    expansion_done(&x);
    if (status < 0)
        return -1;
    *target = x.target;
    *count = x.targets;
    return 0;
}

/* The verdict about an alias: where does it lead in the end? */
static void resolve_alias(struct directory *d, struct str address, struct resolution *r)
{
    struct expansion x;
    struct arena scratch;

    arena_init(&scratch, SCRATCH_MAX);
    expansion_init(&x, d, &scratch);
    if (push(&x, address, NULL, 0, &r->why) < 0 || expansion_run(&x, &r->why) < 0)
        r->verdict = IC_REFUSED;
    else if (x.mailboxes)
        r->verdict = IC_LOCAL;
    else if (x.elsewhere)
        r->verdict = IC_FORWARD;
    else {
        r->verdict = IC_REFUSED;
        r->why = x.why;
        r->cold = d->large && !fiber_running() && x.why.class == ERR_TEMPORARY;
    }
    expansion_done(&x);
    arena_done(&scratch);
}

void directory_resolve(
    struct directory *d, struct str address, enum ic_right right, struct resolution *r)
{
    struct place p;
    struct name n;

    *r = (struct resolution){.verdict = IC_REFUSED};
    if (name_parse(d, address, &n, &r->why) < 0)
        return;
    locate(d, &n, &p);
    switch (p.kind) {
    case PLACE_ACCOUNT:
        r->verdict = IC_LOCAL;
        return;
    case PLACE_ALIAS:
        resolve_alias(d, address, r);
        return;
    case PLACE_RELAY:
        r->verdict = IC_RELAY;
        r->ask = p.ask;
        return;
    case PLACE_FOREIGN:
        if (right == IC_TRUSTED)
            r->verdict = IC_RELAY;
        else
            err_set_status(&r->why, ERR_PERMANENT, (struct err_status){5, 7, 1}, "directory",
                "relaying denied");
        return;
    case PLACE_REFUSED:
        r->why = p.why;
        r->cold = p.cold;
        return;
    }
}

static const struct domain *find_domain(struct directory *d, struct str domain)
{
    struct name n;

    return name_domain(d, domain, &n, NULL) < 0 ? NULL : memory_domain(d, n.domain);
}

bool directory_has_domain(struct directory *d, struct str domain)
{
    return find_domain(d, domain) != NULL;
}

bool directory_is_local(struct directory *d, struct str domain)
{
    const struct domain *found = find_domain(d, domain);

    return found && !found->relay;
}

bool directory_refusal(struct directory *d, struct str address, struct err *why)
{
    struct domain *domain;
    struct resolution r;
    struct name n;

    if (name_parse(d, address, &n, why) < 0)
        return true;
    domain = memory_domain(d, n.domain);
    if (!domain || (domain->relay && domain->enabled))
        return false;
    directory_resolve(d, address, IC_TRUSTED, &r);
    if (r.verdict == IC_REFUSED)
        *why = r.why;
    else
        err_set_status(why, ERR_PERMANENT, (struct err_status){5, 4, 6}, "directory",
            "aliases lead nowhere, or too deep");
    return true;
}

/* "a@x -> b@x -> a@x" */
static int loop_error(const struct node *loop, struct err *e)
{
    const struct node *way[DIRECTORY_DEPTH_MAX + 2];
    unsigned n = 0;

    for (const struct node *p = loop; p && n < sizeof way / sizeof *way; p = p->parent)
        way[n++] = p;
    err_set(e, ERR_PERMANENT, "directory", "%.*s", STR_ARG(loop->text));
    for (unsigned i = 1; i < n; i++)
        err_prefix(e, "%.*s leads to", STR_ARG(way[i]->text));
    err_prefix(e, "alias loop");
    return -1;
}

int expand_check(
    struct directory *d, const struct table *overlay, const struct alias_edit *edit, struct err *e)
{
    struct expansion x;
    struct arena scratch;
    int status;

    arena_init(&scratch, SCRATCH_MAX);
    expansion_init(&x, d, &scratch);
    x.overlay = overlay;
    status = push(&x, edit->address, NULL, 0, e);
    if (status == 0)
        status = expansion_run(&x, e);
    if (status == 0 && x.loop)
        status = loop_error(x.loop, e);
    else if (status == 0 && x.why.status.subject == 4) {
        *e = x.why;
        status = -1;
    }
    expansion_done(&x);
    arena_done(&scratch);
    return status;
}
