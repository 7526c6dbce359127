/* Content-Type, parameters, file names: limits hold, values are printable UTF-8. */
#include "mail/content_type.h"

#include "base/check.h"
#include "base/utf8.h"

#include "mail/rfc2231.h"
#include "mail/transfer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_value(const struct mime_value *v, unsigned max)
{
    CHECK(v->count <= max);
    for (unsigned i = 0; i < v->count; i++) {
        struct buf out;
        CHECK(v->params[i].name.n > 0);
        CHECK(str_find(v->params[i].value, '\n') < 0);
        buf_init(&out, RFC2231_VALUE_MAX);
        struct str name = v->params[i].name, base;
        str_cut(&name, '*', &base);
        rfc2231_decode(v, base, &out);
        CHECK(buf_ok(&out) && utf8_valid(buf_str(&out)));
        for (size_t k = 0; k < buf_len(&out); k++)
            CHECK(!ascii_control(buf_str(&out).p[k]));
        buf_done(&out);
    }
}

/* Decoding in pieces is decoding at once. */
static void fuzz_transfer(struct str s)
{
    for (enum mime_encoding encoding = MIME_7BIT; encoding <= MIME_UNKNOWN; encoding++) {
        struct transfer t;
        struct buf whole, pieces;
        buf_init(&whole, 2 * s.n + TRANSFER_HELD);
        buf_init(&pieces, 2 * s.n + TRANSFER_HELD);
        CHECK(transfer_decode(encoding, s, &whole) == 0);
        transfer_init(&t, encoding);
        for (struct str rest = s; rest.n > 0; rest = str_from(rest, 1 + s.n % 5))
            CHECK(transfer_feed(&t, str_head(rest, 1 + s.n % 5), &pieces) == 0);
        CHECK(transfer_finish(&t, &pieces) == 0);
        CHECK(str_eq(buf_str(&whole), buf_str(&pieces)));
        buf_done(&whole);
        buf_done(&pieces);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str s = str_of((const char *)data, size), token;
    unsigned max = (unsigned)(size % 101);
    struct mime_value type, disposition;
    struct arena a;
    struct buf name;
    arena_init(&a, 1 << 20);
    bool good = content_type_parse(&a, s, max, &type);
    CHECK(good == (type.value.n > 0 && type.subtype.n > 0));
    check_value(&type, max);
    content_disposition_parse(&a, s, max, &disposition);
    check_value(&disposition, max);
    buf_init(&name, RFC2231_VALUE_MAX);
    if (rfc2231_file_name(&disposition, &type, &name))
        CHECK(buf_len(&name) > 0);
    mime_encoding_parse(s, &token);
    buf_done(&name);
    arena_done(&a);
    fuzz_transfer(s);
    return 0;
}
