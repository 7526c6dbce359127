#include "ipc/inbound_core_recode.h"

#include "ipc/inbound_core.h"

static int lease(struct arena *a, struct str in, struct buf *out, struct err *e)
{
    struct ic_lease v;

    (void)a;
    if (ic_lease_decode(in, &v, e) < 0)
        return -1;
    ic_lease_encode(&v, out);
    return 0;
}

static int admit(struct arena *a, struct str in, struct buf *out, struct err *e)
{
    struct ic_admit v;

    (void)a;
    if (ic_admit_decode(in, &v, e) < 0)
        return -1;
    ic_admit_encode(&v, out);
    return 0;
}

static int admitted(struct arena *a, struct str in, struct buf *out, struct err *e)
{
    struct ic_admitted v;

    (void)a;
    if (ic_admitted_decode(in, &v, e) < 0)
        return -1;
    ic_admitted_encode(&v, out);
    return 0;
}

static int rcpt(struct arena *a, struct str in, struct buf *out, struct err *e)
{
    struct ic_rcpt v;

    if (ic_rcpt_decode(a, in, &v, e) < 0)
        return -1;
    ic_rcpt_encode(&v, out);
    return 0;
}

static int rcpt_answers(struct arena *a, struct str in, struct buf *out, struct err *e)
{
    struct ic_rcpt_answer *v;
    uint32_t count;

    if (ic_rcpt_answers_decode(a, in, &v, &count, e) < 0)
        return -1;
    for (uint32_t i = 0; i < count; i++)
        ic_rcpt_answer_encode(&v[i], out);
    return 0;
}

static int put(struct arena *a, struct str in, struct buf *out, struct err *e)
{
    struct ic_put v;

    (void)a;
    if (ic_put_decode(in, &v, e) < 0)
        return -1;
    ic_put_encode(&v, out);
    return 0;
}

static int recipients(struct arena *a, struct str in, struct buf *out, struct err *e)
{
    struct ic_recipient *v;
    uint32_t count;

    if (ic_recipients_decode(a, in, &v, &count, e) < 0)
        return -1;
    ic_recipients_encode(v, count, out);
    return 0;
}

static int commit(struct arena *a, struct str in, struct buf *out, struct err *e)
{
    struct ic_commit v;

    if (ic_commit_decode(a, in, &v, e) < 0)
        return -1;
    ic_commit_encode(&v, out);
    return 0;
}

const struct recode_kind ic_kinds[] = {
    {"lease", false, lease},
    {"admit", false, admit},
    {"admitted", false, admitted},
    {"rcpt", false, rcpt},
    {"rcpt_answers", true, rcpt_answers},
    {"put", false, put},
    {"recipients", true, recipients},
    {"commit", false, commit},
};

const size_t ic_kind_count = sizeof ic_kinds / sizeof *ic_kinds;
