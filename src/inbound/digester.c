#include "inbound/digester.h"

#include "base/mem.h"

void digester_init(struct digester *d)
{
    for (unsigned i = 0; i < IC_DIGEST_JOBS; i++)
        d->job[i].builder = NULL;
}

static void finish(struct digester_job *job)
{
    digest_done(job->builder);
    mem_free(job->builder);
    job->builder = NULL;
}

void digester_reset(struct digester *d)
{
    for (unsigned i = 0; i < IC_DIGEST_JOBS; i++)
        if (d->job[i].builder)
            finish(&d->job[i]);
}

static struct digester_job *find(struct digester *d, uint32_t number)
{
    for (unsigned i = 0; i < IC_DIGEST_JOBS; i++)
        if (d->job[i].builder && d->job[i].number == number)
            return &d->job[i];
    return NULL;
}

/* A free place, or that of the oldest job: core has given it up. */
static struct digester_job *place(struct digester *d)
{
    struct digester_job *oldest = &d->job[0];

    for (unsigned i = 0; i < IC_DIGEST_JOBS; i++) {
        if (!d->job[i].builder)
            return &d->job[i];
        if (d->job[i].number < oldest->number)
            oldest = &d->job[i];
    }
    finish(oldest);
    return oldest;
}

static struct digester_job *begin(struct digester *d, uint32_t number)
{
    struct digester_job *job = place(d);

    job->builder = MEM_NEW(struct digest_builder);
    if (!job->builder)
        return NULL;
    job->number = number;
    digest_begin(job->builder, &MIME_LIMITS_DEFAULT);
    return job;
}

void digester_put(struct digester *d, struct str payload)
{
    struct dec in = dec_of(payload);
    uint32_t number = dec_u32(&in);
    struct digester_job *job;

    if (in.bad)
        return;
    job = find(d, number);
    if (!job)
        job = begin(d, number);
    if (job)
        digest_feed(job->builder, in.rest);
}

void digester_end(struct digester *d, struct channel_call from, struct str payload)
{
    struct dec in = dec_of(payload);
    struct digester_job *job = find(d, dec_u32(&in));
    struct buf out;

    buf_init(&out, CHANNEL_FRAME_MAX);
    if (job) {
        if (digest_finish(job->builder, &out, NULL) < 0)
            buf_clear(&out);
        finish(job);
    }
    channel_reply(from, buf_ok(&out) ? buf_str(&out) : STR(""));
    buf_done(&out);
}
