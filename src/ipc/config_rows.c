#include "base/mem.h"

#include "ipc/config_int.h"
#include "ipc/config_sound.h"

#define K      ((uint64_t)1 << 10)
#define M      ((uint64_t)1 << 20)
#define G      ((uint64_t)1 << 30)
#define SECOND ((uint64_t)1000)
#define MINUTE (60 * SECOND)
#define HOUR   (60 * MINUTE)
#define DAY    (24 * HOUR)
#define MANY   ((uint64_t)10000000) /* more than any count that is meant */

/* The words of the enums in config.h, in their order. */
static const char *const protocol_words[] = {"smtp", "submission", "imap", "pop3", "lmtp", NULL};
static const char *const tls_words[] = {"starttls", "implicit", "off", NULL};
static const char *const bare_lf_words[] = {"refuse", "normalize", NULL};
static const char *const sandbox_words[] = {"required", "best-effort", "off", NULL};
static const char *const sync_words[] = {"group", "none", NULL};
static const char *const log_format_words[] = {"text", "json", NULL};
static const char *const log_level_words[] = {"error", "warning", "info", "debug", NULL};

/* ---- values made from other values */

static bool origin_is_hostname(struct config *c, void *section)
{
    (void)section;
    c->origin = c->hostname;
    return true;
}

static bool runtime_in_data(struct config *c, void *section)
{
    (void)section;
    c->runtime = arena_printf(&c->arena, "%.*s/run", STR_ARG(c->data));
    return c->runtime.p != NULL;
}

static bool auth_by_protocol(struct config *c, void *section)
{
    struct config_listen *listen = section;

    (void)c;
    listen->auth = listen->protocol != PROTOCOL_SMTP && listen->protocol != PROTOCOL_LMTP;
    return true;
}

/* ---- rows */

#define TEXT(row_name, field, check)                                                               \
    .name = row_name, .type = ROW_TEXT, .offset = offsetof(struct SECTION, field), .least = 1,     \
    .most = 1024, .sound = check
#define TEXTS(row_name, field, check)                                                              \
    .name = row_name, .type = ROW_TEXTS, .offset = offsetof(struct SECTION, field), .least = 1,    \
    .most = 1024, .sound = check
#define WORD(row_name, field, list)                                                                \
    .name = row_name, .type = ROW_WORD, .offset = offsetof(struct SECTION, field), .words = list
#define YES_NO(row_name, field)                                                                    \
    .name = row_name, .type = ROW_BOOL, .offset = offsetof(struct SECTION, field)
#define NUMBER(row_name, row_type, field, from, to)                                                \
    .name = row_name, .type = row_type, .offset = offsetof(struct SECTION, field), .least = from,  \
    .most = to
#define NETWORKS(row_name, field)                                                                  \
    .name = row_name, .type = ROW_NETWORKS, .offset = offsetof(struct SECTION, field)

#define SECTION config
static const struct config_row top_rows[] = {
    {TEXT("hostname", hostname, sound_host_name), .flags = ROW_REQUIRED,
        .sentence = "The name of this server, as its greeting and its trace fields give it; it "
                    "should resolve to this machine and back.",
        .rfc = "RFC 5321 4.1.4"},
    {TEXT("data", data, sound_path), .flags = ROW_REQUIRED,
        .sentence = "The directory that holds the spool, the mailboxes and the directory of "
                    "accounts."},
    {TEXT("origin", origin, sound_host_name), .derive = origin_is_hostname, .otherwise = "hostname",
        .sentence = "The domain that addresses of local programs get where they have none."},
    {TEXT("runtime", runtime, sound_path), .derive = runtime_in_data,
        .otherwise = "run in the data directory",
        .sentence = "The directory of the control socket and of the socket for local programs."},
    {TEXT("user", user, sound_user), .otherwise = "the owner of the data directory",
        .sentence = "The user that a server started by root becomes."},
    {TEXT("postmaster", postmaster, sound_mailbox), .otherwise = "the first account of each domain",
        .sentence = "Who gets the mail for postmaster and abuse of domains that have no such "
                    "account or alias.",
        .rfc = "RFC 5321 4.5.1, RFC 2142"},
    {NETWORKS("own-addresses", own_addresses),
        .sentence = "Addresses of this machine: mail for user@[ADDRESS] is mail for user at the "
                    "origin.",
        .rfc = "RFC 5321 4.1.3"},
    {WORD("bare-lf", bare_lf, bare_lf_words), .preset = "refuse",
        .sentence = "What happens to message data with a line feed alone: refused, or made a line "
                    "end; a lone line feed never ends the data.",
        .rfc = "RFC 5321 2.3.8"},
    {NUMBER("greet-delay", ROW_TIME, greet_delay_ms, 0, 60 * SECOND), .preset = "0",
        .sentence = "How long a stranger's connection waits for the greeting; who speaks earlier "
                    "is refused.",
        .rfc = "RFC 5321 4.3.1"},
    {WORD("sandbox", sandbox, sandbox_words), .preset = "best-effort",
        .sentence = "Whether the server starts where the kernel cannot build all its walls."},
    {WORD("sync", sync, sync_words), .preset = "group",
        .sentence = "Whether mail is durable before it is acknowledged; none is for tests only, "
                    "and loses mail at a power failure."},
    {YES_NO("mx-private", mx_private), .preset = "no",
        .sentence = "Whether mail may go to hosts with private or link-local addresses that an MX "
                    "record names."},
    {YES_NO("srs", srs), .preset = "yes",
        .sentence = "Whether mail that an alias forwards elsewhere leaves with a reverse-path of "
                    "ours (SRS), so that SPF holds and bounces find their way back."},
    {TEXT("always-bcc", always_bcc, sound_mailbox), .otherwise = "nobody",
        .sentence = "Who gets a copy of each message that is accepted; nobody is told of it."},
    {NUMBER("shutdown-grace", ROW_TIME, shutdown_grace_ms, SECOND, 10 * MINUTE), .preset = "10s",
        .sentence = "How long running transactions may go on after the server was told to end."},
};
#undef SECTION

#define SECTION config_tls_files
static const struct config_row tls_rows[] = {
    {TEXT("certificate", certificate, sound_path), .flags = ROW_REQUIRED,
        .sentence = "The file of the certificate, with its chain, in PEM."},
    {TEXT("key", key, sound_path), .flags = ROW_REQUIRED,
        .sentence = "The file of its private key, in PEM."},
};
#undef SECTION

#define SECTION config_listen
static const struct config_row listen_rows[] = {
    {WORD("protocol", protocol, protocol_words), .flags = ROW_REQUIRED,
        .sentence =
            "What is spoken: smtp takes mail from strangers, submission from users, lmtp from "
            "other servers for local delivery."},
    {TEXTS("address", address, sound_listen_address), .flags = ROW_REQUIRED,
        .sentence = "Where: HOST:PORT, [V6]:PORT or unix:/PATH; addresses are numeric."},
    {WORD("tls", tls, tls_words), .preset = "starttls",
        .sentence = "Whether TLS is offered in the protocol, spoken from the start, or off.",
        .rfc = "RFC 3207, RFC 8314"},
    {TEXT("certificate", certificate, sound_title),
        .otherwise = "by the name that the client asks for, else \"default\"",
        .sentence = "The title of the tls section to use.", .rfc = "RFC 6066 3"},
    {YES_NO("auth", auth), .derive = auth_by_protocol, .otherwise = "yes except on smtp and lmtp",
        .sentence = "Whether clients can log in, which needs TLS.", .rfc = "RFC 4954"},
    {NETWORKS("proxy", proxy),
        .sentence = "Networks whose connections begin with a PROXY header that names the client."},
    {NETWORKS("xclient", xclient), .sentence = "Networks that may name the client by XCLIENT."},
};
#undef SECTION

#define SECTION config
static const struct config_row dns_rows[] = {
    {TEXTS("servers", dns.servers, sound_dns_server),
        .sentence = "Resolvers to ask, ADDRESS or ADDRESS@PORT; none: those of "
                    "/etc/resolv.conf, or else the root servers and on."},
    {TEXT("trust-anchor", dns.trust_anchor, sound_path),
        .sentence = "The file of the DNSSEC root key; without it nothing is validated.",
        .rfc = "RFC 4033"},
    {YES_NO("special-use", dns.special_use), .preset = "yes",
        .sentence = "Whether test., invalid. and private reverse zones are answered here and "
                    "never asked.",
        .rfc = "RFC 6761"},
};

static const struct config_row queue_rows[] = {
    {YES_NO("hold", queue.hold), .preset = "no",
        .sentence = "Whether mail is accepted and kept, and not delivered."},
    {NUMBER("retry", ROW_TIMES, queue.retry, SECOND, 7 * DAY), .preset = "1m 5m 15m 1h 4h",
        .sentence = "The pauses between attempts to deliver; the last one repeats.",
        .rfc = "RFC 5321 4.5.4.1"},
    {NUMBER("lifetime", ROW_TIME, queue.lifetime_ms, SECOND, 60 * DAY), .preset = "5d",
        .sentence = "How long delivery is attempted before the mail goes back.",
        .rfc = "RFC 5321 4.5.4.1"},
    {NUMBER("warn-after", ROW_TIME, queue.warn_after_ms, SECOND, 60 * DAY), .flags = ROW_ZERO,
        .preset = "4h", .sentence = "When a sender hears that a mail is delayed; 0: never.",
        .rfc = "RFC 3461 4.1"},
};

static const struct config_row dsn_rows[] = {
    {YES_NO("strangers", dsn.strangers), .preset = "yes",
        .sentence =
            "Whether strangers are offered reports (DSN); they hear of failures in any case.",
        .rfc = "RFC 3461 4.1"},
    {NUMBER("quote", ROW_SIZE, dsn.quote, K, 4 * M), .preset = "50K",
        .sentence = "How much of a message a report quotes; of a larger one its header only.",
        .rfc = "RFC 3461 4.3"},
    {NUMBER("rate", ROW_COUNT, dsn.rate, 1, MANY), .flags = ROW_ZERO, .preset = "600",
        .sentence = "Reports a minute in all; further ones wait."},
    {YES_NO("double-bounces", dsn.double_bounces), .preset = "no",
        .sentence = "Whether the postmaster gets reports that cannot be delivered."},
};

static const struct config_row trace_rows[] = {
    {NUMBER("keep", ROW_TIME, trace.keep_ms, HOUR, 3650 * DAY), .preset = "14d",
        .sentence = "How long the history of messages is kept."},
    {NUMBER("size", ROW_SIZE, trace.size, 16 * M, 1024 * G), .preset = "4G",
        .sentence = "How much of the disk the history may take; the oldest goes first."},
};

static const struct config_row outbound_rows[] = {
    {NUMBER("connections", ROW_COUNT, outbound.connections, 1, 20000), .preset = "1000",
        .sentence = "Connections to other servers in all."},
    {NUMBER("connections-per-site", ROW_COUNT, outbound.connections_per_site, 1, 1000),
        .preset = "20",
        .sentence = "Connections to the hosts of one destination; fewer while they fail."},
    {NUMBER("messages-per-connection", ROW_COUNT, outbound.messages_per_connection, 1, MANY),
        .flags = ROW_ZERO, .preset = "1000",
        .sentence = "Messages over one connection; a remote LIMITS keyword lowers it.",
        .rfc = "RFC 9422"},
    {NUMBER("idle", ROW_TIME, outbound.idle_ms, 0, 5 * MINUTE), .preset = "2s",
        .sentence = "How long a connection waits for the next message."},
    {NETWORKS("source", outbound.source),
        .sentence = "Addresses of this machine to connect from, one of each family."},
    {NUMBER("connect-timeout", ROW_TIME, outbound.connect_timeout_ms, 100, HOUR), .preset = "30s",
        .sentence = "How long one address of a host has to answer."},
    {NUMBER("greeting-timeout", ROW_TIME, outbound.greeting_timeout_ms, 100, HOUR), .preset = "5m",
        .sentence = "How long a remote server has for its greeting, and for its answer to EHLO.",
        .rfc = "RFC 5321 4.5.3.2.1"},
    {NUMBER("mail-timeout", ROW_TIME, outbound.mail_timeout_ms, 100, HOUR), .preset = "5m",
        .sentence = "For its answer to MAIL.", .rfc = "RFC 5321 4.5.3.2.2"},
    {NUMBER("rcpt-timeout", ROW_TIME, outbound.rcpt_timeout_ms, 100, HOUR), .preset = "5m",
        .sentence = "For its answer to a RCPT.", .rfc = "RFC 5321 4.5.3.2.3"},
    {NUMBER("data-timeout", ROW_TIME, outbound.data_timeout_ms, 100, HOUR), .preset = "2m",
        .sentence = "For its answer to DATA.", .rfc = "RFC 5321 4.5.3.2.4"},
    {NUMBER("block-timeout", ROW_TIME, outbound.block_timeout_ms, 100, HOUR), .preset = "3m",
        .sentence = "For taking a piece of a message.", .rfc = "RFC 5321 4.5.3.2.5"},
    {NUMBER("final-timeout", ROW_TIME, outbound.final_timeout_ms, 100, HOUR), .preset = "10m",
        .sentence = "For its answer to a whole message.", .rfc = "RFC 5321 4.5.3.2.6"},
};

static const struct config_row spool_rows[] = {
    {NUMBER("reserve", ROW_SIZE, spool.reserve, 16 * M, 1024 * G), .preset = "256M",
        .sentence = "Disk space kept free for deliveries and reports: below it new mail gets a "
                    "temporary refusal."},
    {NUMBER("segment", ROW_SIZE, spool.segment, M, G), .preset = "64M",
        .sentence = "Size of the files of the spool."},
    {NUMBER("large", ROW_SIZE, spool.large, 4 * K, 16 * M), .preset = "256K",
        .sentence = "Messages above this get files of their own in the spool."},
    {NUMBER("scrub", ROW_SIZE, spool.scrub, 0, G), .preset = "1M",
        .sentence = "How much of the spool is read in a second to see whether it is intact; 0 for "
                    "not at all."},
};

static const struct config_row relay_rows[] = {
    {NETWORKS("allow", relay.allow),
        .sentence = "Networks that may send anywhere without logging in; they skip SPF, DMARC, "
                    "DNSBL and the limits of single clients."},
};

static const struct config_row log_rows[] = {
    {WORD("format", log.format, log_format_words), .preset = "text",
        .sentence = "How events are written: words, or a JSON object a line."},
    {WORD("level", log.level, log_level_words), .preset = "info",
        .sentence = "The least important events that are written."},
};
#undef SECTION

#define SECTION config_limits
static const struct config_row limit_rows[] = {
    {NUMBER("message-size", ROW_SIZE, message_size, 64 * K, 2 * G), .flags = ROW_ZERO,
        .preset = "50M", .sentence = "Octets of a message, as SIZE announces.",
        .rfc = "RFC 1870, RFC 5321 4.5.3.1.7"},
    {NUMBER("recipients", ROW_COUNT, recipients, 100, 100000), .preset = "1000",
        .sentence = "Recipients of a transaction.", .rfc = "RFC 5321 4.5.3.1.8"},
    {NUMBER("connections", ROW_COUNT, connections, 1, MANY), .flags = ROW_ZERO, .preset = "10000",
        .sentence = "Connections in all."},
    {NUMBER("connections-per-client", ROW_COUNT, connections_per_client, 1, MANY),
        .flags = ROW_ZERO, .preset = "50", .sentence = "Connections of one address."},
    {NUMBER("connections-per-network", ROW_COUNT, connections_per_network, 1, MANY),
        .flags = ROW_ZERO, .preset = "150",
        .sentence = "Connections of one IPv6 network of 64 bits."},
    {NUMBER("command-line", ROW_SIZE, command_line, 512, 64 * K), .preset = "2048",
        .sentence = "Octets of a command with its line end.", .rfc = "RFC 5321 4.5.3.1.4"},
    {NUMBER("auth-line", ROW_SIZE, auth_line, 12288, 64 * K), .preset = "12288",
        .sentence = "Octets of a line in an AUTH exchange.", .rfc = "RFC 4954 4"},
    {NUMBER("content-line", ROW_SIZE, content_line, 1000, M), .preset = "16K",
        .sentence = "Octets of a line of a message; a longer one is refused, never split.",
        .rfc = "RFC 5321 4.5.3.1.6"},
    {NUMBER("header-size", ROW_SIZE, header_size, 16 * K, 16 * M), .preset = "256K",
        .sentence = "Octets of a message's header."},
    {NUMBER("header-fields", ROW_COUNT, header_fields, 100, 100000), .preset = "1000",
        .sentence = "Fields of a message's header."},
    {NUMBER("received", ROW_COUNT, received, 10, 1000), .preset = "100",
        .sentence = "Received fields after which a message is taken to go round in a loop.",
        .rfc = "RFC 5321 6.3"},
    {NUMBER("mime-depth", ROW_COUNT, mime_depth, 4, 256), .preset = "64",
        .sentence = "Depth of a message's parts; what lies deeper is opaque."},
    {NUMBER("mime-parts", ROW_COUNT, mime_parts, 100, 100000), .preset = "2000",
        .sentence = "Parts of a message; the rest is opaque."},
    {NUMBER("mime-parameters", ROW_COUNT, mime_parameters, 10, 1000), .preset = "100",
        .sentence = "Parameters of a header field that are looked at.", .rfc = "RFC 2231"},
    {NUMBER("errors", ROW_COUNT, errors, 1, MANY), .flags = ROW_ZERO, .preset = "20",
        .sentence = "Refused commands after which a session ends."},
    {NUMBER("junk-commands", ROW_COUNT, junk_commands, 1, MANY), .flags = ROW_ZERO, .preset = "100",
        .sentence = "Commands that lead nowhere, such as NOOP, after which a session ends; "
                    "counted anew with each accepted message."},
    {NUMBER("command-timeout", ROW_TIME, command_timeout_ms, 100, DAY), .preset = "5m",
        .sentence = "How long a session waits for the next command.", .rfc = "RFC 5321 4.5.3.2.7"},
    {NUMBER("greeting-timeout", ROW_TIME, greeting_timeout_ms, 100, HOUR), .preset = "60s",
        .sentence = "How long a client has from its connection to EHLO or, where users log in, "
                    "to the login."},
    {NUMBER("data-rate", ROW_SIZE, data_rate, 1, G), .flags = ROW_ZERO, .preset = "512",
        .sentence = "Octets a second that a client must send on average in DATA and BDAT."},
    {NUMBER("data-rate-grace", ROW_TIME, data_rate_grace_ms, 100, HOUR), .preset = "60s",
        .sentence = "The time before data-rate counts, and over which it is averaged."},
    {NUMBER("reply-line", ROW_SIZE, reply_line, 512, 64 * K), .preset = "4K",
        .sentence = "Octets of a line of a remote server's reply.", .rfc = "RFC 5321 4.5.3.1.5"},
    {NUMBER("reply-lines", ROW_COUNT, reply_lines, 10, 10000), .preset = "100",
        .sentence = "Lines of a remote server's reply."},
    {NUMBER("reply-size", ROW_SIZE, reply_size, 4 * K, M), .preset = "64K",
        .sentence = "Octets of a remote server's reply."},
};
#undef SECTION

#define SECTION config_route
static const struct config_row route_rows[] = {
    {TEXT("via", via, sound_via), .flags = ROW_REQUIRED,
        .sentence = "smtp:[HOST]:PORT exactly this host, smtp:NAME[:PORT] the mail exchangers of "
                    "NAME, lmtp:[HOST]:PORT or lmtp:unix:/PATH, null (discarded), hold (kept)."},
    {NUMBER("port", ROW_COUNT, port, 1, 65535), .flags = ROW_ZERO, .preset = "0",
        .otherwise = "the one of via, else 25", .sentence = "The port of the hosts."},
    {NUMBER("connections", ROW_COUNT, connections, 1, 10000), .flags = ROW_ZERO, .preset = "0",
        .sentence = "Connections at a time; 0: no limit of this route."},
    {NUMBER("rate", ROW_COUNT, rate, 1, MANY), .flags = ROW_ZERO, .preset = "0",
        .sentence = "Messages a minute; 0: no limit of this route."},
    {TEXT("helo-name", helo_name, sound_host_name), .otherwise = "hostname",
        .sentence = "The name given in EHLO.", .rfc = "RFC 5321 4.1.1.1"},
    {TEXT("from-address", from_address, sound_mailbox), .otherwise = "the sender of the message",
        .sentence = "The reverse-path used instead of the message's own."},
};
#undef SECTION

#define SECTION config_map
static const struct config_row map_rows[] = {
    {TEXT("sender", sender, sound_map_address), .otherwise = "unchanged",
        .sentence = "What such an address becomes where it sends; @DOMAIN keeps the local part."},
    {TEXT("recipient", recipient, sound_map_address), .otherwise = "unchanged",
        .sentence = "What such an address becomes where it receives."},
    {YES_NO("header", header), .preset = "yes",
        .sentence = "Whether the header fields of mail from own users and trusted networks are "
                    "changed too: From, Sender and Reply-To by sender, To and Cc by recipient."},
};
#undef SECTION

/* ---- sections */

#define TITLED(pointer, counter, element, most_elements, check)                                    \
    .titled = true, .offset = offsetof(struct config, pointer),                                    \
    .count_offset = offsetof(struct config, counter), .size = sizeof(struct element),              \
    .most = most_elements, .sound_title = check
#define ROWS(table) .rows = table, .count = ARRAY_COUNT(table)

_Static_assert(
    offsetof(struct config_listen, title) == 0 && offsetof(struct config_tls_files, title) == 0 &&
        offsetof(struct config_route, title) == 0 && offsetof(struct config_map, title) == 0,
    "the title comes first");

const struct config_section config_sections[] = {
    {.name = NULL, ROWS(top_rows), .sentence = "What concerns the whole server."},
    {.name = "tls",
        TITLED(tls, tls_count, config_tls_files, 1000, sound_title),
        ROWS(tls_rows),
        .sentence = "A certificate with its key. Without any the server makes its own, which "
                    "nobody can verify. The one titled \"default\" serves names that no other "
                    "has.",
        .example = "\"default\"\n"
                   "certificate = \"/etc/veredus/tls/cert.pem\"\n"
                   "key = \"/etc/veredus/tls/key.pem\"\n"},
    {.name = "listen",
        .required = true,
        TITLED(listen, listens, config_listen, 100, sound_title),
        ROWS(listen_rows),
        .sentence = "Where connections are accepted. AUTH, LOGIN and USER are refused before TLS.",
        .example = "\"mx\"\n"
                   "protocol = smtp\n"
                   "address = {\"0.0.0.0:25\", \"[::]:25\"}\n"},
    {.name = "dns", ROWS(dns_rows), .sentence = "How names are resolved."},
    {.name = "queue", ROWS(queue_rows), .sentence = "What happens to mail on its way out."},
    {.name = "limits",
        .offset = offsetof(struct config, limits),
        ROWS(limit_rows),
        .sentence = "What strangers may cost. Where 0 is allowed it means no limit."},
    {.name = "dsn", ROWS(dsn_rows), .sentence = "Reports to senders of what became of their mail."},
    {.name = "trace", ROWS(trace_rows), .sentence = "The history of each message."},
    {.name = "outbound", ROWS(outbound_rows), .sentence = "How mail is sent to other servers."},
    {.name = "relay",
        ROWS(relay_rows),
        .sentence = "Who may send through this server without logging in: by default nobody."},
    {.name = "spool", ROWS(spool_rows), .sentence = "The log that keeps accepted mail."},
    {.name = "log", ROWS(log_rows), .sentence = "The log of events, on standard error."},
    {.name = "route",
        TITLED(route, routes, config_route, 10000, sound_route_title),
        ROWS(route_rows),
        .sentence = "Where mail for a domain (DOMAIN, *.DOMAIN, USER@DOMAIN, *; the longest match "
                    "wins) goes instead of to its mail exchangers; \"from D\" is a route by "
                    "sender, which outranks * alone. A route gives no right to relay.",
        .example = "\"legacy.example\"\n"
                   "via = \"lmtp:[127.0.0.1]:24\"\n"},
    {.name = "map",
        TITLED(map, maps, config_map, 10000, sound_map_title),
        ROWS(map_rows),
        .sentence = "An address or a whole domain (USER@DOMAIN, @DOMAIN, @*.DOMAIN; the longest "
                    "match wins) that is another one: canonical names, masquerading.",
        .example = "\"@*.corp.example\"\n"
                   "sender = \"@corp.example\"\n"},
};
const size_t config_section_count = ARRAY_COUNT(config_sections);
