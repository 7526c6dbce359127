/* ipc/config.h: the configuration of the whole program, as master reads it and every role gets it.
 *
 * One immutable struct a generation. Its rows (ipc/config_rows.c) say name, type, unit, default,
 * least, most, one sentence and the RFC; parser, `veredus check`, the sample file, the manual page
 * and the codec that carries it to the other processes are all made from the rows. Owns its strings
 * in its own arena. Sizes are octets, times milliseconds; 0 in a limit means none where its row
 * allows it.
 */
#pragma once

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/log.h"
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

enum config_log_format {
    LOG_FORMAT_TEXT,
    LOG_FORMAT_JSON,
};

struct config_strings {
    struct str *v;
    uint32_t count;
};

struct config_blocks {
    struct net_block *v;
    uint32_t count;
};

struct config_times {
    uint64_t *v; /* milliseconds */
    uint32_t count;
};

struct config_tls_files {
    struct str title, certificate, key;
};

struct config_listen {
    struct str title;
    enum config_protocol protocol;
    struct config_strings address; /* as written; net_parse() takes each */
    enum config_tls tls;
    struct str certificate; /* title of a tls section; empty: by SNI, else "default" */
    bool auth;
    struct config_blocks proxy, xclient; /* who may speak for others */
};

struct config_route {
    struct str title; /* as written: D, *.D, USER@D, *, each maybe behind "from " */
    struct str via;
    uint64_t port, connections, rate; /* 0: the route's own, no limit, no limit */
    struct str helo_name, from_address;
};

struct config_map {
    struct str title;             /* as written: USER@D, @D, @*.D */
    struct str sender, recipient; /* USER@D or @D; empty: unchanged */
    bool header;
};

struct config_limits {
    uint64_t message_size, recipients;
    uint64_t connections, connections_per_client, connections_per_network;
    uint64_t command_line, auth_line, content_line;
    uint64_t header_size, header_fields, received;
    uint64_t mime_depth, mime_parts, mime_parameters;
    uint64_t errors, junk_commands;
    uint64_t command_timeout_ms, greeting_timeout_ms;
    uint64_t data_rate, data_rate_grace_ms;       /* octets a second averaged over the grace time */
    uint64_t reply_line, reply_lines, reply_size; /* of a remote server */
};

struct config {
    struct arena arena;
    struct str hostname, origin, data, runtime, user, postmaster;
    struct config_blocks own_addresses; /* single addresses */
    enum config_bare_lf bare_lf;
    enum config_sandbox sandbox;
    enum config_sync sync;
    uint64_t greet_delay_ms, shutdown_grace_ms;
    struct {
        enum config_log_format format;
        enum log_level level;
    } log;
    struct config_limits limits;
    struct {
        uint64_t reserve, segment, large; /* octets */
        uint64_t scrub;                   /* a second */
    } spool;
    struct {
        bool hold;
        struct config_times retry;
        uint64_t lifetime_ms, warn_after_ms;
    } queue;
    bool mx_private, srs;
    struct str always_bcc;
    struct {
        bool strangers, double_bounces;
        uint64_t quote; /* octets */
        uint64_t rate;  /* a minute */
    } dsn;
    struct {
        uint64_t keep_ms, size;
    } trace;
    struct {
        uint64_t connections, connections_per_site, messages_per_connection;
        uint64_t idle_ms, connect_timeout_ms, greeting_timeout_ms, mail_timeout_ms;
        uint64_t rcpt_timeout_ms, data_timeout_ms, block_timeout_ms, final_timeout_ms;
        struct config_blocks source; /* single addresses */
    } outbound;
    struct {
        struct config_blocks allow;
    } relay;
    struct {
        struct config_strings servers; /* ADDRESS@PORT or ADDRESS; none: the system's */
        struct str trust_anchor;
        bool special_use;
    } dns;
    struct config_listen *listen;
    uint32_t listens;
    struct config_tls_files *tls;
    uint32_t tls_count;
    struct config_route *route;
    uint32_t routes;
    struct config_map *map;
    uint32_t maps;
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

enum {
    CONFIG_SIZE_MAX = 1 << 20, /* octets of a file */
    CONFIG_PROBLEMS_MAX = 500,
};

/* Parses and checks text (the contents of a file). All problems go to p (in the arena given),
 * by line; the result is NULL if there is one, or no memory (which is one, as far as there is
 * memory to say it). A syntax error or unknown name ends the list. The caller owns the config:
 * config_free(). One thread at a time. */
struct config *config_parse(struct str text, struct arena *arena, struct config_problems *p);
void config_free(struct config *c);

/* For the frame by which master hands it to a role. Decoding checks every value again. */
void config_encode(const struct config *c, struct buf *out);
struct config *config_decode(struct str payload, struct err *e);

/* Made from the rows: an annotated sample file, and the options' part of veredus.conf(5) in mdoc.
 */
void config_sample(struct buf *out);
void config_manual(struct buf *out);
