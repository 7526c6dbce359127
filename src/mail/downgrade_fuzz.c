/* A message and what a next hop lacks: if it can be converted at all, the parts decode to what they
 * did, ASCII comes out where that was wanted, and pieces make no difference. */
#include "base/check.h"

#include "mail/downgrade_check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_scan(struct str content, size_t piece)
{
    struct downgrade_scan s;
    uint64_t longest = 0;
    bool eight = false;
    downgrade_scan_init(&s);
    for (struct str rest = content; rest.n > 0; rest = str_from(rest, piece))
        downgrade_scan_feed(&s, str_head(rest, piece));
    downgrade_scan_finish(&s);
    for (size_t i = 0; i < content.n; i++)
        eight |= content.p[i] & 0x80;
    for (struct str rest = content, line; rest.n > 0;) {
        str_cut(&rest, '\n', &line);
        line.n -= str_ends(line, STR("\r"));
        longest = line.n > longest ? line.n : longest;
    }
    CHECK((s.eight_header || s.eight_body) == eight && s.longest == longest);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct buf whole, pieces;
    struct err e = {0}, again = {0};
    uint64_t long_lines = 0, long_again = 0;
    if (size == 0)
        return 0;
    struct downgrade_want want = {data[0] & 1, data[0] & 2, data[0] & 4};
    struct str content = str_of((const char *)data + 1, size - 1);
    size_t piece = 1 + data[0] / 8;
    buf_init(&whole, TRANSFER_ENCODED_MAX(size) + DOWNGRADE_MEMORY_MAX);
    buf_init(&pieces, TRANSFER_ENCODED_MAX(size) + DOWNGRADE_MEMORY_MAX);
    int result = downgrade_all(want, content, size, &whole, &long_lines, &e);
    CHECK(downgrade_all(want, content, piece, &pieces, &long_again, &again) == result);
    if (result == 0) {
        CHECK(str_eq(buf_str(&whole), buf_str(&pieces)) && long_lines == long_again);
        downgrade_check(want, content, buf_str(&whole), long_lines);
    } else {
        CHECK(e.class == ERR_PERMANENT && e.status.class == 5 && e.status.subject == 6);
        CHECK(e.status.detail == again.status.detail && (want.body || want.header));
    }
    check_scan(content, piece);
    buf_done(&whole);
    buf_done(&pieces);
    return 0;
}
