#include "base/check.h"

#include "ipc/core_outbound_recode.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The first octet chooses the message. What is accepted encodes to the same octets again. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str in;
    struct arena arena;
    struct buf out;

    if (size == 0)
        return 0;
    in = str_of((const char *)data + 1, size - 1);
    arena_init(&arena, 16 << 20);
    buf_init(&out, size);
    if (co_kinds[data[0] % co_kind_count].recode(&arena, in, &out, NULL) == 0)
        CHECK(buf_ok(&out) && str_eq(buf_str(&out), in));
    buf_done(&out);
    arena_done(&arena);
    return 0;
}
