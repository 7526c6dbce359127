#include "resolver/servers.h"

#include "base/buf.h"
#include "base/unit_test.h"

/* resolv.conf(5) */
static void test_resolv_conf(void **state)
{
    static const struct {
        const char *text, *servers;
    } rows[] = {
        {"", ""},
        {"nameserver 192.0.2.1\n", "192.0.2.1 "},
        {"# nameserver 192.0.2.9\n;nameserver 192.0.2.9\nsearch example.org\n"
         "  nameserver\t2001:db8::1  \nnameserver 192.0.2.1 # ours",
            "2001:db8::1 192.0.2.1 "},
        {"nameserver 192.0.2.1\r\nnameservers 192.0.2.2\nnameserver\nnameserver ns.example.org\n"
         "nameserver fe80::1%eth0\nnameserver 1.2.3\n",
            "192.0.2.1 "},
        {"nameserver 192.0.2.1\nnameserver 192.0.2.2\nnameserver 192.0.2.3\nnameserver 192.0.2.4",
            "192.0.2.1 192.0.2.2 192.0.2.3 "},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct engine_settings s = {.server_count = 0};
        struct buf out;
        servers_of_resolv_conf(str_c(rows[i].text), &s);
        buf_init(&out, 1024);
        for (uint32_t k = 0; k < s.server_count; k++)
            buf_printf(&out, "%.*s ", STR_ARG(s.servers[k]));
        if (!str_eq(buf_str(&out), str_c(rows[i].servers)))
            fail_msg("%s: %.*s", rows[i].text, STR_ARG(buf_str(&out)));
        buf_done(&out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_resolv_conf),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
