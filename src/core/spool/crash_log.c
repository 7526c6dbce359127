/* Messages, their ends, segments, checkpoints. */
#include <stddef.h>

#include "core/spool/crash_work.h"

const char *const crash_work[] = {
    "aaa",
    "gdod",
    "aboab",
    "gmdda",
    "arodrdfraf",
    "gcadcod",
    "garbsrddsfarf",
    "agrdddsrfrarfcd",
    "lald",
    "akadkb",
    "rrarfrfrfrfa",
    "aardrfa",
    "aarordrfra",
    "aardrsrfrfa",
    "aadrsrfca",
    NULL,
};
