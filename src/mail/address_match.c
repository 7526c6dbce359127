#include "mail/address_match.h"

#include "base/mem.h"

#include "mail/address.h"

/* Its form tells what it is: "user@d", "d", ".d" for "*.d", "*". */
struct pattern {
    const void *value;
    uint16_t size;
    char form[];
};

static struct str pattern_form(const void *entry)
{
    const struct pattern *p = entry;

    return str_of(p->form, p->size);
}

void address_match_init(struct address_match *m, size_t max)
{
    table_init(&m->patterns, pattern_form, max);
}

void address_match_done(struct address_match *m)
{
    void *entry;

    for (size_t i = 0; (entry = table_next(&m->patterns, &i));)
        mem_free(entry);
    table_done(&m->patterns);
}

static int domain_form(struct str domain, struct buf *form, struct err *e)
{
    enum domain_kind kind;

    return domain_parse(domain, &kind, e) < 0 || domain_canonical(domain, form, e) < 0 ? -1 : 0;
}

static int make_form(struct str pattern, struct buf *form, struct err *e)
{
    struct mailbox m;

    if (str_eq(pattern, STR("*")))
        return buf_put(form, pattern);
    if (str_find(pattern, '@') > 0)
        return mailbox_parse(pattern, &m, e) < 0 ? -1 : mailbox_key(&m, form, e);
    if (str_starts(pattern, STR("@")))
        pattern = str_from(pattern, 1);
    if (str_starts(pattern, STR("*."))) {
        buf_put_c(form, '.');
        pattern = str_from(pattern, 2);
    }
    return domain_form(pattern, form, e);
}

static int add_form(struct address_match *m, struct str form, const void *value)
{
    struct pattern *p = mem_zalloc(sizeof *p + form.n);
    int status;

    if (!p)
        return -1;
    p->value = value;
    p->size = (uint16_t)form.n;
    memcpy(p->form, form.p, form.n);
    status = table_add(&m->patterns, p);
    if (status != 0)
        mem_free(p);
    return status;
}

int address_match_add(struct address_match *m, struct str pattern, const void *value, struct err *e)
{
    struct buf form;
    int status;

    buf_init(&form, ADDRESS_KEY_MAX);
    status = make_form(pattern, &form, e);
    if (status == 0 && !buf_ok(&form))
        status = err_memory(e, "address_match");
    if (status == 0 && (status = add_form(m, buf_str(&form), value)) < 0)
        err_memory(e, "address_match");
    buf_done(&form);
    return status;
}

static bool look(const struct address_match *m, struct str form, enum match_kind kind,
    const void **value, enum match_kind *found)
{
    const struct pattern *p = table_find(&m->patterns, form);

    if (!p)
        return false;
    *value = p->value;
    *found = kind;
    return true;
}

const void *address_match_find(const struct address_match *m, struct str key, enum match_kind *kind)
{
    struct str domain = str_from(key, (size_t)(str_find_last(key, '@') + 1));
    const void *value = NULL;

    *kind = MATCH_NONE;
    if (m->patterns.count == 0)
        return NULL;
    if (key.n &&
        (look(m, key, MATCH_USER, &value, kind) || look(m, domain, MATCH_DOMAIN, &value, kind)))
        return value;
    if (!str_starts(domain, STR("["))) {
        for (size_t i = 0; i < domain.n; i++)
            if (domain.p[i] == '.' && look(m, str_from(domain, i), MATCH_BELOW, &value, kind))
                return value;
    }
    look(m, STR("*"), MATCH_ANY, &value, kind);
    return value;
}
