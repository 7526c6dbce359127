/* Mailboxes and address lists: what is parsed can be printed and parsed again; slices lie within.
 */
#include "mail/address.h"

#include "base/check.h"
#include "base/utf8.h"

#include "mail/address_list.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_key(const struct mailbox *m, const struct mailbox *again)
{
    struct buf key, other;
    buf_init(&key, ADDRESS_KEY_MAX);
    buf_init(&other, ADDRESS_KEY_MAX);
    CHECK(mailbox_key(m, &key, NULL) == 0 && mailbox_key(again, &other, NULL) == 0);
    CHECK(str_eq(buf_str(&key), buf_str(&other)));
    CHECK(utf8_valid(buf_str(&key)) && str_find_last(buf_str(&key), '@') >= 0);
    buf_done(&key);
    buf_done(&other);
}

static void fuzz_mailbox(struct str s)
{
    struct mailbox m, again;
    if (mailbox_parse(s, &m, NULL) < 0)
        return;
    CHECK(m.local.n + 1 + m.domain.n == s.n && s.n <= ADDRESS_MAX);
    CHECK(m.utf8 == !ascii_only(s));
    char storage[ADDRESS_LOCAL_MAX], other[ADDRESS_LOCAL_MAX];
    struct str local = mailbox_local(&m, storage);
    struct buf printed;
    buf_init(&printed, 2 * ADDRESS_MAX);
    CHECK(mailbox_print(local, m.domain, &printed) == 0);
    /* quoting may be dropped or a quoted pair be none: never longer than it was */
    CHECK(buf_len(&printed) <= s.n);
    CHECK(mailbox_parse(buf_str(&printed), &again, NULL) == 0);
    CHECK(str_eq(mailbox_local(&again, other), local) && str_eq(again.domain, m.domain));
    check_key(&m, &again);
    buf_done(&printed);
}

static void check_within(struct str part, struct str s)
{
    CHECK(part.n == 0 || (part.p >= s.p && part.p + part.n <= s.p + s.n));
}

static void fuzz_list(struct str s)
{
    struct address_list l = address_list(s);
    struct address a;
    size_t n = 0;
    while (address_next(&l, &a)) {
        struct buf out;
        check_within(a.name, s);
        check_within(a.route, s);
        check_within(a.local, s);
        check_within(a.domain, s);
        buf_init(&out, 2 * s.n + 16);
        address_put_name(&a, &out);
        buf_clear(&out);
        address_put_local(&a, &out);
        buf_clear(&out);
        address_put_domain(&a, &out);
        buf_clear(&out);
        address_put_route(&a, &out);
        CHECK(buf_ok(&out));
        buf_done(&out);
        CHECK(n++ <= 2 * s.n + 2);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str s = str_of((const char *)data, size);
    struct str rest = s, domain;
    enum domain_kind kind;
    fuzz_mailbox(s);
    fuzz_list(s);
    if (domain_scan(&rest, &domain, &kind, NULL) == 0) {
        struct buf out, twice;
        buf_init(&out, ADDRESS_KEY_MAX);
        buf_init(&twice, ADDRESS_KEY_MAX);
        CHECK(domain_canonical(domain, &out, NULL) == 0);
        CHECK(domain_canonical(buf_str(&out), &twice, NULL) == 0);
        CHECK(str_eq(buf_str(&out), buf_str(&twice)));
        buf_done(&out);
        buf_done(&twice);
    }
    return 0;
}
