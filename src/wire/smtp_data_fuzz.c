/* Content: any cut of the input gives the same; what comes out has CR and LF as CRLF only; stuffed
 * and read again it is itself. The first octets choose the limits and the cut. */
#include "wire/smtp_data.h"

#include "base/buf.h"
#include "base/check.h"
#include "base/mem.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct result {
    struct buf out;
    struct smtp_data d;
    bool ended;
    size_t rest;
};

static struct result run(
    struct str in, bool dots, const struct smtp_data_limits *limits, size_t chunk, size_t grow)
{
    struct result r = {0};

    buf_init(&r.out, 1 << 20);
    smtp_data_init(&r.d, dots, limits);
    while (!str_empty(in) && !r.ended) {
        size_t n = in.n < chunk ? in.n : chunk;
        char *copy = mem_alloc(n);
        struct str slice = str_of(copy, n), content;
        enum smtp_data_step step;

        CHECK(copy);
        memcpy(copy, in.p, n);
        in = str_from(in, n);
        while ((step = smtp_data_next(&r.d, &slice, &content)) == SMTP_DATA_RUN) {
            CHECK(!str_empty(content) && r.d.faults == 0);
            buf_put(&r.out, content);
        }
        r.ended = step == SMTP_DATA_END;
        r.rest = in.n + slice.n;
        chunk += grow;
        mem_free(copy);
    }
    if (!dots)
        buf_put(&r.out, smtp_data_finish(&r.d));
    CHECK(buf_ok(&r.out));
    return r;
}

static void check_clean(struct str s, size_t line_max)
{
    size_t line = 0;

    for (size_t i = 0; i < s.n; i++) {
        bool cr = i > 0 && s.p[i - 1] == '\r';
        CHECK((s.p[i] == '\n') == cr);
        if (s.p[i] == '\n')
            line = 0;
        else if (s.p[i] != '\r')
            CHECK(++line <= line_max);
    }
    CHECK(s.n == 0 || s.p[s.n - 1] == '\n');
}

static void check_stuffing(struct str content, const struct smtp_data_limits *limits)
{
    struct buf wire;
    struct result r;
    bool start = true;
    struct str rest = content, run_of;

    buf_init(&wire, 1 << 21);
    while (!str_empty(run_of = smtp_stuff_next(&start, &rest)))
        buf_put(&wire, run_of);
    buf_put(&wire, STR(".\r\n"));
    r = run(buf_str(&wire), true, limits, SIZE_MAX, 0);
    CHECK(r.ended && r.rest == 0 && r.d.faults == 0 && str_eq(buf_str(&r.out), content));
    buf_done(&r.out);
    buf_done(&wire);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct smtp_data_limits limits;
    struct result whole, cut;
    bool dots;

    if (size < 3)
        return 0;
    limits = (struct smtp_data_limits){
        .normalize = data[0] & 1,
        .line_max = data[0] & 2 ? 64 : 1 << 16,
        .size_max = data[0] & 4 ? 100 : 0,
    };
    dots = data[0] & 8;
    struct str in = str_of((const char *)data + 3, size - 3);
    whole = run(in, dots, &limits, SIZE_MAX, 0);
    cut = run(in, dots, &limits, 1 + data[1] % 80, data[2] % 4);
    CHECK(whole.ended == cut.ended && whole.rest == cut.rest);
    CHECK(whole.d.faults == cut.d.faults && whole.d.size == cut.d.size);
    CHECK(!limits.normalize || !(whole.d.faults & SMTP_DATA_BARE));
    if (whole.d.faults == 0) {
        CHECK(str_eq(buf_str(&whole.out), buf_str(&cut.out)));
        CHECK(whole.d.size == buf_len(&whole.out));
    }
    if (whole.d.faults == 0 && (whole.ended || !dots)) {
        check_clean(buf_str(&whole.out), limits.line_max);
        check_stuffing(buf_str(&whole.out), &limits);
    }
    buf_done(&whole.out);
    buf_done(&cut.out);
    return 0;
}
