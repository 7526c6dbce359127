#include "base/utf8.h"

#include "mail/address_list.h"
#include "mail/date.h"
#include "mail/digest_int.h"
#include "mail/header.h"
#include "mail/message_id.h"
#include "mail/rfc2047.h"
#include "mail/subject.h"

enum list {
    FROM,
    SENDER,
    REPLY_TO,
    TO,
    CC,
    BCC,
    LISTS
};

enum {
    REPEATED_MAX = 8 /* fields of one name that are joined */
};

/* Where the fields of an envelope are in the header block. Fields of addresses that occur twice are
 * joined, so that no reader sees only the first or the last (hostile.md 83); of others the first
 * counts. */
struct found {
    struct str list[LISTS][REPEATED_MAX];
    unsigned count[LISTS];
    struct str date, subject, in_reply_to, message_id, references;
};

static void first_of(struct str *slot, struct str value)
{
    if (!slot->p)
        *slot = value;
}

static void add_list(struct found *f, enum list list, struct str value)
{
    if (f->count[list] < REPEATED_MAX)
        f->list[list][f->count[list]++] = value;
}

static void note_field(struct found *f, const struct header_field *field)
{
    struct str v = field->value;
    if (field->id == HEADER_FROM)
        add_list(f, FROM, v);
    else if (field->id == HEADER_SENDER)
        add_list(f, SENDER, v);
    else if (field->id == HEADER_REPLY_TO)
        add_list(f, REPLY_TO, v);
    else if (field->id == HEADER_TO)
        add_list(f, TO, v);
    else if (field->id == HEADER_CC)
        add_list(f, CC, v);
    else if (field->id == HEADER_BCC)
        add_list(f, BCC, v);
    else if (field->id == HEADER_DATE)
        first_of(&f->date, v);
    else if (field->id == HEADER_SUBJECT)
        first_of(&f->subject, v);
    else if (field->id == HEADER_IN_REPLY_TO)
        first_of(&f->in_reply_to, v);
    else if (field->id == HEADER_MESSAGE_ID)
        first_of(&f->message_id, v);
    else if (field->id == HEADER_REFERENCES)
        first_of(&f->references, v);
}

/* scratch has room for whatever a header block holds: if it is bad there was no memory. */
static void put_scratch(struct buf *out, const struct buf *scratch)
{
    out->bad |= !buf_ok(scratch);
    dig_put_slice(out, buf_str(scratch));
}

static void put_text(struct buf *out, struct str value, struct buf *scratch)
{
    buf_clear(scratch);
    header_put_unfolded(str_head(value, DIGEST_TEXT_MAX), scratch);
    put_scratch(out, scratch);
}

static void put_address(struct buf *out, const struct address *a, struct buf *scratch)
{
    void (*const parts[])(const struct address *, struct buf *) = {
        address_put_name, address_put_route, address_put_local, address_put_domain};
    dig_put_number(out, (uint64_t)a->kind);
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        buf_clear(scratch);
        parts[i](a, scratch);
        out->bad |= !buf_ok(scratch);
        dig_put_slice(out, str_head(buf_str(scratch), DIGEST_TEXT_MAX));
    }
}

/* A list is a slice of addresses; what it holds is not known before, so its length is put behind.
 */
static void put_list(struct buf *out, const struct found *f, enum list list, struct buf *scratch)
{
    struct buf addresses;
    unsigned count = 0;
    buf_init(&addresses, out->max);
    for (unsigned i = 0; i < f->count[list]; i++) {
        struct address_list l = address_list(f->list[list][i]);
        struct address a;
        while (count < DIGEST_ADDRESSES_MAX && address_next(&l, &a)) {
            put_address(&addresses, &a, scratch);
            count++;
        }
    }
    if (!buf_ok(&addresses))
        out->bad = true;
    dig_put_slice(out, buf_str(&addresses));
    buf_done(&addresses);
}

static bool first_mailbox(const struct found *f, enum list list, struct address *a)
{
    for (unsigned i = 0; i < f->count[list]; i++) {
        struct address_list l = address_list(f->list[list][i]);
        for (unsigned n = 0; n < DIGEST_ADDRESSES_MAX && address_next(&l, a); n++)
            if (a->kind == ADDRESS_MAILBOX)
                return true;
    }
    return false;
}

static void put_local_key(
    struct buf *out, const struct found *f, enum list list, struct buf *scratch)
{
    struct address a;
    buf_clear(scratch);
    if (first_mailbox(f, list, &a))
        address_put_local(&a, scratch);
    out->bad |= !buf_ok(scratch);
    dig_put_slice(out, utf8_head(buf_str(scratch), DIGEST_KEY_MAX));
}

/* RFC 5957 3: the decoded display name, else mailbox@host */
static void put_display_key(
    struct buf *out, const struct found *f, enum list list, struct buf *scratch)
{
    struct address a;
    struct buf name;
    buf_init(&name, DIGEST_KEY_MAX);
    buf_clear(scratch);
    if (first_mailbox(f, list, &a)) {
        address_put_name(&a, scratch);
        rfc2047_decode(buf_str(scratch), DIGEST_KEY_MAX, &name);
        if (buf_len(&name) == 0) {
            buf_clear(scratch);
            address_put_local(&a, scratch);
            buf_put_c(scratch, '@');
            address_put_domain(&a, scratch);
            rfc2047_decode(buf_str(scratch), DIGEST_KEY_MAX, &name);
        }
    }
    out->bad |= !buf_ok(&name) || !buf_ok(scratch);
    dig_put_slice(out, buf_str(&name));
    buf_done(&name);
}

static void put_sort(struct buf *out, const struct found *f, struct buf *scratch)
{
    struct mail_date date = {0};
    bool has_date = date_parse(f->date, &date), reply;
    buf_clear(scratch);
    subject_base(f->subject, scratch, &reply);
    dig_put_number(out, (unsigned)has_date | (unsigned)reply << 1);
    dig_put_signed(out, date.ms);
    dig_put_signed(out, date.zone_min);
    put_scratch(out, scratch);
    put_local_key(out, f, FROM, scratch);
    put_local_key(out, f, TO, scratch);
    put_local_key(out, f, CC, scratch);
    put_display_key(out, f, FROM, scratch);
    put_display_key(out, f, TO, scratch);
}

static unsigned count_ids(struct str field, struct buf *scratch)
{
    unsigned n = 0;
    for (buf_clear(scratch); message_id_next(&field, scratch); buf_clear(scratch))
        n++;
    return n;
}

/* RFC 5256 3, REFERENCES: the ids of References, else the first of In-Reply-To */
static void put_thread(struct buf *out, const struct found *f, struct buf *scratch)
{
    struct str reply = f->in_reply_to, references = f->references;
    struct buf ids;
    buf_clear(scratch);
    message_id_parse(f->message_id, scratch);
    put_scratch(out, scratch);
    buf_clear(scratch);
    message_id_next(&reply, scratch);
    put_scratch(out, scratch);
    unsigned count = count_ids(references, scratch), max = DIGEST_REFERENCES_MAX;
    if (count == 0) {
        references = f->in_reply_to;
        max = 1;
    }
    buf_init(&ids, (size_t)DIGEST_REFERENCES_MAX * (MESSAGE_ID_MAX + 4));
    unsigned skip = count > max ? count - max : 0, n = 0;
    for (buf_clear(scratch); n < skip + max && message_id_next(&references, scratch);
         buf_clear(scratch))
        if (n++ >= skip)
            dig_put_slice(&ids, buf_str(scratch));
    out->bad |= !buf_ok(&ids) || !buf_ok(scratch);
    dig_put_slice(out, buf_str(&ids));
    buf_done(&ids);
}

void dig_put_envelope(
    struct str block, struct buf *out, struct buf *sort, struct buf *thread, struct buf *scratch)
{
    struct header_iter it = header_iter(block);
    struct header_field field;
    struct found f = {0};
    while (header_next(&it, &field))
        note_field(&f, &field);
    put_text(out, f.date, scratch);
    put_text(out, f.subject, scratch);
    for (enum list list = FROM; list < LISTS; list++)
        put_list(out, &f, list, scratch);
    put_text(out, f.in_reply_to, scratch);
    put_text(out, f.message_id, scratch);
    if (sort)
        put_sort(sort, &f, scratch);
    if (thread)
        put_thread(thread, &f, scratch);
}
