#include "master/identity.h"

#include <stdio.h>

#include "base/unit_test.h"

/* The users that there are in a test. */
static struct identity known[8];

static bool lookup(const char *name, struct identity *id)
{
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        if (strcmp(known[i].name, name) != 0)
            continue;
        id->uid = known[i].uid;
        id->gid = known[i].gid;
        snprintf(id->name, sizeof id->name, "%s", name);
        return true;
    }
    return false;
}

static const struct identity own = {.change = true, .uid = 100, .gid = 100, .name = "veredus"};

static void assert_role(const struct identity *id, bool change, uid_t uid, gid_t gid)
{
    assert_int_equal(id->change, change);
    assert_int_equal(id->uid, uid);
    assert_int_equal(id->gid, gid);
}

/* DESIGN.md 2: a user for each role, each on its own. */
static void test_each_on_its_own(void **state)
{
    struct identity roles[ROLE_KINDS];

    (void)state;
    memset(known, 0, sizeof known);
    known[0] = (struct identity){.uid = 201, .gid = 301, .name = "veredus-inbound"};
    known[1] = (struct identity){.uid = 202, .gid = 302, .name = "veredus-resolver"};
    assert_true(identity_find_roles(&own, lookup, roles));
    assert_role(&roles[ROLE_INBOUND], true, 201, 301);
    assert_role(&roles[ROLE_RESOLVER], true, 202, 302);
    assert_role(&roles[ROLE_OUTBOUND], false, 100, 100);
    assert_role(&roles[ROLE_CORE], false, 100, 100);
    assert_string_equal(roles[ROLE_INBOUND].name, "veredus-inbound");
}

/* Not started as root, or no users: all stay who they are. */
static void test_none(void **state)
{
    struct identity roles[ROLE_KINDS];

    (void)state;
    memset(known, 0, sizeof known);
    known[0] = (struct identity){.uid = 201, .gid = 301, .name = "veredus-inbound"};
    assert_true(identity_find_roles(&own, NULL, roles));
    for (int kind = 0; kind < ROLE_KINDS; kind++)
        assert_role(&roles[kind], false, 100, 100);
    memset(known, 0, sizeof known);
    assert_true(identity_find_roles(&own, lookup, roles));
    for (int kind = 0; kind < ROLE_KINDS; kind++)
        assert_role(&roles[kind], false, 100, 100);
}

/* Only the owner of the data directory, as whom master works, can be core. */
static void test_core(void **state)
{
    struct identity roles[ROLE_KINDS], owner = own;

    (void)state;
    memset(known, 0, sizeof known);
    known[0] = (struct identity){.uid = 203, .gid = 303, .name = "veredus-core"};
    assert_false(identity_find_roles(&own, lookup, roles));
    assert_role(&roles[ROLE_CORE], false, 100, 100);
    owner.uid = 203;
    assert_true(identity_find_roles(&owner, lookup, roles));
    assert_role(&roles[ROLE_CORE], false, 203, 100);
}

static void test_root_is_no_wall(void **state)
{
    struct identity roles[ROLE_KINDS];

    (void)state;
    memset(known, 0, sizeof known);
    known[0] = (struct identity){.uid = 0, .gid = 0, .name = "veredus-outbound"};
    assert_true(identity_find_roles(&own, lookup, roles));
    assert_role(&roles[ROLE_OUTBOUND], false, 100, 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_on_its_own),
        cmocka_unit_test(test_none),
        cmocka_unit_test(test_core),
        cmocka_unit_test(test_root_is_no_wall),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
