#include "cmd/records.h"

#include <stdio.h>

#include "cmd/print.h"

enum {
    VALUE_SIZE = 600
};

static void add(json_t *rows, struct str name, const char *type, const char *value)
{
    json_array_append_new(rows,
        json_pack("{s:s#, s:s, s:s}", "name", name.p, (int)name.n, "type", type, "value", value));
}

void records_print(struct str domain, struct str hostname, bool json)
{
    json_t *rows = json_array(), *row;
    char value[VALUE_SIZE], name[VALUE_SIZE];
    size_t i;

    snprintf(value, sizeof value, "10 %.*s.", STR_ARG(hostname));
    add(rows, domain, "MX", value);
    /* RFC 7208 3; the hosts of the MX are the ones that send. */
    add(rows, domain, "TXT", "\"v=spf1 mx -all\"");
    snprintf(name, sizeof name, "_dmarc.%.*s", STR_ARG(domain));
    snprintf(
        value, sizeof value, "\"v=DMARC1; p=none; rua=mailto:postmaster@%.*s\"", STR_ARG(domain));
    add(rows, str_c(name), "TXT", value);
    if (json) {
        print_json(rows);
    } else {
        json_array_foreach(rows, i, row)
        {
            snprintf(name, sizeof name, "%s.", json_string_value(json_object_get(row, "name")));
            printf("%-32s IN %-4s %s\n", name, json_string_value(json_object_get(row, "type")),
                json_string_value(json_object_get(row, "value")));
        }
        printf(
            "; and an A and an AAAA record for %.*s, with a PTR record back\n", STR_ARG(hostname));
    }
    json_decref(rows);
}
