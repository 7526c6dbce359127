#include "base/check.h"
#include "base/table.h"

#include "ipc/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

/* Whatever is refused has a reason, with a line of the file; whatever is taken survives the way to
 * another process. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static const uint8_t seed[16];
    struct str text = str_of((const char *)data, n);
    struct config_problems problems;
    struct arena arena;
    struct config *c;
    unsigned lines = 1;

    for (size_t i = 0; i < n; i++)
        lines += data[i] == '\n';
    table_seed(seed);
    arena_init(&arena, 1 << 20);
    c = config_parse(text, &arena, &problems);
    CHECK(!c == (problems.count > 0));
    for (uint32_t i = 0; i < problems.count; i++)
        CHECK(problems.v[i].line <= lines && problems.v[i].text.n > 0);
    if (c) {
        struct buf first, second;
        struct config *again;
        buf_init(&first, 4 << 20);
        buf_init(&second, 4 << 20);
        config_encode(c, &first);
        again = config_decode(buf_str(&first), NULL);
        CHECK(again);
        config_encode(again, &second);
        CHECK(str_eq(buf_str(&first), buf_str(&second)));
        config_free(again);
        config_free(c);
        buf_done(&first);
        buf_done(&second);
    }
    arena_done(&arena);
    return 0;
}
