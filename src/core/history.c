#include "core/history.h"

#include "base/timefmt.h"

#include "core/core.h"
#include "core/message.h"
#include "core/trace/trace.h"

static void recipient(struct core *c, const struct envelope *v, const struct target *t, int64_t now)
{
    const struct str given = t->given < v->given.count ? v->given.rcpt[t->given].address : STR_NONE;

    trace_write(c->trace, &(struct trace_event){
                              .kind = TRACE_QUEUED,
                              .when_ms = now,
                              .id = v->given.id,
                              .to = t->address,
                              .text = str_eq(given, t->address) ? STR_NONE : given,
                          });
}

void history_received(struct core *c, const struct message *m)
{
    const struct envelope *v = &m->envelope;
    int64_t now = wall_ms();

    trace_write(c->trace, &(struct trace_event){
                              .kind = TRACE_RECEIVED,
                              .when_ms = now,
                              .id = v->given.id,
                              .from = v->given.reverse_path,
                              .has_from = true,
                              .client = v->client,
                              .helo = v->helo,
                              .protocol = v->protocol,
                              .count = v->targets,
                              .size = m->commit.prefix.n + m->commit.content_size,
                          });
    for (uint32_t i = 0; i < v->targets; i++)
        recipient(c, v, &v->target[i], now);
}

static void refusal(struct core *c, struct trace_event ev, const struct err *why)
{
    ev.kind = TRACE_REFUSED;
    ev.status = why->status;
    ev.text = str_c(why->text);
    trace_write(c->trace, &ev);
}

void history_not_kept(struct core *c, uint64_t id, const struct err *why)
{
    refusal(c, (struct trace_event){.id = id}, why);
}

void history_refused(struct core *c, struct str from, struct str to, const struct err *why)
{
    refusal(c, (struct trace_event){.from = from, .has_from = true, .to = to}, why);
}

void history_notified(struct core *c, uint64_t about, const struct message *m, bool delayed)
{
    const struct ic_envelope *given = &m->envelope.given;

    history_received(c, m);
    trace_write(c->trace, &(struct trace_event){
                              .kind = delayed ? TRACE_DELAYED : TRACE_DSN,
                              .id = about,
                              .other = given->id,
                              .text = given->count ? given->rcpt[0].address : STR_NONE,
                          });
}

void history_unheard(struct core *c, uint64_t id, struct str to)
{
    trace_write(
        c->trace, &(struct trace_event){.kind = TRACE_NO_DSN,
                      .id = id,
                      .to = to,
                      .text = STR("the null sender gets no notification, or none was wanted")});
}
