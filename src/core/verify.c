#include "core/verify.h"

#include "base/list.h"
#include "base/mem.h"
#include "base/table.h"

#include "run/fiber.h"

enum {
    KEY_MAX = 1024,
    SAID_MAX = 160, /* of what the next hop said */
    NO_SHARE = 4,   /* one in so many may be a no */
};

struct entry {
    struct list link; /* in yes or no: the least recently used first; in none while it is new */
    uint64_t asked, until;     /* of now() */
    enum verify_answer answer; /* VERIFY_ASK: there was none yet */
    bool calling;
    uint16_t key_size;
    char *said;
    char key[];
};

struct verify {
    verify_call *call;
    void *arg;
    uint64_t (*now)(void);
    struct table entries;
    struct list yes, no;
    uint32_t yes_count, no_count, max;
    uint32_t calls;
    struct scope scope;
    struct cond answered;
};

static struct str entry_key(const void *p)
{
    const struct entry *entry = p;

    return str_of(entry->key, entry->key_size);
}

int verify_open(struct verify **out, const struct verify_settings *settings, struct err *e)
{
    struct verify *v = MEM_NEW(struct verify);

    if (!v)
        return err_memory(e, "verify");
    v->call = settings->call;
    v->arg = settings->arg;
    v->max = settings->entries_max;
    v->now = settings->now ? settings->now : run_now;
    table_init(&v->entries, entry_key, (size_t)v->max + VERIFY_CALLS_MAX);
    list_init(&v->yes);
    list_init(&v->no);
    scope_init(&v->scope);
    cond_init(&v->answered);
    *out = v;
    return 0;
}

static void entry_free(struct entry *entry)
{
    mem_free(entry->said);
    mem_free(entry);
}

void verify_close(struct verify **out)
{
    struct verify *v = *out;
    void *entry;

    if (!v)
        return;
    scope_cancel(&v->scope);
    scope_join(&v->scope);
    for (size_t i = 0; (entry = table_next(&v->entries, &i));)
        entry_free(entry);
    table_done(&v->entries);
    mem_free(v);
    *out = NULL;
}

/* ---- what is remembered */

static void unlink_entry(struct verify *v, struct entry *entry)
{
    if (!list_linked(&entry->link))
        return;
    list_remove(&entry->link);
    if (entry->answer == VERIFY_YES)
        v->yes_count--;
    else
        v->no_count--;
}

static void forget(struct verify *v, struct entry *entry)
{
    unlink_entry(v, entry);
    table_remove(&v->entries, entry_key(entry));
    entry_free(entry);
}

/* The oldest that nobody calls about. */
static bool forget_oldest(struct verify *v, struct list *list)
{
    LIST_EACH(link, list)
    {
        struct entry *entry = LIST_ENTRY(link, struct entry, link);
        if (entry->calling)
            continue;
        forget(v, entry);
        return true;
    }
    return false;
}

static void link_entry(struct verify *v, struct entry *entry)
{
    bool yes = entry->answer == VERIFY_YES;

    list_add(yes ? &v->yes : &v->no, &entry->link);
    if (yes)
        v->yes_count++;
    else
        v->no_count++;
    if (v->no_count > v->max / NO_SHARE)
        forget_oldest(v, &v->no);
    while (v->yes_count + v->no_count > v->max)
        if (!forget_oldest(v, &v->no) && !forget_oldest(v, &v->yes))
            break;
}

static void touch(struct verify *v, struct entry *entry)
{
    struct list *list = entry->answer == VERIFY_YES ? &v->yes : &v->no;

    list_remove(&entry->link);
    list_add(list, &entry->link);
}

static void say(const struct entry *entry, struct err *why)
{
    const char *said = entry->said ? entry->said : "";

    if (entry->answer == VERIFY_NO)
        err_set_status(why, ERR_PERMANENT, (struct err_status){5, 1, 1}, "verify",
            "the next hop does not take this recipient%s%s", *said ? ": " : "", said);
    else
        err_set_status(why, ERR_TEMPORARY, (struct err_status){4, 4, 3}, "verify",
            "the next hop cannot be asked about this recipient, try again later");
}

/* What the entry says now; VERIFY_ASK where it is too old. */
static enum verify_answer answer_of(struct verify *v, struct entry *entry, struct err *why)
{
    if (entry->answer == VERIFY_ASK || v->now() >= entry->until)
        return VERIFY_ASK;
    touch(v, entry);
    if (entry->answer != VERIFY_YES)
        say(entry, why);
    return entry->answer;
}

/* ---- calls */

struct calling {
    struct verify *v;
    struct entry *entry;
    uint16_t address_size;
    char address[];
};

static char *copy_text(const char *text)
{
    size_t n = strnlen(text, SAID_MAX);
    char *copy = mem_alloc(n + 1);

    if (copy) {
        memcpy(copy, text, n);
        copy[n] = '\0';
    }
    return copy;
}

/* A yes that is still good outlives a call that did not reach anybody. */
static void take_answer(
    struct verify *v, struct entry *entry, enum verify_answer answer, const struct err *why)
{
    static const uint64_t lives[] = {[VERIFY_YES] = VERIFY_GOOD_MS,
        [VERIFY_NO] = VERIFY_BAD_MS,
        [VERIFY_UNKNOWN] = VERIFY_FAILED_MS};

    entry->asked = v->now();
    if (answer == VERIFY_UNKNOWN && entry->answer == VERIFY_YES && v->now() < entry->until)
        return;
    unlink_entry(v, entry);
    mem_free(entry->said);
    entry->said = answer == VERIFY_NO ? copy_text(why->text) : NULL;
    entry->answer = answer;
    entry->until = v->now() + lives[answer];
    link_entry(v, entry);
}

static void call_fiber(void *arg)
{
    struct calling *c = arg;
    struct verify *v = c->v;
    struct err why = {0};
    enum verify_answer answer = VERIFY_YES;

    if (v->call(v->arg, str_of(c->address, c->address_size), &why) < 0)
        answer = why.class == ERR_PERMANENT ? VERIFY_NO : VERIFY_UNKNOWN;
    v->calls--;
    c->entry->calling = false;
    take_answer(v, c->entry, answer, &why);
    cond_wake_all(&v->answered);
    mem_free(c);
}

static struct entry *entry_get(struct verify *v, struct str key)
{
    struct entry *entry = table_find(&v->entries, key);

    if (entry || key.n > KEY_MAX)
        return entry;
    entry = mem_zalloc(sizeof *entry + key.n);
    if (!entry)
        return NULL;
    entry->answer = VERIFY_ASK;
    entry->key_size = (uint16_t)key.n;
    memcpy(entry->key, key.p, key.n);
    if (table_add(&v->entries, entry) == 0)
        return entry;
    mem_free(entry);
    return NULL;
}

static void start_call(struct verify *v, struct entry *entry, struct str address)
{
    struct calling *c = mem_zalloc(sizeof *c + address.n);

    if (!c)
        return;
    c->v = v;
    c->entry = entry;
    c->address_size = (uint16_t)address.n;
    memcpy(c->address, address.p, address.n);
    entry->calling = true;
    v->calls++;
    if (fiber_start(&v->scope, "verify", call_fiber, c, NULL) == 0)
        return;
    entry->calling = false;
    v->calls--;
    mem_free(c);
}

void verify_begin(struct verify *v, struct str key, struct str address)
{
    struct entry *entry;

    if (v->calls >= VERIFY_CALLS_MAX || v->scope.cancelled || address.n > KEY_MAX)
        return;
    entry = entry_get(v, key);
    if (!entry || entry->calling)
        return;
    start_call(v, entry, address);
    if (!entry->calling && entry->answer == VERIFY_ASK)
        forget(v, entry);
}

enum verify_answer verify_find(
    struct verify *v, struct str key, struct str address, struct err *why)
{
    struct entry *entry = table_find(&v->entries, key);
    enum verify_answer answer = entry ? answer_of(v, entry, why) : VERIFY_ASK;

    if (answer == VERIFY_YES && v->now() - entry->asked >= VERIFY_REFRESH_MS)
        verify_begin(v, key, address);
    return answer;
}

enum verify_answer verify_wait(
    struct verify *v, struct str key, struct str address, struct err *why)
{
    static const struct entry nobody = {.answer = VERIFY_UNKNOWN};

    verify_begin(v, key, address);
    for (;;) {
        struct entry *entry = table_find(&v->entries, key);
        enum verify_answer answer = entry ? answer_of(v, entry, why) : VERIFY_ASK;
        if (answer != VERIFY_ASK)
            return answer;
        if (!entry || !entry->calling || cond_wait(&v->answered, "next hop", NULL) < 0) {
            say(&nobody, why);
            return VERIFY_UNKNOWN;
        }
    }
}
