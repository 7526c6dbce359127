#include "base/escape.h"

#include "base/check.h"
#include "base/utf8.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static int hex(char c)
{
    return ascii_digit(c) ? c - '0' : c - 'a' + 10;
}

/* The text forms lose nothing. */
static void unescape(struct str s, struct buf *out)
{
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] != '\\') {
            buf_put_c(out, s.p[i]);
            continue;
        }
        CHECK(++i < s.n);
        switch (s.p[i]) {
        case 'n':
            buf_put_c(out, '\n');
            break;
        case 'r':
            buf_put_c(out, '\r');
            break;
        case 't':
            buf_put_c(out, '\t');
            break;
        case 'x':
            CHECK(i + 2 < s.n);
            buf_put_c(out, (char)(hex(s.p[i + 1]) << 4 | hex(s.p[i + 2])));
            i += 2;
            break;
        default:
            CHECK(s.p[i] == '"' || s.p[i] == '\\');
            buf_put_c(out, s.p[i]);
        }
    }
}

static void check_form(struct str in, enum escape_form form)
{
    struct buf out, back;
    char small[50];

    buf_init(&out, in.n * 8 + 1);
    buf_init(&back, in.n + 1);
    CHECK(escape_put(&out, in, form) == 0);
    CHECK(utf8_valid(buf_str(&out)));
    for (size_t i = 0; i < buf_len(&out); i++)
        CHECK(!ascii_control(buf_str(&out).p[i]));
    CHECK(form != ESCAPE_ASCII || ascii_only(buf_str(&out)));
    CHECK(escape_needed(in, form) == !str_eq(in, buf_str(&out)));
    CHECK(str_starts(buf_str(&out), escape_copy(small, sizeof small, in, form)));
    if (form != ESCAPE_JSON) {
        unescape(buf_str(&out), &back);
        CHECK(str_eq(buf_str(&back), in));
    }
    buf_done(&out);
    buf_done(&back);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct str in = str_of((const char *)data, n);

    check_form(in, ESCAPE_TEXT);
    check_form(in, ESCAPE_ASCII);
    check_form(in, ESCAPE_JSON);
    return 0;
}
