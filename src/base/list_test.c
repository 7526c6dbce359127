#include "base/list.h"

#include "base/unit_test.h"

struct entry {
    int value;
    struct list link;
};

static void test_list(void **state)
{
    struct entry e[4] = {{1, {0}}, {2, {0}}, {3, {0}}, {4, {0}}};
    struct list head;
    int sum = 0;

    (void)state;
    list_init(&head);
    assert_true(list_empty(&head));
    assert_null(list_take(&head));
    assert_null(LIST_FIRST(&head, struct entry, link));
    for (int i = 0; i < 4; i++)
        list_add(&head, &e[i].link);
    assert_int_equal(LIST_FIRST(&head, struct entry, link)->value, 1);
    list_remove(&e[0].link);
    list_remove(&e[0].link);
    assert_false(list_linked(&e[0].link));
    list_add_first(&head, &e[0].link);
    LIST_EACH(link, &head)
    {
        struct entry *entry = LIST_ENTRY(link, struct entry, link);
        sum = sum * 10 + entry->value;
        if (entry->value % 2)
            list_remove(link);
    }
    assert_int_equal(sum, 1234);
    assert_ptr_equal(list_take(&head), &e[1].link);
    assert_ptr_equal(list_take(&head), &e[3].link);
    assert_true(list_empty(&head));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_list)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
