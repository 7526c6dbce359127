#include "base/check.h"
#include "base/table.h"

#include "ipc/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

/* What decodes encodes to the same octets: there is one form of each configuration. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static const uint8_t seed[16];
    struct str payload = str_of((const char *)data, n);
    struct config *c;
    struct buf out;

    table_seed(seed);
    c = config_decode(payload, NULL);
    if (!c)
        return 0;
    buf_init(&out, 4 << 20);
    config_encode(c, &out);
    CHECK(str_eq(buf_str(&out), payload));
    config_free(c);
    buf_done(&out);
    return 0;
}
