#include "inbound/smtp/session.h"

#include "wire/smtp_reply.h"

#include "inbound/smtp/commands.h"

enum {
    PARK_AFTER_MS = 500, /* of silence, then the stack is given back */
    SKIP_MAX = 65536,    /* of a line that is too long: hostile.md 8 */
    LINGER_MS = 5000,
};

void session_reset(struct session *s)
{
    content_drop(s);
    s->tx = (struct transaction){0};
    arena_reset(&s->mail);
    if (s->phase > PHASE_READY)
        s->phase = PHASE_READY;
}

void session_end_with(
    struct session *s, uint16_t code, struct err_status status, const char *text, const char *why)
{
    char line[SMTP_REPLY_LINE_MAX];

    if (s->over)
        return;
    s->over = true;
    s->why = why;
    /* What does not fit into the buffer any more is not worth waiting for. */
    (void)stream_write(s->stream, smtp_reply_line(line, code, status, true, str_c(text)), NULL);
}

void session_fail(struct session *s, const struct err *e)
{
    switch (e->class) {
    case ERR_DEADLINE:
        session_end_with(s, 421, STATUS(4, 4, 2), "timeout", "timeout");
        return;
    case ERR_CANCELLED:
        session_end_with(s, 421, STATUS(4, 3, 2), "the server shuts down", "shutdown");
        return;
    case ERR_TEMPORARY:
        session_end_with(s, 421, STATUS(4, 3, 0), "out of resources", "resources");
        return;
    case ERR_NONE:
    case ERR_PERMANENT:
    case ERR_CLOSED:
    case ERR_BUG:
        break;
    }
    if (!s->over)
        s->why = "closed by the client";
    s->over = true;
}

void session_note(const struct session *s, enum note_stage stage)
{
    struct note note = {.message = s->tx.id, .stage = stage};

    (void)net_octets(&s->peer, note.client); /* none for a local socket: zeros */
    note_set(&note);
}

/* ---- the greeting */

static bool is_loopback(const struct net_address *peer)
{
    if (peer->any.sa_family == AF_INET)
        return ntohl(peer->in.sin_addr.s_addr) >> 24 == 127;
    return peer->any.sa_family == AF_INET6 && (IN6_IS_ADDR_LOOPBACK(&peer->in6.sin6_addr) ||
                                                  (IN6_IS_ADDR_V4MAPPED(&peer->in6.sin6_addr) &&
                                                      peer->in6.sin6_addr.s6_addr[12] == 127));
}

/* 0: admitted, with a right. 1: answer says why not. */
static int ask_core(struct session *s, struct ic_admitted *answer, struct err *e)
{
    struct ic_admit ask = {.listener = s->listener->number};
    int rc;

    (void)net_octets(&s->peer, ask.address); /* none for a local socket: zeros */
    rc = core_admit(s->service->core, &ask, &s->slot, answer, e);
    if (rc != 0)
        return rc;
    s->right = answer->right;
    /* Who submits must be known; a loopback client may reach local mailboxes. */
    s->may_send = s->listener->protocol != PROTOCOL_SUBMISSION || s->right == IC_TRUSTED ||
                  is_loopback(&s->peer);
    return 0;
}

int session_readmit(struct session *s, struct err *e)
{
    struct ic_admitted answer;
    int rc;

    if (core_link_same(s->service->core, s->slot.generation))
        return 0;
    rc = ask_core(s, &answer, e);
    if (rc > 0)
        *e = answer.why;
    return rc == 0 ? 0 : -1;
}

/* Asks core whether this connection may be. */
static void admit(struct session *s)
{
    struct ic_admitted answer;
    struct err e;
    int rc = ask_core(s, &answer, &e);

    if (rc == 0)
        return;
    if (rc < 0 && e.class == ERR_CANCELLED) {
        session_fail(s, &e);
        return;
    }
    if (rc < 0) {
        log_warning(&s->event, EV_UNAVAILABLE, kv_err(&e));
        session_end_with(
            s, 421, STATUS(4, 3, 0), "the server is starting, try again later", "core unavailable");
        return;
    }
    log_info(&s->event, EV_REFUSED, kv_err(&answer.why));
    if (answer.why.status.class != 4)
        answer.why.status = STATUS(4, 7, 0);
    session_end_with(s, 421, answer.why.status, answer.why.text, "not admitted");
}

/* Who speaks before the greeting does not wait for replies: hostile.md 6. */
static void delay_greeting(struct session *s)
{
    uint64_t delay = s->service->config->greet_delay_ms, before;
    struct err e = {0};
    int rc = 0;

    if (delay == 0 || s->right == IC_TRUSTED)
        return;
    if (str_empty(stream_input(s->stream))) {
        before = fiber_deadline_shorten(run_now() + delay);
        rc = stream_fill(s->stream, &e);
        fiber_deadline_restore(before);
    }
    if (rc < 0 && e.class == ERR_DEADLINE)
        return;
    if (rc < 0) {
        session_fail(s, &e);
        return;
    }
    log_warning(&s->event, EV_VIOLATION, kv_c("why", "spoke before the greeting"));
    session_end_with(s, 554, STATUS(5, 5, 0), "you spoke before you were greeted", "early talker");
}

/* The deadline of the next command, all of it: hostile.md 21. */
static void set_deadline(struct session *s)
{
    uint64_t timeout = s->service->config->limits.command_timeout_ms;

    s->deadline = timeout ? run_now() + timeout : DEADLINE_NONE;
    if (s->phase == PHASE_CONNECTED && s->greet_until < s->deadline)
        s->deadline = s->greet_until;
    fiber_deadline_restore(DEADLINE_NONE);
    fiber_deadline_shorten(s->deadline);
}

static void greet(struct session *s)
{
    const struct config_limits *limits = &s->service->config->limits;

    s->fields[0] = kv_c("client", s->client);
    s->fields[1] = kv_str("listener", s->listener->title);
    s->event = (struct event){s->service->event, s->fields, 2};
    s->phase = PHASE_CONNECTED;
    s->greet_until =
        limits->greeting_timeout_ms ? run_now() + limits->greeting_timeout_ms : DEADLINE_NONE;
    set_deadline(s);
    admit(s);
    if (!s->over)
        delay_greeting(s);
    if (s->over)
        return;
    log_info(&s->event, EV_CONNECT, kv_bool("trusted", s->right == IC_TRUSTED));
    smtp_say_raw(s, session_is_lmtp(s) ? s->service->banner_lmtp : s->service->banner_smtp);
}

/* ---- the commands */

static size_t line_max(const struct session *s)
{
    uint64_t max = s->service->config->limits.command_line;

    return max && max < STREAM_IN_MAX ? (size_t)max : STREAM_IN_MAX;
}

/* A line longer than allowed: answered once, then dropped. */
static void skip_line(struct session *s)
{
    struct err e;
    int rc;

    smtp_say(s, 500, STATUS(5, 5, 2), STR("line too long"));
    rc = stream_skip_line(s->stream, SKIP_MAX, &e);
    if (rc < 0)
        session_fail(s, &e);
    else if (rc > 0)
        session_end_with(s, 421, STATUS(4, 7, 0), "line without an end", "line without an end");
}

/* Waits until something comes. True: the session is parked, and a new fiber will go on. */
static bool wait_or_park(struct session *s)
{
    struct err e;
    uint64_t before;
    int rc;

    if (stream_flush(s->stream, &e) < 0) {
        session_fail(s, &e);
        return false;
    }
    before = fiber_deadline_shorten(run_now() + PARK_AFTER_MS);
    rc = stream_fill(s->stream, &e);
    fiber_deadline_restore(before);
    if (rc == 0)
        return false;
    if (e.class == ERR_DEADLINE && run_now() < s->deadline) {
        if (s->phase == PHASE_READY)
            arena_done(&s->mail);
        arena_done(&s->scratch);
        buf_release(&s->request);
        buf_release(&s->reply);
        if (stream_park(s->stream, &s->scope, s->deadline, "smtp", session_main, s, &e) == 0)
            return true;
    }
    if (e.class != ERR_DEADLINE || run_now() >= s->deadline)
        session_fail(s, &e);
    return false;
}

/* Too much of what brings no mail, or the server ends: hostile.md 19. */
static bool had_enough(struct session *s)
{
    const struct config_limits *limits = &s->service->config->limits;

    if (limits->errors && s->errors >= limits->errors)
        session_end_with(s, 421, STATUS(4, 7, 0), "too many errors", "too many errors");
    else if (limits->junk_commands && s->junk >= limits->junk_commands)
        session_end_with(
            s, 421, STATUS(4, 7, 0), "too many commands without mail", "too many junk commands");
    else if (s->service->draining && s->phase < PHASE_MAIL)
        session_end_with(s, 421, STATUS(4, 3, 2), "the server shuts down", "shutdown");
    return s->over;
}

static void next_command(struct session *s)
{
    struct str line;
    struct err e;
    int rc;

    session_note(s, NOTE_COMMAND);
    rc = stream_read_line(s->stream, line_max(s), &line, &e);
    if (rc < 0)
        session_fail(s, &e);
    else if (rc > 0)
        skip_line(s);
    else
        smtp_dispatch(s, line);
    arena_reset(&s->scratch);
}

static void end(struct session *s)
{
    uint64_t in = stream_octets_in(s->stream), out = stream_octets_out(s->stream);

    session_reset(s);
    core_release(s->service->core, &s->slot);
    stream_finish(&s->stream, &s->service->linger, LINGER_MS);
    log_info(&s->event, EV_DISCONNECT, kv_u64("messages", s->messages),
        kv_u64("recipients", s->recipients), kv_u64("refused", s->refused),
        kv_u64("errors", s->errors), kv_u64("in", in), kv_u64("out", out),
        kv_u64("ms", run_now() - s->started), kv_c("why", s->why ? s->why : "quit"));
    list_remove(&s->link);
    list_add(&s->service->ended, &s->link);
    run_at_turn_end(&s->service->reaper);
}

void session_main(void *arg)
{
    struct session *s = arg;

    if (s->phase == PHASE_NEW) {
        session_note(s, NOTE_GREETING);
        greet(s);
        set_deadline(s);
    } else { /* it was parked */
        fiber_deadline_restore(DEADLINE_NONE);
        fiber_deadline_shorten(s->deadline);
    }
    while (!s->over && !had_enough(s)) {
        if (str_empty(stream_input(s->stream)) && wait_or_park(s))
            return;
        if (s->over || str_empty(stream_input(s->stream)))
            continue;
        next_command(s);
        set_deadline(s);
    }
    end(s);
}
