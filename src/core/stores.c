#include "core/stores.h"

#include <stdio.h>

#include "base/timefmt.h"

#include "core/directory/directory.h"
#include "core/lock.h"
#include "core/mailbox/mailbox.h"

enum {
    HASHING_THREADS = 2,
    HASHING_QUEUE = 64,
};

static struct directory_settings directory_part(struct stores *s, const struct config *config)
{
    struct directory_settings settings = {
        .sys = s->sys,
        .path = s->control_db,
        .origin = config->origin,
        .postmaster = config->postmaster,
        .literals = s->literals,
    };

    for (uint32_t i = 0; i < config->own_addresses.count; i++) {
        const struct net_block *own = &config->own_addresses.v[i];
        if (own->bits == 128 && settings.literal_count < STORES_LITERALS)
            memcpy(s->literals[settings.literal_count++], own->octets, 16);
    }
    return settings;
}

static int open_directory(struct stores *s, const struct config *config, struct err *e)
{
    const struct directory_settings settings = directory_part(s, config);

    return directory_open(&s->directory, &settings, e);
}

void stores_reconfigure(struct stores *s, const struct config *config)
{
    const struct directory_settings settings = directory_part(s, config);

    directory_reconfigure(s->directory, &settings);
}

static int open_mailboxes(struct stores *s, const struct config *config, struct err *e)
{
    const struct mailboxes_settings settings = {
        .sys = s->sys,
        .path = s->mail,
        .no_sync = config->sync == SYNC_NONE,
    };

    return mailboxes_open(&s->mailboxes, &settings, e);
}

static int64_t wall_ns(const void *arg)
{
    const struct sys *sys = arg;

    return sys->wall_ns(sys);
}

int stores_open(struct stores *s, const struct sys *sys, const struct config *config, struct err *e)
{
    *s = (struct stores){.sys = sys, .lock = -1};
    wall_clock_from(wall_ns, sys);
    snprintf(s->control_db, sizeof s->control_db, "%.*s/control.db", STR_ARG(config->data));
    snprintf(s->mail, sizeof s->mail, "%.*s/mail", STR_ARG(config->data));
    if (lock_take(sys, config->data, STORES_WAIT_MS, &s->lock, e) < 0 ||
        pool_open(&s->hashing, "hashing", HASHING_THREADS, HASHING_QUEUE, e) < 0 ||
        open_directory(s, config, e) < 0 || open_mailboxes(s, config, e) < 0) {
        stores_close(s);
        return -1;
    }
    return 0;
}

void stores_close(struct stores *s)
{
    mailboxes_close(&s->mailboxes);
    directory_close(&s->directory);
    pool_close(&s->hashing);
    lock_release(s->sys, &s->lock);
    wall_clock_from(NULL, NULL);
}
