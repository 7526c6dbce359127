/* mail/downgrade_check.h: for tests: conversion keeps what a message means. */
#pragma once

#include "mail/downgrade.h"

/* Plans and writes in pieces of that size. 0: *out has it; -1: *e. */
int downgrade_all(struct downgrade_want want, struct str content, size_t piece, struct buf *out,
    uint64_t *long_lines, struct err *e);

/* Asserts that the parts are the same, with the same decoded content, and that what came out is
 * what was wanted. */
void downgrade_check(
    struct downgrade_want want, struct str before, struct str after, uint64_t long_lines);
