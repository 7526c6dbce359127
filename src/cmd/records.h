/* cmd/records.h: the DNS records that a domain hosted here should publish. */
#pragma once

#include "base/str.h"

/* Zone-file lines (or with json an array of {name, type, value}) on standard output. */
void records_print(struct str domain, struct str hostname, bool json);
