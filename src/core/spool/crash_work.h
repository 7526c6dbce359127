/* core/spool/crash_work.h: what crash_test.c cuts the power in: operations of fake_life.h, NULL
 * last. Two tests, so that they run side by side.
 */
#pragma once

extern const char *const crash_work[];
