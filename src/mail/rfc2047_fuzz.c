/* Decoding gives bounded, printable UTF-8; what we encode decodes to itself on short lines. */
#include "mail/rfc2047.h"

#include "base/check.h"
#include "base/utf8.h"

#include "mail/charset.h"
#include "mail/subject.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_printable(struct str s)
{
    CHECK(utf8_valid(s));
    for (size_t i = 0; i < s.n; i++)
        CHECK(!ascii_control(s.p[i]));
}

static void fuzz_encode(struct str printable)
{
    struct buf encoded, back;
    buf_init(&encoded, 64 * printable.n + 256);
    buf_init(&back, 8 * printable.n + 256);
    CHECK(rfc2047_encode(printable, RFC2047_TEXT, printable.n % 80, &encoded) == 0);
    CHECK(ascii_only(buf_str(&encoded)));
    CHECK(rfc2047_decode(buf_str(&encoded), 8 * printable.n + 256, &back) == 0);
    CHECK(str_eq(str_trim(buf_str(&back)), str_trim(printable)));
    buf_done(&encoded);
    buf_done(&back);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str s = str_of((const char *)data, size);
    struct buf out;
    size_t max = size % 500;
    bool reply;
    buf_init(&out, 4 * size + 512);
    CHECK(rfc2047_decode(s, max, &out) == 0 && buf_len(&out) <= max);
    check_printable(buf_str(&out));
    buf_clear(&out);
    CHECK(rfc2047_decode(s, 4 * size + 512, &out) == 0);
    fuzz_encode(buf_str(&out));
    buf_clear(&out);
    subject_base(s, &out, &reply);
    CHECK(buf_len(&out) <= SUBJECT_KEY_MAX);
    check_printable(buf_str(&out));
    buf_clear(&out);
    rfc2047_encode(s, RFC2047_PHRASE, 0, &out);
    buf_done(&out);
    return 0;
}
