/* ipc/core_outbound_recode.h: for tests and fuzzing: every message of ipc/core_outbound.h. */
#pragma once

#include "ipc/recode.h"

extern const struct recode_kind co_kinds[];
extern const size_t co_kind_count;
