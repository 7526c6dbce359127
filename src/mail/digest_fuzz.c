/* Octets that are or are not a digest: refused, or all of it can be read. */
#include "mail/digest.h"

#include "base/check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void walk_list(struct str list)
{
    struct digest_address a;
    while (list.n > 0)
        CHECK(digest_next_address(&list, &a) && a.kind <= DIGEST_GROUP_END);
}

static void walk_params(struct str params)
{
    struct mime_param p;
    while (params.n > 0)
        CHECK(digest_next_param(&params, &p));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct digest d;
    struct digest_part part;
    struct digest_envelope env;
    struct digest_sort sort;
    struct digest_thread thread;
    struct str id;
    uint32_t n = 0;
    if (digest_open(str_of((const char *)data, size), &d, NULL) < 0)
        return 0;
    for (struct digest_parts it = digest_parts(&d); digest_next_part(&it, &part); n++) {
        CHECK(part.index == n && part.parent <= n && part.body_end <= d.size);
        CHECK(part.kind <= MIME_MESSAGE && part.encoding <= MIME_UNKNOWN);
        walk_params(part.params);
        walk_params(part.disposition_params);
        if (part.envelope.n == 0)
            continue;
        digest_envelope(part.envelope, &env);
        walk_list(env.from);
        walk_list(env.sender);
        walk_list(env.reply_to);
        walk_list(env.to);
        walk_list(env.cc);
        walk_list(env.bcc);
    }
    CHECK(n == d.part_count);
    digest_sort(&d, &sort);
    CHECK(sort.zone_min > -1440 && sort.zone_min < 1440);
    digest_thread(&d, &thread);
    while (d.thread.n > 0 && thread.references.n > 0)
        CHECK(digest_next_reference(&thread.references, &id));
    return 0;
}
