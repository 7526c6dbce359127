#include "core/directory/password.h"

#include "run/run_test.h"

/* RFC 9106; two hashes of one password differ. */
FIBER_TEST(test_round_trip)
{
    static const struct {
        const char *password;
        bool right;
    } rows[] = {{"correct horse", true}, {"correct hors", false}, {"Correct horse", false}};
    char hash[PASSWORD_HASH_SIZE], other[PASSWORD_HASH_SIZE];
    struct pool *pool;
    struct err e = {0};
    bool right;

    assert_int_equal(pool_open(&pool, "hashing", 1, 8, NULL), 0);
    assert_int_equal(password_hash(pool, STR("correct horse"), hash, &e), 0);
    assert_int_equal(password_hash(pool, STR("correct horse"), other, &e), 0);
    assert_true(str_starts(str_c(hash), STR("$argon2id$v=19$")));
    assert_false(str_eq(str_c(hash), str_c(other)));
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        right = !rows[i].right;
        assert_int_equal(
            password_verify(pool, str_c(rows[i].password), str_c(hash), &right, &e), 0);
        assert_int_equal(right, rows[i].right);
    }
    right = true;
    assert_int_equal(password_verify(pool, STR("x"), STR(""), &right, &e), 0);
    assert_false(right);
    assert_int_equal(password_hash(pool, STR(""), hash, &e), -1);
    pool_close(&pool);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),
    };

    return cmocka_run_group_tests_name("core_password", tests, NULL, NULL);
}
