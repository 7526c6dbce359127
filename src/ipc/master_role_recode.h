/* ipc/master_role_recode.h: for tests and fuzzing: every message of ipc/master_role.h. */
#pragma once

#include "ipc/recode.h"

extern const struct recode_kind mr_kinds[];
extern const size_t mr_kind_count;
