/* ipc/config_sound.h: what single texts of the configuration must look like; for config*.c only.
 *
 * Each returns -1 with the reason, in words that follow "option: ".
 */
#pragma once

#include "base/err.h"
#include "base/str.h"

int sound_host_name(struct str s, struct err *e);
int sound_path(struct str s, struct err *e); /* absolute */
int sound_user(struct str s, struct err *e);
int sound_listen_address(struct str s, struct err *e); /* what net_parse() takes */
int sound_dns_server(struct str s, struct err *e);     /* ADDRESS or ADDRESS@PORT */
int sound_via(struct str s, struct err *e);
int sound_mailbox(struct str s, struct err *e);
int sound_title(struct str s, struct err *e);
int sound_route_title(struct str s, struct err *e);
int sound_map_title(struct str s, struct err *e);   /* USER@DOMAIN, @DOMAIN, @*.DOMAIN */
int sound_map_address(struct str s, struct err *e); /* USER@DOMAIN, @DOMAIN */
