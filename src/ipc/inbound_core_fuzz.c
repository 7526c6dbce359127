#include "ipc/inbound_core.h"

#include "base/check.h"

#include "ipc/inbound_core_recode.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The first octet chooses the message. What is accepted encodes to the same octets again. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str in;
    struct arena arena;
    struct buf out;
    uint64_t id;
    char text[IC_ID_CHARS + 1];

    if (size == 0)
        return 0;
    in = str_of((const char *)data + 1, size - 1);
    arena_init(&arena, 16 << 20);
    buf_init(&out, size);
    if (ic_kinds[data[0] % ic_kind_count].recode(&arena, in, &out, NULL) == 0)
        CHECK(buf_ok(&out) && str_eq(buf_str(&out), in));
    if (ic_id_parse(in, &id)) {
        ic_id_format(id, text);
        CHECK(str_eq(str_c(text), in));
    }
    buf_done(&out);
    arena_done(&arena);
    return 0;
}
