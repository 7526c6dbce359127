/* Compaction, whole and interrupted, beside all that goes on meanwhile. */
#include <stddef.h>

#include "core/spool/crash_work.h"

const char *const crash_work[] = {
    "aropf",
    "aorqrdf",
    "gdorcpfra",
    "arpfrdrf",
    "araaerf",
    "aaarer",
    "araaerfc",
    "araurfd",
    "larpfd",
    "mrpf",
    "adrqcrpsf",
    "arprprpf",
    NULL,
};
