/* mail/testdata.h: for tests: the conformance data that other projects wrote.
 *
 * Found through $VEREDUS_CONFORMANCE, else beside the checkout; read in place. What is absent is
 * skipped and counted on standard output, never a failure.
 */
#pragma once

#include <jansson.h>

#include "base/buf.h"

/* Fills path with the place of a file or folder of the set. False (and says so) if it is absent. */
bool testdata_path(const char *name, char *path, size_t size);

/* The whole file, NULL where there is none; the caller frees the buffer. */
bool testdata_read(const char *path, struct buf *out);

/* The "cases" of a table, or the array itself; NULL where it is absent. */
json_t *testdata_cases(const char *name);

/* A string of a table: text, {"base64": ...}; NULL: empty. Into out; false if it is no string. */
bool testdata_string(const json_t *value, struct buf *out);

/* Calls visit for each regular file below the folder whose name ends with suffix. */
void testdata_each(const char *folder, const char *suffix,
    void (*visit)(const char *path, struct str content, void *arg), void *arg);

/* Every LF that is alone becomes CRLF: content as SMTP brings it. */
bool testdata_crlf(struct str in, struct buf *out);

/* Asks agrees() for each case of the table, names those that differ and reports the count. True if
 * at least that many of a hundred agree, or if the table is absent. */
bool testdata_table(
    const char *name, bool (*agrees)(const json_t *row, struct buf *got), unsigned least_percent);

/* Is this string of the table what has been got? */
bool testdata_is(const json_t *value, struct str got);

/* The text of a transcript: \r \n \t \0 \xHH \\, and {N*"TEXT"} for N times TEXT. */
void testdata_unescape(struct str s, struct buf *out);

/* "name: 12 of 13 agree" on standard output. */
void testdata_report(const char *name, unsigned agree, unsigned of);
