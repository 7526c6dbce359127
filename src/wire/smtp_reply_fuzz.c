/* The lines of a reply: the limits hold, and any text that we write is one line of printable ASCII.
 */
#include "wire/smtp_reply.h"

#include "base/check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void fuzz_write(struct str text)
{
    char out[SMTP_REPLY_LINE_MAX];
    struct str line = smtp_reply_line(out, 550, (struct err_status){5, 999, 999}, text.n % 2, text);

    CHECK(line.n <= SMTP_REPLY_LINE_MAX && str_ends(line, STR("\r\n")));
    for (size_t i = 0; i + 2 < line.n; i++)
        CHECK(line.p[i] >= 32 && line.p[i] < 127);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str rest = str_of((const char *)data, size), line, text;
    struct smtp_reply r = {0};
    struct err e = {0};
    int rc = 1;

    fuzz_write(rest);
    while (rc == 1 && !str_empty(rest)) {
        str_cut(&rest, '\n', &line);
        text = STR_NONE;
        rc = smtp_reply_feed(&r, line, &text, &e);
        CHECK(rc >= 0 || e.class == ERR_TEMPORARY);
        if (rc >= 0) {
            CHECK(r.code >= 200 && r.code <= 559);
            CHECK(text.n <= line.n);
            CHECK(r.status.class == 0 || r.status.class == r.code / 100);
        }
    }
    CHECK(r.lines <= SMTP_REPLY_READ_LINES_MAX && r.octets <= SMTP_REPLY_READ_MAX);
    return 0;
}
