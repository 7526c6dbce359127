#include "base/base64.h"

#include "base/check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

/* There is one spelling of each value: what decodes encodes to itself, and what encodes decodes. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct str in = str_of((const char *)data, n);
    struct buf plain, coded;
    size_t length;

    buf_init(&plain, n + 1);
    buf_init(&coded, base64_encoded_size(n));
    CHECK(buf_reserve(&plain, n + 1));
    if (base64_decode(in, plain.p, base64_decoded_max(n), &length)) {
        CHECK(base64_encode(str_of(plain.p, length), &coded) == 0);
        CHECK(str_eq(buf_str(&coded), in));
        CHECK(length == 0 || !base64_decode(in, plain.p, length - 1, &length));
    }
    buf_clear(&coded);
    CHECK(base64_encode(in, &coded) == 0);
    CHECK(buf_len(&coded) == base64_encoded_size(n));
    CHECK(base64_decode(buf_str(&coded), plain.p, n, &length));
    CHECK(str_eq(str_of(plain.p, length), in));
    buf_done(&plain);
    buf_done(&coded);
    return 0;
}
