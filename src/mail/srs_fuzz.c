/* An address: what is rewritten comes back as it was (SRS1: as the first forwarder's), and nothing
 * that we did not make is taken. */
#include "mail/srs.h"

#include "base/check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum {
    ROOM = 1024
};

static const int64_t now = 1577836860000;

static bool same_but_for_tag(struct str a, struct str b)
{
    return str_eq(str_from(a, 3), str_from(b, 3));
}

static void round_trip(const struct srs *s, const struct mailbox *m)
{
    char storage[ADDRESS_LOCAL_MAX], storage_back[ADDRESS_LOCAL_MAX];
    struct str local = mailbox_local(m, storage);
    struct mailbox there, again;
    struct buf out, back;
    struct err e;
    buf_init(&out, ROOM);
    buf_init(&back, ROOM);
    if (srs_forward(s, m, now, &out, &e) == 0) {
        CHECK(mailbox_parse(buf_str(&out), &there, &e) == 0);
        char moved[ADDRESS_LOCAL_MAX];
        struct str rewritten = mailbox_local(&there, moved);
        CHECK(srs_is_rewritten(rewritten));
        int result = srs_reverse(s, rewritten, now, &back, &e);
        if (rewritten.p[3] == '0' || (local.p[3] == '0' && result == 0)) {
            CHECK(result == 0 && mailbox_parse(buf_str(&back), &again, &e) == 0);
            struct str returned = mailbox_local(&again, storage_back);
            CHECK(str_eq(again.domain, m->domain));
            CHECK(rewritten.p[3] == '0' ? str_eq(returned, local)
                                        : same_but_for_tag(returned, local));
        }
    } else {
        CHECK(e.class == ERR_PERMANENT && e.status.subject == 1 && buf_len(&out) == 0);
    }
    buf_done(&out);
    buf_done(&back);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct str key = STR_INIT("0123456789abcdef");
    struct srs s = {.domain = STR("f.example"), .keys = &key, .key_count = 1};
    struct str text = str_of((const char *)data, size);
    struct mailbox m;
    struct buf out;
    buf_init(&out, ROOM);
    CHECK(srs_reverse(&s, text, now, &out, NULL) < 0 && buf_len(&out) == 0);
    buf_done(&out);
    if (mailbox_parse(text, &m, NULL) == 0)
        round_trip(&s, &m);
    return 0;
}
