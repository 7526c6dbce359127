#include "base/table.h"

#include <stdio.h>

#include "base/mem.h"
#include "base/unit_test.h"

static const uint8_t counting_key[16] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};

/* Outputs of the authors' reference implementation with ROUNDS 1, 3 for the key 00…0f and inputs
 * 00, 01 … of growing length. */
static void test_siphash(void **state)
{
    static const struct {
        size_t n;
        uint64_t hash;
    } rows[] = {
        {0, 0xabac0158050fc4dcu},
        {1, 0xc9f49bf37d57ca93u},
        {2, 0x82cb9b024dc7d44du},
        {3, 0x8bf80ab8e7ddf7fbu},
        {7, 0xd3927d989bb11140u},
    };
    char data[64];

    (void)state;
    for (size_t i = 0; i < sizeof data; i++)
        data[i] = (char)i;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        uint64_t hash = siphash13(counting_key, str_of(data, rows[i].n));
        if (hash != rows[i].hash)
            fail_msg("%zu octets: %016llx", rows[i].n, (unsigned long long)hash);
    }
}

/* CPython hashes bytes with SipHash-1-3 too; with PYTHONHASHSEED=0 its key is zeros. */
static void test_siphash_of_others(void **state)
{
    static const uint8_t zeros[16];

    (void)state;
    assert_true(siphash13(zeros, STR("a")) == 0x407448d2b89b1813u);
    assert_true(siphash13(zeros, STR("abcdefgh")) == 0x3f7b849c0b8e35eau);
    assert_true(siphash13(zeros, STR("veredus: the light, fast horse")) == 0xdb352cd51751acd1u);
}

struct entry {
    char name[16];
    int value;
};

static struct str key_of(const void *entry)
{
    return str_c(((const struct entry *)entry)->name);
}

static void test_life(void **state)
{
    enum {
        MANY = 5000
    };
    static struct entry entries[MANY];
    struct table t;
    size_t i = 0, seen = 0;
    struct entry *entry;

    (void)state;
    table_init(&t, key_of, MANY);
    assert_null(table_find(&t, STR("e1")));
    assert_null(table_remove(&t, STR("e1")));
    for (int n = 0; n < MANY; n++) {
        snprintf(entries[n].name, sizeof entries[n].name, "e%d", n);
        assert_int_equal(table_add(&t, &entries[n]), 0);
    }
    assert_int_equal(table_add(&t, &(struct entry){"e7", 0}), 1);
    assert_int_equal(table_add(&t, &(struct entry){"other", 0}), -1);
    for (int n = 0; n < MANY; n += 2)
        assert_ptr_equal(table_remove(&t, key_of(&entries[n])), &entries[n]);
    for (int n = 0; n < MANY; n++)
        assert_ptr_equal(table_find(&t, key_of(&entries[n])), n % 2 ? &entries[n] : NULL);
    while ((entry = table_next(&t, &i))) {
        seen++;
        assert_ptr_equal(table_remove(&t, key_of(entry)), entry);
    }
    assert_int_equal(seen, MANY / 2);
    assert_int_equal(t.count, 0);
    table_done(&t);
}

/* Adding and removing for ever leaves it as small as it was. */
static void test_churn(void **state)
{
    static struct entry entries[8];
    struct table t;

    (void)state;
    table_init(&t, key_of, 100);
    mem_fail_at(0);
    for (int n = 0; n < 100000; n++) {
        struct entry *entry = &entries[n % 8];
        if (n >= 8)
            assert_ptr_equal(table_remove(&t, key_of(entry)), entry);
        snprintf(entry->name, sizeof entry->name, "n%d", n);
        assert_int_equal(table_add(&t, entry), 0);
    }
    assert_true(t.cap <= 32);
    assert_true(mem_fail_at(0) < 50000); /* two a rehash, which only tombs can cause */
    table_done(&t);
}

static void test_no_memory(void **state)
{
    static struct entry entries[64];
    struct table t;
    int added = 0;

    (void)state;
    table_init(&t, key_of, 64);
    for (int n = 0; n < 64; n++) {
        snprintf(entries[n].name, sizeof entries[n].name, "m%d", n);
        mem_fail_at(n == 0 ? 0 : 1);
        if (table_add(&t, &entries[n]) == 0)
            added++;
    }
    mem_fail_at(0);
    assert_int_equal(added, 15); /* all but one of the first sixteen slots */
    assert_null(table_find(&t, STR("none")));
    for (int n = 0; n < 15; n++)
        assert_ptr_equal(table_find(&t, key_of(&entries[n])), &entries[n]);
    table_done(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_siphash),
        cmocka_unit_test(test_siphash_of_others),
        cmocka_unit_test(test_life),
        cmocka_unit_test(test_churn),
        cmocka_unit_test(test_no_memory),
    };

    table_seed(counting_key);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
