#include "base/utf8.h"

#include "base/check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

/* A second opinion, by RFC 3629 4's table of octets. Returns the length of the sequence, 0 for
 * none. */
static size_t sequence(const uint8_t *p, size_t n)
{
    static const uint8_t rows[][5] = {/* length, lead from, to, second from, to */
        {1, 0x00, 0x7F, 0x00, 0x00}, {2, 0xC2, 0xDF, 0x80, 0xBF}, {3, 0xE0, 0xE0, 0xA0, 0xBF},
        {3, 0xE1, 0xEC, 0x80, 0xBF}, {3, 0xED, 0xED, 0x80, 0x9F}, {3, 0xEE, 0xEF, 0x80, 0xBF},
        {4, 0xF0, 0xF0, 0x90, 0xBF}, {4, 0xF1, 0xF3, 0x80, 0xBF}, {4, 0xF4, 0xF4, 0x80, 0x8F}};

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const uint8_t *row = rows[i];
        if (p[0] < row[1] || p[0] > row[2] || row[0] > n)
            continue;
        if (row[0] > 1 && (p[1] < row[3] || p[1] > row[4]))
            continue;
        for (size_t tail = 2; tail < row[0]; tail++)
            if (p[tail] < 0x80 || p[tail] > 0xBF)
                return 0;
        return row[0];
    }
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct str all = str_of((const char *)data, n), rest = all;
    bool valid = true;

    while (!str_empty(rest)) {
        struct str before = rest;
        size_t length = sequence((const uint8_t *)rest.p, rest.n);
        uint32_t point = utf8_next(&rest);
        char again[4];
        CHECK(before.n - rest.n == (length ? length : 1));
        CHECK((point == UTF8_INVALID) == (length == 0));
        if (length)
            CHECK(str_eq(str_of(again, utf8_encode(point, again)), str_head(before, length)));
        valid = valid && length;
    }
    CHECK(utf8_valid(all) == valid);
    for (size_t cut = 0; cut <= n && n < 64; cut++) {
        struct str head = utf8_head(all, cut);
        CHECK(head.n <= cut && cut - head.n <= 3);
        CHECK(!valid || utf8_valid(head));
    }
    return 0;
}
