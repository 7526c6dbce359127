#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/check.h"

#include "master/sandbox_int.h"

#ifdef VEREDUS_SANITIZED
static const uint32_t DEFAULT_ACTION = SCMP_ACT_ERRNO(EPERM);
#else
static const uint32_t DEFAULT_ACTION = SCMP_ACT_KILL_PROCESS;
#endif

static uint32_t action_of(enum profile_act act)
{
    switch (act) {
    case CALL_ALLOW:
        return SCMP_ACT_ALLOW;
    case CALL_KILL:
        return SCMP_ACT_KILL_PROCESS;
    case CALL_EACCES:
        return SCMP_ACT_ERRNO(EACCES);
    case CALL_ENOSYS:
        return SCMP_ACT_ERRNO(ENOSYS);
    case CALL_EPERM:
        return SCMP_ACT_ERRNO(EPERM);
    }
    UNREACHABLE();
}

static struct scmp_arg_cmp condition_of(const struct profile_condition *on)
{
    struct scmp_arg_cmp c = {.arg = on->argument, .datum_a = on->value};

    switch (on->when) {
    case IF_ALWAYS:
        break;
    case IF_EQUAL:
        c.op = SCMP_CMP_EQ;
        break;
    case IF_NOT_BITS:
        c.op = SCMP_CMP_MASKED_EQ;
        break; /* masked by the value, nothing is left: datum_b is 0 */
    case IF_BITS:
    case IF_ANY_BIT:
        c.op = SCMP_CMP_MASKED_EQ;
        c.datum_b = on->value;
        break;
    case IF_SOCKET_TYPE:
        c.op = SCMP_CMP_MASKED_EQ;
        c.datum_a = ~(uint64_t)(SOCK_NONBLOCK | SOCK_CLOEXEC);
        c.datum_b = on->value;
        break;
    case IF_OWN_PID:
        c.op = SCMP_CMP_EQ;
        c.datum_a = (uint64_t)getpid();
        break;
    case IF_OTHER_PID:
        c.op = SCMP_CMP_NE;
        c.datum_a = (uint64_t)getpid();
        break;
    }
    return c;
}

static int add(scmp_filter_ctx filter, const struct profile_call *call, struct err *e)
{
    struct scmp_arg_cmp on[sizeof call->on / sizeof *call->on];
    uint32_t action = action_of(call->act);
    unsigned count = 0;
    int result;

    /* A rule that says what happens anyway is an error to the library. */
    if (action == DEFAULT_ACTION)
        return 0;
    while (count < sizeof on / sizeof *on && call->on[count].when != IF_ALWAYS) {
        on[count] = condition_of(&call->on[count]);
        count++;
    }
    result = seccomp_rule_add_array(filter, action, call->number, count, on);
    return result < 0 ? err_os(e, -result, "sandbox", "seccomp rule for call %d", call->number) : 0;
}

static int add_all(scmp_filter_ctx filter, const struct profile_calls *calls, struct err *e)
{
    for (size_t i = 0; i < calls->count; i++)
        if (add(filter, &calls->v[i], e) < 0)
            return -1;
    return 0;
}

static int load(scmp_filter_ctx filter, const struct profile *profile, struct err *e)
{
    int result;

    /* Another architecture's calls have other numbers. Half the time is saved by a tree. */
    seccomp_attr_set(filter, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
    seccomp_attr_set(filter, SCMP_FLTATR_CTL_OPTIMIZE, 2);
    for (size_t i = 0; i < sizeof profile->calls / sizeof *profile->calls; i++)
        if (add_all(filter, &profile->calls[i], e) < 0)
            return -1;
    if (add_all(filter, &profile_forbidden, e) < 0)
        return -1;
    result = seccomp_load(filter);
    return result < 0 ? err_os(e, -result, "sandbox", "seccomp") : 0;
}

int seccomp_enter(const struct profile *profile, struct err *e)
{
    scmp_filter_ctx filter = seccomp_init(DEFAULT_ACTION);
    int result;

    if (!filter)
        return err_memory(e, "sandbox");
    result = load(filter, profile, e);
    seccomp_release(filter);
    return result;
}
