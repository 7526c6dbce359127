#include "ipc/frame.h"

#include "base/check.h"

#include "ipc/codec.h"
#include "ipc/ledger.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What a channel end does with the octets of a peer that may be anything: the same frames whatever
 * the pieces they come in, and never more held than was granted. */
struct end {
    struct frame_reader reader;
    struct ledger ledger;
    struct buf seen; /* the accepted frames, encoded again */
    bool broken;
};

static int take(struct ledger *l, const struct frame *f)
{
    struct dec d = dec_of(f->payload);
    uint32_t notices, octets;
    void *waiter;

    switch (f->kind) {
    case FRAME_REPLY:
        return ledger_replied(l, f->call, &waiter, NULL);
    case FRAME_CREDIT:
        notices = dec_u32(&d);
        octets = dec_u32(&d);
        return ledger_granted(l, notices, octets, NULL);
    case FRAME_REQUEST:
    case FRAME_NOTICE:
        return ledger_arrived(l, f->call, f->payload.n, NULL);
    }
    UNREACHABLE();
}

static void answer_some(struct ledger *l, const struct frame *f)
{
    uint32_t notices, octets;

    if (f->kind == FRAME_REQUEST && (f->type & 1))
        ledger_answer(l, f->call);
    if (f->kind == FRAME_NOTICE && (f->type & 1))
        ledger_done(l, f->payload.n);
    ledger_grant(l, f->type & 2, &notices, &octets);
    CHECK(l->held_requests <= CHANNEL_REQUESTS && l->held_octets <= CHANNEL_OCTETS);
    CHECK(l->free_requests <= CHANNEL_REQUESTS && l->free_octets <= CHANNEL_OCTETS);
    CHECK(l->free_slot_count <= CHANNEL_REQUESTS);
}

static void run(struct end *end, struct str in, size_t piece)
{
    struct frame f;
    int found = 0;

    ledger_init(&end->ledger);
    for (int i = 0; i < 8; i++) {
        CHECK(ledger_spend(&end->ledger, 100) && ledger_spend(&end->ledger, 50));
        ledger_ask(&end->ledger, 100, NULL);
        ledger_notify(&end->ledger, 50);
    }
    while (in.n && !end->broken) {
        size_t room, n;
        char *to = frame_reader_space(&end->reader, &room);
        n = in.n < piece ? in.n : piece;
        n = n < room ? n : room;
        CHECK(n > 0);
        memcpy(to, in.p, n);
        frame_reader_filled(&end->reader, n);
        in = str_from(in, n);
        while ((found = frame_next(&end->reader, &f, NULL)) > 0 && take(&end->ledger, &f) == 0) {
            answer_some(&end->ledger, &f);
            CHECK(frame_put(&end->seen, &f) == 0);
        }
        end->broken = found != 0;
    }
}

static void open_end(struct end *end, size_t max)
{
    *end = (struct end){0};
    CHECK(frame_reader_open(&end->reader, NULL) == 0);
    buf_init(&end->seen, max);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str in;
    static struct end whole, pieces;

    if (size < 1)
        return 0;
    in = str_of((const char *)data + 1, size - 1);
    open_end(&whole, size);
    open_end(&pieces, size);
    run(&whole, in, SIZE_MAX);
    run(&pieces, in, (size_t)data[0] % 61 + 1);
    CHECK(whole.broken == pieces.broken);
    CHECK(str_eq(buf_str(&whole.seen), buf_str(&pieces.seen)));
    CHECK(str_starts(in, buf_str(&whole.seen)));
    frame_reader_close(&whole.reader);
    frame_reader_close(&pieces.reader);
    buf_done(&whole.seen);
    buf_done(&pieces.seen);
    return 0;
}
