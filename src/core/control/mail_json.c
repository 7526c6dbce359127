#include "core/control/mail_json.h"

#include "base/buf.h"
#include "base/utf8.h"

#include "mail/digest.h"

#include "ipc/inbound_core.h"

#include "core/control/op.h"

enum {
    WHOLE_VALUE = 4096, /* octets */
    WHOLE_LIST = 100,
    ADDRESS_PART = 320, /* octets of a local part, of a domain */
    SHORT_VALUE = 200,  /* where the whole is too much for an answer */
    SHORT_LIST = 5,
    WHOLE_JSON = 24 * 1024,
};

enum detail {
    DETAIL_WHOLE,
    DETAIL_SHORT,
};

static json_t *text(struct str s, enum detail detail)
{
    return op_json_or_null(utf8_head(s, detail == DETAIL_SHORT ? SHORT_VALUE : WHOLE_VALUE));
}

static json_t *address(const struct digest_address *a)
{
    struct buf out;
    json_t *value;

    buf_init(&out, WHOLE_VALUE);
    buf_put(&out, utf8_head(a->local, ADDRESS_PART));
    if (a->domain.n) {
        buf_put_c(&out, '@');
        buf_put(&out, utf8_head(a->domain, ADDRESS_PART));
    }
    value = op_json_str(buf_str(&out));
    buf_done(&out);
    return value;
}

static json_t *addresses(struct str list, unsigned max)
{
    json_t *values = json_array();
    struct digest_address a;

    while (json_array_size(values) < max && digest_next_address(&list, &a))
        if (a.kind == DIGEST_MAILBOX)
            json_array_append_new(values, address(&a));
    return values;
}

static json_t *first_address(struct str list)
{
    json_t *all = addresses(list, 1);
    json_t *first = json_array_size(all) ? json_incref(json_array_get(all, 0)) : json_null();

    json_decref(all);
    return first;
}

static json_t *flags(const struct mail_row *row)
{
    static const struct {
        unsigned flag;
        const char *name;
    } names[] = {
        {MAIL_SEEN, "\\Seen"},
        {MAIL_ANSWERED, "\\Answered"},
        {MAIL_FLAGGED, "\\Flagged"},
        {MAIL_DELETED, "\\Deleted"},
        {MAIL_DRAFT, "\\Draft"},
    };
    json_t *list = json_array();

    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (row->flags & names[i].flag)
            json_array_append_new(list, json_string(names[i].name));
    for (uint32_t i = 0; i < row->keywords; i++)
        json_array_append_new(list, op_json_str(row->keyword[i]));
    return list;
}

/* What the digest says; nulls where there is none that can be read. */
static void add_envelope(json_t *json, const struct mail_row *row, enum detail detail)
{
    struct digest_envelope envelope = {0};
    struct digest_sort sort = {0};
    struct digest_parts it;
    struct digest_part root;
    struct digest digest;

    if (digest_open(row->digest, &digest, NULL) == 0) {
        it = digest_parts(&digest);
        if (digest_next_part(&it, &root))
            digest_envelope(root.envelope, &envelope);
        digest_sort(&digest, &sort);
    }
    json_object_set_new(json, "from", first_address(envelope.from));
    json_object_set_new(
        json, "to", addresses(envelope.to, detail == DETAIL_SHORT ? SHORT_LIST : WHOLE_LIST));
    json_object_set_new(json, "subject", text(envelope.subject, detail));
    json_object_set_new(json, "date", sort.has_date ? op_json_time(sort.date_ms) : json_null());
}

static json_t *row_json(const struct mail_row *row, enum detail detail)
{
    json_t *json = json_object();
    char id[IC_ID_CHARS + 1];

    ic_id_format(row->email_id, id);
    json_object_set_new(json, "uid", json_integer(row->uid));
    json_object_set_new(json, "mailbox", op_json_str(row->mailbox));
    json_object_set_new(json, "id", json_string(id));
    add_envelope(json, row, detail);
    json_object_set_new(json, "received", op_json_time(row->received_ms));
    json_object_set_new(json, "size", json_integer((json_int_t)row->size));
    json_object_set_new(json, "flags", flags(row));
    return json;
}

size_t mail_json_size(const json_t *json)
{
    return json_dumpb(json, NULL, 0, JSON_COMPACT);
}

json_t *mail_json(const struct mail_row *row)
{
    json_t *json = row_json(row, DETAIL_WHOLE);

    if (mail_json_size(json) <= WHOLE_JSON)
        return json;
    json_decref(json);
    return row_json(row, DETAIL_SHORT);
}
