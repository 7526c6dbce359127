/* The mapped content does not depend on where runs end; what maps to nothing is not changed; what
 * stands behind the header stays, and mail/header_scan.h agrees where that is. */
#include "mail/header_map.h"

#include "base/check.h"

#include "mail/header_scan.h"

static bool map_nothing(void *arg, bool sender, struct str address, struct buf *out)
{
    (void)arg;
    (void)sender;
    (void)address;
    (void)out;
    return false;
}

static bool map_domain(void *arg, bool sender, struct str address, struct buf *out)
{
    (void)arg;
    CHECK(str_find_last(address, '@') > 0);
    buf_put(out, sender ? STR("sender@x.example") : STR("recipient@x.example"));
    return true;
}

static void put(void *arg, struct str octets)
{
    buf_put(arg, octets);
}

static void run(header_map_fn *map, struct str in, size_t step, struct buf *out)
{
    struct header_map m;

    buf_init(out, 64 << 20);
    header_map_init(&m, map, put, out);
    while (in.n) {
        header_map_feed(&m, str_head(in, step));
        in = str_from(in, step);
    }
    header_map_finish(&m);
    CHECK(!m.failed && buf_ok(out));
    header_map_done(&m);
}

static struct str behind_header(struct str text)
{
    struct header_scan scan;

    header_scan_init(&scan);
    header_scan_feed(&scan, text);
    header_scan_finish(&scan);
    return str_from(text, (size_t)scan.octets);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str in = str_of((const char *)data, size);
    struct buf same, whole, pieces;

    run(map_nothing, in, size + 1, &same);
    CHECK(str_eq(buf_str(&same), in));
    run(map_domain, in, size + 1, &whole);
    run(map_domain, in, 1 + size % 7, &pieces);
    CHECK(str_eq(buf_str(&whole), buf_str(&pieces)));
    CHECK(str_eq(behind_header(in), behind_header(buf_str(&whole))));
    buf_done(&same);
    buf_done(&whole);
    buf_done(&pieces);
    return 0;
}
