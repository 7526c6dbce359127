#include <signal.h>
#include <unistd.h>

#include "ipc/inbound_core.h"
#include "ipc/master_role.h"
#include "ipc/note.h"

#include "master/master_int.h"

enum {
    CLIENT_TEXT = 100,
};

/* Of its own doing; a kill from outside (an operator, a kernel short of memory) is not. */
static bool is_fault(int signal)
{
    static const int faults[] = {SIGSEGV, SIGBUS, SIGABRT, SIGILL, SIGFPE, SIGSYS, SIGTRAP};

    for (size_t i = 0; i < sizeof faults / sizeof *faults; i++)
        if (faults[i] == signal)
            return true;
    return false;
}

static bool is_client(const uint8_t address[16])
{
    static const uint8_t none[16];

    return memcmp(address, none, sizeof none) != 0;
}

/* Empty where there is none. */
static void format_client(struct buf *out, const uint8_t octets[16])
{
    struct net_address address;

    net_from_octets(octets, 0, &address);
    if (is_client(octets))
        net_format_ip(&address, out);
}

static void blame_note(struct process *p, const struct note *note)
{
    const struct event *event = &p->master->event;
    char id[IC_ID_CHARS + 1] = "";
    struct buf client;

    buf_init(&client, CLIENT_TEXT);
    format_client(&client, note->client);
    if (note->message)
        ic_id_format(note->message, id);
    log_error(event, "process_died_at", kv_c("role", role_kind_name(p->kind)),
        kv_i64("pid", p->pid), kv_c("stage", note_stage_name(note->stage)),
        kv_str("client", buf_str(&client)), kv_c("id", id));
    if (p->kind == ROLE_INBOUND && is_client(note->client) &&
        blame_client(p->master->blame, note->client, run_now_fresh()))
        log_warning(event, "client_banned", kv_str("client", buf_str(&client)),
            kv_i64("prefix", blame_is_network(note->client) ? 64 : 32),
            kv_u64("seconds", BAN_MS / 1000));
    if (note->message && blame_message(p->master->blame, note->message, run_now_fresh()))
        log_error(event, "message_kills", kv_c("id", id), kv_u64("deaths", QUARANTINE_DEATHS));
    buf_done(&client);
}

void death_examine(struct process *p, int signal)
{
    struct fiber_note page;
    struct note note;

    /* Read, not mapped: nothing that was done to it can do anything to us. */
    if (!is_fault(signal) || pread(p->page, &page, sizeof page, 0) != sizeof page)
        return;
    note = note_of(&page);
    if (note.stage != NOTE_NOTHING)
        blame_note(p, &note);
}

static int tell_ban(struct process *core, const struct blame_client *c, struct err *e)
{
    uint64_t now = run_now_fresh();
    struct role_ban ban = {
        .network = blame_is_network(c->network),
        .left_ms = c->banned_until > now ? c->banned_until - now : 0,
    };
    struct buf payload;
    int result;

    memcpy(ban.address, c->network, sizeof ban.address);
    buf_init(&payload, 100);
    mr_ban_encode(&ban, &payload);
    result = channel_notify(core->channel, MR_BAN, buf_str(&payload), e);
    buf_done(&payload);
    return result;
}

static int tell_quarantine(struct process *core, uint64_t id, struct err *e)
{
    struct buf payload;
    int result;

    buf_init(&payload, sizeof id);
    enc_u64(&payload, id);
    result = channel_notify(core->channel, MR_QUARANTINE, buf_str(&payload), e);
    buf_done(&payload);
    return result;
}

int death_tell_core(struct process *core, struct err *e)
{
    struct blame *b = core->master->blame;
    const struct blame_message *m;
    const struct blame_client *c;

    while (core->channel && (c = blame_next_ban(b, core->number, run_now_fresh())))
        if (tell_ban(core, c, e) < 0)
            return -1;
    while (core->channel && (m = blame_next_quarantine(b, core->number)))
        if (tell_quarantine(core, m->id, e) < 0)
            return -1;
    return core->channel ? 0 : err_set(e, ERR_CLOSED, "master", "core has ended");
}
