#include "inbound/events.h"

const struct inbound_event_row inbound_events[] = {
    {EV_CORE_ATTACHED, "info", "this process can reach core: it takes mail"},
    {EV_CORE_GONE, "warning", "core has ended; mail gets 451 4.3.0 until it is back (error)"},
    {EV_DRAINING, "info", "no connection is accepted any more; transactions may end (sessions)"},
    {EV_NOT_SERVED, "warning",
        "a listener of a protocol that this server does not speak (listener)"},
    {EV_CONNECT, "info", "a client has been greeted (client, listener, trusted)"},
    {EV_REFUSED, "info", "a client got 421 instead of a greeting (client, listener, error)"},
    {EV_DISCONNECT, "info",
        "a session has ended (messages, recipients, refused, errors, in, out, ms, why)"},
    {EV_VIOLATION, "warning", "a session was ended for breaking the protocol (why)"},
    {EV_UNAVAILABLE, "warning", "core could not be asked; the client got 4xx (error)"},
    {EV_MAIL_REFUSED, "info", "a message was refused, at MAIL or at its end (code, error)"},
    {EV_MAIL_ACCEPTED, "info",
        "a message is durable (id, from, to where there is one, recipients, bytes, proto)"},
    {EV_RCPT_REFUSED, "info", "a recipient was refused (id, from, to, code, error)"},
};

const size_t inbound_event_count = sizeof inbound_events / sizeof *inbound_events;
