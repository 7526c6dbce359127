#include "core/directory/directory_test.h"

/* example.test: alice (1), bob (2), carol (3, disabled), jörg (4); second.test: dora (5); and so on
 */
static void populate(struct directory *d)
{
    struct str list[] = {STR("known"), STR("other@listed.test")};
    struct directory_domain_new relay = {.name = STR("relay.test"), .relay = true};
    struct directory_domain_new listed = {.name = STR("listed.test"),
        .relay = true,
        .recipients = RECIPIENTS_LISTED,
        .list = list,
        .count = 2};
    struct directory_domain_new minus = {.name = STR("minus.test"), .separator = STR("-")};
    struct err e = {0};

    add_domain(d, "Example.TEST");
    add_account(d, "Alice@example.test");
    add_account(d, "bob@example.test");
    add_account(d, "carol@example.test");
    add_account(d, "j\xc3\xb6rg@example.test");
    must(directory_account_enable(d, STR("carol@example.test"), false, &e), &e);
    add_domain(d, "second.test");
    add_account(d, "dora@second.test");
    add_alias(d, "@second.test", "bob@example.test");
    must(directory_domain_add(d, &relay, &e), &e);
    must(directory_domain_add(d, &listed, &e), &e);
    must(directory_domain_add(d, &minus, &e), &e);
    add_account(d, "eve@minus.test");
    add_domain(d, "off.test");
    add_account(d, "fred@off.test");
    must(directory_domain_enable(d, STR("off.test"), false, &e), &e);
    add_domain(d, "b\xc3\xbc"
                  "cher.test");
    add_account(d, "leser@b\xc3\xbc"
                   "cher.test");
    add_alias(d, "sales@example.test", "alice@example.test");
    add_alias(d, "sales@example.test", "bob@example.test");
    add_alias(d, "team@example.test", "sales@example.test");
    add_alias(d, "away@example.test", "someone@elsewhere.test");
    add_alias(d, "mixed@example.test", "someone@elsewhere.test");
    add_alias(d, "mixed@example.test", "bob@example.test");
    add_alias(d, "gone@example.test", "carol@example.test");
    add_alias(d, "bob@example.test", "bob@example.test");
    add_alias(d, "bob@example.test", "copy@elsewhere.test");
}

enum {
    S = IC_STRANGER,
    T = IC_TRUSTED,
};

static const struct resolve_row {
    const char *address;
    int right, verdict;
    struct err_status status;
} resolve_rows[] = {
    {"alice@example.test", S, IC_LOCAL, {0}},
    {"ALICE@EXAMPLE.TEST", S, IC_LOCAL, {0}},              /* RFC 5321 2.4, our choice */
    {"\"alice\"@example.test", S, IC_LOCAL, {0}},          /* RFC 5321 4.1.2 */
    {"alice+news@example.test", S, IC_LOCAL, {0}},         /* the separator's default */
    {"alice-news@example.test", S, IC_REFUSED, {5, 1, 1}}, /* is another octet here */
    {"eve-news@minus.test", S, IC_LOCAL, {0}},             /* a domain's own separator */
    {"eve+news@minus.test", S, IC_REFUSED, {5, 1, 1}},     /* which is instead */
    {"+news@example.test", S, IC_REFUSED, {5, 1, 1}},      /* nothing before it */
    {"j\xc3\xb6rg@example.test", S, IC_LOCAL, {0}},        /* RFC 6531, NFC */
    {"J\xc3\x96RG@example.test", S, IC_LOCAL, {0}},        /* folded */
    {"jo\xcc\x88rg@example.test", S, IC_LOCAL, {0}},       /* decomposed */
    {"leser@xn--bcher-kva.test", S, IC_LOCAL, {0}},        /* RFC 5890 A-label */
    {"nobody@example.test", S, IC_REFUSED, {5, 1, 1}},
    {"carol@example.test", S, IC_REFUSED, {5, 2, 1}}, /* disabled */
    {"carol+x@example.test", S, IC_REFUSED, {5, 2, 1}},
    {"fred@off.test", S, IC_REFUSED, {5, 1, 2}}, /* its domain is */
    {"anybody@second.test", S, IC_LOCAL, {0}},   /* catch-all */
    {"dora@second.test", S, IC_LOCAL, {0}},
    {"sales@example.test", S, IC_LOCAL, {0}}, /* several targets */
    {"team@example.test", S, IC_LOCAL, {0}},  /* nested */
    {"away@example.test", S, IC_FORWARD, {0}},
    {"mixed@example.test", S, IC_LOCAL, {0}},
    {"gone@example.test", S, IC_REFUSED, {5, 2, 1}},
    {"bob@example.test", S, IC_LOCAL, {0}}, /* a copy for itself */
    {"postmaster", S, IC_LOCAL, {0}},       /* RFC 5321 4.5.1 */
    {"PostMaster", S, IC_LOCAL, {0}},
    {"postmaster@example.test", S, IC_LOCAL, {0}},
    {"postmaster@minus.test", S, IC_LOCAL, {0}},
    {"abuse@minus.test", S, IC_LOCAL, {0}}, /* RFC 2142 4 */
    {"hostmaster@minus.test", S, IC_REFUSED, {5, 1, 1}},
    {"alice@[192.0.2.1]", S, IC_LOCAL, {0}}, /* own literal, RFC 5321 4.1.3 */
    {"alice@[192.0.2.2]", S, IC_REFUSED, {5, 7, 1}},
    {"who@relay.test", S, IC_RELAY, {0}},
    {"known@listed.test", S, IC_RELAY, {0}},
    {"Other@listed.test", S, IC_RELAY, {0}},
    {"unknown@listed.test", S, IC_REFUSED, {5, 1, 1}},
    {"who@elsewhere.test", S, IC_REFUSED, {5, 7, 1}},
    {"who@elsewhere.test", T, IC_RELAY, {0}},
    {"nobody@example.test", T, IC_REFUSED, {5, 1, 1}}, /* trust makes no mailbox */
    {"alice", S, IC_REFUSED, {5, 1, 3}},
    {"alice@example.test.", S, IC_REFUSED, {5, 1, 3}}, /* hostile.md 56 */
    {"", S, IC_REFUSED, {5, 1, 3}},
};

static void check_resolve(struct directory *d)
{
    for (size_t i = 0; i < sizeof resolve_rows / sizeof *resolve_rows; i++) {
        const struct resolve_row *row = &resolve_rows[i];
        struct resolution r;
        directory_resolve(d, str_c(row->address), (enum ic_right)row->right, &r);
        if ((int)r.verdict != row->verdict || r.why.status.class != row->status.class ||
            r.why.status.subject != row->status.subject ||
            r.why.status.detail != row->status.detail)
            fail_msg("%s: %d %u.%u.%u %s", row->address, r.verdict, r.why.status.class,
                r.why.status.subject, r.why.status.detail, r.why.text);
    }
}

static const struct {
    const char *given, *targets; /* targets: "#account" or an address, in order */
} expand_rows[] = {
    {"alice@example.test", "#1"},
    {"alice@example.test alice+x@example.test", "#1"},
    {"alice@example.test who@relay.test", "#1 who@relay.test"},
    {"sales@example.test", "#1 #2 copy@elsewhere.test"},
    {"team@example.test alice@example.test", "#1 #2 copy@elsewhere.test"},
    {"mixed@example.test away@example.test", "someone@elsewhere.test #2 copy@elsewhere.test"},
    {"bob@example.test", "#2 copy@elsewhere.test"},
    {"gone@example.test", "carol@example.test"},
    {"nobody@example.test alice@example.test", "nobody@example.test #1"},
    {"postmaster", "#1"},
    {"postmaster@second.test abuse@minus.test", "#5 #6"},
    {"x@second.test", "#2 copy@elsewhere.test"},
};

static void check_expand(struct directory *d)
{
    struct arena a;
    struct err e = {0};

    arena_init(&a, 1 << 20);
    for (size_t i = 0; i < sizeof expand_rows / sizeof *expand_rows; i++) {
        struct directory_given given[4] = {{.right = IC_STRANGER}};
        uint32_t count = 0;
        struct str rest = str_c(expand_rows[i].given);
        struct target *t = NULL;
        uint32_t n = 0;
        struct buf got;
        while (rest.n)
            str_cut(&rest, ' ', &given[count++].address);
        must(directory_expand(d, &a, given, count, &t, &n, &e), &e);
        buf_init(&got, 4096);
        for (uint32_t k = 0; k < n; k++) {
            if (k)
                buf_put_c(&got, ' ');
            if (t[k].kind == TARGET_ACCOUNT)
                buf_printf(&got, "#%d", (int)t[k].account);
            else
                buf_put(&got, t[k].address);
        }
        if (!str_eq(buf_str(&got), str_c(expand_rows[i].targets)))
            fail_msg("%s: %.*s", expand_rows[i].given, STR_ARG(buf_str(&got)));
        buf_done(&got);
    }
    arena_done(&a);
}

FIBER_TEST(test_rules)
{
    struct directory_settings s = settings();
    struct directory *d = open_it(&s);

    populate(d);
    check_resolve(d);
    check_expand(d);
    directory_close(&d);
    d = open_it(&s); /* the same from the file */
    check_resolve(d);
    check_expand(d);
    directory_close(&d);
    s.memory = 8; /* a cache far too small */
    d = open_it(&s);
    for (int i = 0; i < 3; i++) {
        check_resolve(d);
        check_expand(d);
    }
    directory_close(&d);
}

/* A stranger may not relay, whatever inbound says was answered at RCPT. */
FIBER_TEST(test_rights_at_commit)
{
    struct directory_settings s = settings();
    struct directory *d = open_it(&s);
    struct directory_given given = {STR("who@elsewhere.test"), IC_STRANGER};
    struct target *t;
    struct arena a;
    struct err e = {0}, why = {0};
    uint32_t n;

    arena_init(&a, 1 << 20);
    populate(d);
    assert_int_equal(directory_expand(d, &a, &given, 1, &t, &n, &e), -1);
    assert_int_equal(e.status.subject, 7);
    given.right = IC_TRUSTED;
    must(directory_expand(d, &a, &given, 1, &t, &n, &e), &e);
    assert_int_equal(n, 1);
    assert_false(directory_refusal(d, STR("who@elsewhere.test"), &why));
    assert_false(directory_refusal(d, STR("who@relay.test"), &why));
    assert_true(directory_refusal(d, STR("carol@example.test"), &why));
    assert_int_equal(why.status.subject, 2);
    assert_true(directory_refusal(d, STR("gone@example.test"), &why));
    directory_close(&d);
    arena_done(&a);
}

FIBER_TEST(test_loops)
{
    struct directory_settings s = settings();
    struct directory *d = open_it(&s);
    char name[64], last[64];
    struct str t;
    struct err e = {0};

    add_domain(d, "example.test");
    add_account(d, "end@example.test");
    t = STR("a@example.test");
    refused(directory_alias_add(d, t, &t, 1, &e), &e, "loop"); /* itself, without an account */
    add_alias(d, "a@example.test", "end@example.test");
    add_alias(d, "b@example.test", "a@example.test");
    add_alias(d, "c@example.test", "b@example.test");
    t = STR("c@example.test");
    refused(directory_alias_add(d, STR("a@example.test"), &t, 1, &e), &e,
        "alias loop: a@example.test leads to: c@example.test leads to: b@example.test leads to: "
        "a@example.test");
    (void)snprintf(last, sizeof last, "end@example.test");
    for (int i = 0; i < DIRECTORY_DEPTH_MAX; i++) {
        (void)snprintf(name, sizeof name, "deep%d@example.test", i);
        add_alias(d, name, last);
        memcpy(last, name, sizeof last);
    }
    t = str_c(last);
    refused(directory_alias_add(d, STR("deeper@example.test"), &t, 1, &e), &e, "nested");
    directory_close(&d);
}

FIBER_TEST(test_refusals)
{
    struct directory_settings s = settings();
    struct directory *d = open_it(&s);
    struct directory_domain_new new = {.name = STR("example.test")};
    struct str t = STR("typo@example.test");
    uint64_t id;
    struct err e = {0};

    populate(d);
    refused(directory_domain_add(d, &new, &e), &e, "is there already");
    new.name = STR("not a domain");
    refused(directory_domain_add(d, &new, &e), &e, "not a domain");
    new = (struct directory_domain_new){.name = STR("x.test"), .separator = STR("ab")};
    refused(directory_domain_add(d, &new, &e), &e, "separator");
    refused(directory_domain_remove(d, STR("example.test"), &e), &e, "4 accounts and 6 aliases");
    refused(directory_domain_enable(d, STR("none.test"), false, &e), &e, "no such domain");
    refused(directory_account_add(d, STR("ALICE@example.test"), STR(""), 0, &id, &e), &e,
        "is there already");
    refused(directory_account_add(d, STR("x@none.test"), STR(""), 0, &id, &e), &e, "domain add");
    refused(directory_account_add(d, STR("x@relay.test"), STR(""), 0, &id, &e), &e, "relayed");
    refused(directory_account_enable(d, t, true, &e), &e, "no such account");
    refused(directory_account_password(d, STR("sales@example.test"), STR("h"), &e), &e,
        "no such account");
    refused(directory_alias_add(d, STR("new@example.test"), &t, 1, &e), &e, "no such mailbox");
    refused(directory_alias_remove(d, STR("alice@example.test"), NULL, 0, &e), &e, "no such alias");
    refused(directory_alias_remove(d, STR("sales@example.test"), &t, 1, &e), &e, "not a target");
    directory_close(&d);
}

/* An account's number is never given again; the oldest account takes postmaster's mail. */
FIBER_TEST(test_account_life)
{
    struct directory_settings s = settings();
    struct directory *d = open_it(&s);
    struct directory_account account;
    struct directory_counts counts;
    struct resolution r;
    struct arena a;
    struct str *alias;
    uint32_t n;
    uint64_t id, first;
    struct err e = {0};

    arena_init(&a, 1 << 20);
    add_domain(d, "example.test");
    directory_resolve(d, STR("postmaster"), IC_STRANGER, &r);
    assert_int_equal(r.verdict, IC_REFUSED);
    first = add_account(d, "a@example.test");
    add_account(d, "b@example.test");
    add_alias(d, "x@example.test", "b@example.test");
    must(directory_account_remove(d, STR("a@example.test"), &id, &e), &e);
    assert_int_equal(id, first);
    directory_resolve(d, STR("postmaster@example.test"), IC_STRANGER, &r);
    assert_int_equal(r.verdict, IC_LOCAL);
    assert_true(add_account(d, "a@example.test") > id + 1);
    must(directory_account_password(d, STR("A@example.test"), STR("$hash"), &e), &e);
    must(directory_account_quota(d, STR("A@example.test"), 1000, &e), &e);
    must(directory_account_show(d, &a, STR("a@EXAMPLE.test"), &account, &e), &e);
    assert_true(str_eq(account.hash, STR("$hash")) && account.quota == 1000 && account.enabled);
    must(directory_aliases_of(d, &a, STR("b@example.test"), &alias, &n, &e), &e);
    assert_int_equal(n, 1);
    assert_true(str_eq(alias[0], STR("x@example.test")));
    directory_counts(d, &counts);
    assert_true(counts.domains == 1 && counts.accounts == 2 && counts.aliases == 1);
    must(directory_alias_remove(d, STR("x@example.test"), NULL, 0, &e), &e);
    directory_resolve(d, STR("x@example.test"), IC_STRANGER, &r);
    assert_int_equal(r.verdict, IC_REFUSED);
    must(directory_account_remove(d, STR("a@example.test"), &id, &e), &e);
    must(directory_account_remove(d, STR("b@example.test"), &id, &e), &e);
    must(directory_domain_remove(d, STR("example.test"), &e), &e);
    directory_resolve(d, STR("b@example.test"), IC_STRANGER, &r);
    assert_int_equal(r.why.status.subject, 7);
    directory_counts(d, &counts);
    assert_true(counts.domains == 0 && counts.accounts == 0 && counts.held == 0);
    directory_close(&d);
    arena_done(&a);
}

FIBER_TEST(test_lists)
{
    struct directory_settings s = settings();
    struct directory *d = open_it(&s);
    struct directory_page page = {.limit = 2};
    struct directory_domain *domain, shown;
    struct directory_account *account;
    struct directory_alias *alias;
    struct arena a;
    uint32_t n, seen = 0;
    struct err e = {0};

    arena_init(&a, 1 << 20);
    populate(d);
    do {
        must(directory_domain_list(d, &a, &page, &domain, &n, &e), &e);
        seen += n;
        if (n)
            page.after = domain[n - 1].name;
    } while (n);
    assert_int_equal(seen, 7);
    page = (struct directory_page){.limit = 3, .domain = STR("Example.test")};
    for (seen = 0; seen < 100; seen += n) {
        must(directory_account_list(d, &a, &page, &account, &n, &e), &e);
        if (n == 0)
            break;
        page.after = account[n - 1].address;
    }
    assert_int_equal(seen, 4);
    page = (struct directory_page){.domain = STR("example.test")};
    must(directory_alias_list(d, &a, &page, &alias, &n, &e), &e);
    assert_int_equal(n, 6);
    assert_true(str_eq(alias[0].address, STR("away@example.test")));
    assert_true(str_eq(alias[4].address, STR("sales@example.test")) && alias[4].targets == 2);
    assert_true(str_eq(alias[4].target[1], STR("bob@example.test")));
    must(directory_domain_show(d, &a, STR("listed.test"), &shown, &e), &e);
    assert_true(shown.relay && shown.taken == RECIPIENTS_LISTED && shown.recipients == 2);
    page = (struct directory_page){.domain = STR("none.test")};
    refused(directory_alias_list(d, &a, &page, &alias, &n, &e), &e, "no such domain");
    directory_close(&d);
    arena_done(&a);
}

FIBER_TEST(test_import)
{
    struct directory_settings s = settings();
    struct directory *d = open_it(&s);
    struct directory_import import = {.domain = STR("example.test"),
        .file = STR("aliases"),
        .line = 1,
        .text = STR("# comment\nroot: alice,\n  \"bob\"\nops: root\n")};
    struct resolution r;
    struct err e = {0};
    uint32_t n = 0;

    populate(d);
    import.check = true;
    must(directory_alias_import(d, &import, &n, &e), &e);
    directory_resolve(d, STR("root@example.test"), IC_STRANGER, &r);
    assert_int_equal(r.verdict, IC_REFUSED);
    import.check = false;
    must(directory_alias_import(d, &import, &n, &e), &e);
    assert_int_equal(n, 2);
    directory_resolve(d, STR("ops@example.test"), IC_STRANGER, &r);
    assert_int_equal(r.verdict, IC_LOCAL);
    import.text = STR("one: two\ntwo: three\nthree: one\n");
    refused(directory_alias_import(d, &import, &n, &e), &e, "aliases: alias loop: one@");
    import.text = STR("one: alice\nONE: bob\n");
    refused(directory_alias_import(d, &import, &n, &e), &e, "aliases: 2: ONE@example.test: is");
    import.text = STR("one: alice\n\nprog: \"|/bin/cat\"\n");
    refused(directory_alias_import(d, &import, &n, &e), &e, "aliases: 3: mail cannot be piped");
    import.domain = STR("none.test");
    refused(directory_alias_import(d, &import, &n, &e), &e, "not ours");
    directory_resolve(d, STR("one@example.test"), IC_STRANGER, &r);
    assert_int_equal(r.verdict, IC_REFUSED);
    directory_close(&d);
}

/* Without memory nothing changes, neither here nor in the file. */
FIBER_TEST(test_no_memory)
{
    struct directory_settings s = settings();
    struct directory *d = open_it(&s);
    struct str t = STR("alice@example.test");
    struct resolution r;
    struct err e = {0};
    uint64_t id, n = 0;
    int status;

    populate(d);
    do {
        mem_fail_at(++n);
        status = directory_account_add(d, STR("new@example.test"), STR("h"), 0, &id, &e);
        mem_fail_at(0);
        directory_resolve(d, STR("new@example.test"), IC_STRANGER, &r);
        assert_int_equal(r.verdict, status < 0 ? IC_REFUSED : IC_LOCAL);
    } while (status < 0 && n < 1000);
    assert_true(n > 1 && status == 0);
    n = 0;
    do {
        mem_fail_at(++n);
        status = directory_alias_add(d, STR("news@example.test"), &t, 1, &e);
        mem_fail_at(0);
        directory_resolve(d, STR("news@example.test"), IC_STRANGER, &r);
        assert_int_equal(r.verdict, status < 0 ? IC_REFUSED : IC_LOCAL);
    } while (status < 0 && n < 1000);
    assert_true(n > 1 && status == 0);
    directory_close(&d);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        ROW(test_rules),
        ROW(test_rights_at_commit),
        ROW(test_loops),
        ROW(test_refusals),
        ROW(test_account_life),
        ROW(test_lists),
        ROW(test_import),
        ROW(test_no_memory),
    };

    return cmocka_run_group_tests_name("core_directory", tests, NULL, NULL);
}
