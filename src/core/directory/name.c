#include "core/directory/directory_int.h"

static int name_store(struct name *n, const struct buf *key, struct err *e)
{
    struct str s = buf_str(key);
    ptrdiff_t at = str_find_last(s, '@');

    if (!buf_ok(key) || s.n > sizeof n->octets)
        return err_memory(e, "directory");
    memcpy(n->octets, s.p, s.n);
    n->key = str_of(n->octets, s.n);
    n->local = str_head(n->key, at < 0 ? 0 : (size_t)at);
    n->domain = str_from(n->key, at < 0 ? 0 : (size_t)at + 1);
    return 0;
}

static bool is_own_literal(const struct directory *d, struct str domain)
{
    uint8_t address[16];

    if (!domain_address(domain, address))
        return false;
    for (uint32_t i = 0; i < d->settings.literal_count; i++)
        if (memcmp(d->settings.literals[i], address, sizeof address) == 0)
            return true;
    return false;
}

static int no_home(struct err *e)
{
    return err_set_status(
        e, ERR_PERMANENT, (struct err_status){5, 1, 2}, "directory", "no domain is delivered here");
}

int name_parse(struct directory *d, struct str address, struct name *n, struct err *e)
{
    struct buf *key = &d->scratch;
    char storage[ADDRESS_LOCAL_MAX];
    struct mailbox m;

    buf_clear(key);
    /* RFC 5321 4.5.1: postmaster without a domain, in any case */
    if (str_eq_ascii(address, STR("postmaster"))) {
        if (!d->home)
            return no_home(e);
        buf_put(key, STR("postmaster@"));
        buf_put(key, str_of(d->home->name, d->home->size));
        return name_store(n, key, e);
    }
    if (mailbox_parse(address, &m, e) < 0)
        return -1;
    if (m.kind == DOMAIN_NAME || !d->home || !is_own_literal(d, m.domain)) {
        if (mailbox_key(&m, key, e) < 0)
            return -1;
        return name_store(n, key, e);
    }
    if (local_canonical(mailbox_local(&m, storage), key, e) < 0)
        return -1;
    buf_put_c(key, '@');
    buf_put(key, str_of(d->home->name, d->home->size));
    return name_store(n, key, e);
}

int name_domain(struct directory *d, struct str domain, struct name *n, struct err *e)
{
    enum domain_kind kind;

    buf_clear(&d->scratch);
    if (domain_parse(domain, &kind, e) < 0 || domain_canonical(domain, &d->scratch, e) < 0)
        return -1;
    if (kind != DOMAIN_NAME)
        return err_set(e, ERR_PERMANENT, "directory", "an address literal is not a domain");
    if (name_store(n, &d->scratch, e) < 0)
        return -1;
    n->domain = n->key;
    return 0;
}

int name_parse_alias(struct directory *d, struct str address, struct name *n, struct err *e)
{
    enum domain_kind kind;

    if (!str_starts(address, STR("@")))
        return name_parse(d, address, n, e);
    address = str_from(address, 1);
    buf_clear(&d->scratch);
    buf_put_c(&d->scratch, '@');
    if (domain_parse(address, &kind, e) < 0 || domain_canonical(address, &d->scratch, e) < 0)
        return -1;
    return name_store(n, &d->scratch, e);
}
