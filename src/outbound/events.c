#include "outbound/events.h"

const struct outbound_event_row outbound_events[] = {
    {EV_OUT_CORE_ATTACHED, "info", "this process can reach core: it sends mail"},
    {EV_OUT_CORE_GONE, "warning",
        "core has ended; what is wholly here is still sent, the rest waits for the next (error)"},
    {EV_OUT_DRAINING, "info", "no new mail is sent by this process (connections)"},
    {EV_OUT_UNAVAILABLE, "warning", "core could not be asked or told something (error)"},
    {EV_OUT_RESOURCES, "error", "memory or descriptors ran out (error)"},
    {EV_CONNECTED, "info",
        "a server has answered; offers are the extensions that it has (host, address, offers)"},
    {EV_UNREACHABLE, "info",
        "an address of a host was tried without success (host, address, code, status, text)"},
    {EV_LOST, "info", "a connection was lost while mail was sent over it (messages, code, text)"},
    {EV_CLOSED, "info", "a connection was closed (messages, in, out, ms, why)"},
    {EV_SITE_FAILED, "warning", "no host of a site takes mail now (tried)"},
    {EV_STALE, "info",
        "a connection was closed while it was idle: the message goes over a new one"},
    {EV_STRANGE_REPLY, "warning", "a server broke the protocol; the connection was ended (text)"},
    {EV_SENT, "info",
        "a server has taken the mail of a recipient (id, from, to, code, status, text)"},
    {EV_DEFERRED, "info",
        "a recipient's mail could not be sent now (id, from, to, code, status, text)"},
    {EV_FAILED, "info", "a recipient's mail will not be sent (id, from, to, code, status, text)"},
    {EV_UNKNOWN, "warning",
        "the connection was lost between the end of a message and the answer: it is sent again, "
        "and "
        "may arrive twice (id, from, to, text)"},
    {EV_LONG_LINES, "info", "lines over 998 octets were sent as they are (id, longest)"},
};

const size_t outbound_event_count = sizeof outbound_events / sizeof *outbound_events;
