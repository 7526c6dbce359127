/* inbound/smtp/rig.h: for tests: a service over a stub core, and a client of one session. */
#pragma once

#include "io/stream.h"

#include "inbound/smtp/service.h"
#include "inbound/smtp/stub_core.h"

struct rig {
    struct arena arena;
    struct config *config;
    struct stub_core core;
    struct core_link link;
    struct event event;
    struct smtp_service *service;
    struct smtp_listener listener;
    struct stream *client;
    struct scope scope;
};

/* options: configuration beside hostname, data and the listener, of that protocol. Call it in a
 * fiber. */
void rig_open(struct rig *r, const char *options, enum config_protocol protocol);
void rig_close(struct rig *r);

/* A connection from that address ("192.0.2.1:1"). */
void rig_connect(struct rig *r, const char *peer);
void rig_disconnect(struct rig *r);

/* The core dies; a new one comes. */
void rig_core_away(struct rig *r);
void rig_core_back(struct rig *r);

/* Lets everything run until `turns` turns of the loop have passed. */
void rig_turns(struct rig *r, unsigned turns);

void rig_send(struct rig *r, struct str octets, bool one_by_one);

/* The next whole reply, lines joined by LF, in the arena; p is NULL at the end of the connection or
 * where none comes within 20 s. */
struct str rig_reply(struct rig *r);

/* Has the server ended the connection, without another word? */
bool rig_closed(struct rig *r);
