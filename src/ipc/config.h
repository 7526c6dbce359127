/* ipc/config.h: the configuration of the whole program, as master reads it and every role gets it.
 *
 * One immutable struct a generation. Its rows (ipc/config_rows.c) say name, type, unit, default,
 * least, most, one sentence and the RFC; parser, `veredus check`, the sample file, the manual page
 * and the codec that carries it to the other processes are all made from the rows. Owns its strings
 * in its own arena. Sizes are octets, times milliseconds; 0 in a limit means none.
 */
#pragma once

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"

#include "io/net.h"

enum config_protocol {
    PROTOCOL_SMTP,
    PROTOCOL_SUBMISSION,
    PROTOCOL_IMAP,
    PROTOCOL_POP3,
    PROTOCOL_LMTP,
};

enum config_tls {
    TLS_STARTTLS,
    TLS_IMPLICIT,
    TLS_OFF,
};

enum config_bare_lf {
    BARE_LF_REFUSE,
    BARE_LF_NORMALIZE,
};

enum config_sandbox {
    SANDBOX_REQUIRED,
    SANDBOX_BEST_EFFORT,
    SANDBOX_OFF,
};

enum config_sync {
    SYNC_GROUP,
    SYNC_NONE,
};

struct config_strings {
    struct str *v;
    uint32_t count;
};

struct config_blocks {
    struct net_block *v;
    uint32_t count;
};

struct config_listen {
    struct str title;
    enum config_protocol protocol;
    struct config_strings address; /* as written; net_parse() takes each */
    enum config_tls tls;
    struct str certificate;
    bool auth;
};

struct config_limits {
    uint64_t message_size, recipients;
    uint64_t connections, connections_per_client, connections_per_network;
    uint64_t command_line, auth_line, content_line;
    uint64_t header_size, header_fields, received;
    uint64_t mime_depth, mime_parts, mime_parameters;
    uint64_t errors, junk_commands;
    uint64_t command_timeout_ms, greeting_timeout_ms;
    uint64_t data_rate, data_rate_grace_ms; /* octets a second averaged over the grace time */
};

struct config {
    struct arena arena;
    struct str hostname, origin, data, runtime, user;
    enum config_bare_lf bare_lf;
    enum config_sandbox sandbox;
    enum config_sync sync;
    uint64_t greet_delay_ms, shutdown_grace_ms;
    bool log_json, log_debug;
    struct config_limits limits;
    struct {
        uint64_t reserve, segment, large; /* octets */
    } spool;
    struct {
        bool hold;
        uint64_t *retry_ms;
        uint32_t retries;
        uint64_t lifetime_ms, warn_after_ms;
    } queue;
    struct {
        struct config_blocks allow;
    } relay;
    struct config_listen *listen;
    uint32_t listens;
};

/* One problem of a configuration file. */
struct config_problem {
    unsigned line; /* 0 where there is none */
    struct str text;
};

struct config_problems {
    struct config_problem *v;
    uint32_t count, cap;
};

/* Parses and checks text (the contents of file `name`). All problems go to p (in the arena given);
 * the result is NULL if there is one. The caller owns the config: config_free(). */
struct config *config_parse(
    struct str text, const char *name, struct arena *arena, struct config_problems *p);
void config_free(struct config *c);

/* For the frame by which master hands it to a role. Decoding checks every value again. */
void config_encode(const struct config *c, struct buf *out);
struct config *config_decode(struct str payload, struct err *e);

/* Made from the rows: an annotated sample file, and the options' part of veredus.conf(5) in mdoc.
 */
void config_sample(struct buf *out);
void config_manual(struct buf *out);
