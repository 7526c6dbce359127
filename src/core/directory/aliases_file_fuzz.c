#include "core/directory/aliases_file.h"

#include "base/check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Whatever a file holds: every row has a name and a target, lines rise, nothing forbidden passes.
 */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str text = str_of((const char *)data, size);
    struct alias_line *v;
    struct arena a;
    struct err e;
    uint32_t count;

    arena_init(&a, 1 << 24);
    if (aliases_file_parse(&a, text, 1, STR("d.test"), &v, &count, &e) == 0) {
        for (uint32_t i = 0; i < count; i++) {
            CHECK(v[i].name.n && v[i].targets && (i == 0 || v[i].line > v[i - 1].line));
            for (uint32_t k = 0; k < v[i].targets; k++)
                CHECK(v[i].target[k].n && v[i].target[k].p[0] != '|' && v[i].target[k].p[0] != '/');
        }
    } else {
        CHECK(e.text[0]);
    }
    arena_done(&a);
    return 0;
}
