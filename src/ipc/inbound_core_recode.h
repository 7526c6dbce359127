/* ipc/inbound_core_recode.h: for tests and fuzzing: every message of ipc/inbound_core.h. */
#pragma once

#include "ipc/recode.h"

extern const struct recode_kind ic_kinds[];
extern const size_t ic_kind_count;
