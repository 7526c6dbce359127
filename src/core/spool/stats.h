/* core/spool/stats.h: what spool_stats() says. */
#pragma once

#include <stdint.h>

struct spool_stats {
    uint64_t messages, octets; /* alive: messages, and their content */
    uint64_t segments, free_segments;
    uint64_t commits, groups, syncs, written; /* since start; written in octets */
    uint64_t failed_groups, checkpoints, recycled, quarantined, torn, ended;
    uint64_t cache_hits, reads;
    uint64_t compacted, moved, moved_octets; /* segments emptied by compaction, what it copied */
    uint64_t scrubbed, scrub_passes;         /* octets read, times that all were looked at */
    uint64_t damaged;                        /* alive, and known to be damaged */
    uint64_t recovered;                      /* messages found at start */
    uint64_t recovery_ms;
};
