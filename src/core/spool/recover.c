#include "core/spool/recover.h"

#include "base/mem.h"

#include "core/spool/checkpoint.h"

void recovery_damage(struct recovery *r, const char *name, uint64_t segment, uint64_t from,
    uint64_t to, const char *what)
{
    struct spool_damage damage = {
        .file = name, .segment = segment, .from = from, .to = to, .what = what};

    r->damaged++;
    r->lost = true;
    /* A copy that cannot be made (no space, say) must not keep the spool from starting: the file
     * itself stays until nothing in it is alive. */
    if (*name && !r->settings->look)
        disk_quarantine(r->disk, name, segment, from, to);
    if (r->settings->on_damage)
        r->settings->on_damage(r->settings->arg, &damage);
}

/* Numbered files behind the log's end were only prepared: they are free. */
static void free_spares(struct recovery *r, struct err *e, int *rc)
{
    while (*rc == 0 && r->index->segment_count) {
        struct segment *s = r->index->segments[r->index->segment_count - 1];

        if (s->number <= r->last)
            break;
        index_take_segment(r->index, s);
        s->number = 0; /* it keeps the previous one, under which it had records */
        s->life = SEGMENT_FREE;
        *rc = recovery_keep_free(r, s, e);
    }
}

int spool_recover(struct recovery *r, struct err *e)
{
    struct log_position from = {0};
    int rc = recover_files(r, e);

    if (rc == 0) {
        rc = checkpoint_load(r->disk, r->index, &from, e);
        r->from_checkpoint = rc == 0;
        if (rc > 0)
            rc = 0;
    }
    if (rc == 0) {
        r->sequence = from.sequence;
        rc = recover_replay(r, &from, e);
    }
    free_spares(r, e, &rc);
    if (!r->sequence)
        r->sequence = 1;
    return rc;
}

void recovery_done(struct recovery *r)
{
    for (uint32_t i = 0; i < r->free_count; i++)
        segment_free(r->free[i]);
    mem_free(r->free);
    r->free = NULL;
    r->free_count = r->free_cap = 0;
}
