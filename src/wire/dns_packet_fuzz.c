/* Answers of the DNS: what is read keeps to mail/dns.h, whatever the packet. */
#include "wire/dns_packet.h"

#include "base/check.h"
#include "base/mem.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const enum dns_type types[] = {
    DNS_A, DNS_CNAME, DNS_PTR, DNS_MX, DNS_TXT, DNS_AAAA, DNS_TLSA};

static void check_name(struct str name)
{
    CHECK(name.n > 0 && name.n <= DNS_NAME_TEXT_MAX);
    for (size_t i = 0; i < name.n; i++)
        CHECK(name.p[i] > ' ' && name.p[i] < 127 && !(name.p[i] >= 'A' && name.p[i] <= 'Z'));
}

static void check_record(enum dns_type type, const struct dns_answer *v, uint32_t i)
{
    const struct dns_record *r = &v->records[i];

    if (type == DNS_MX) {
        check_name(r->mx.host);
        CHECK(i == 0 || r[-1].mx.preference <= r->mx.preference);
    } else if (type == DNS_CNAME || type == DNS_PTR) {
        check_name(r->name);
    } else if (type == DNS_TLSA) {
        CHECK(r->tlsa.data.n > 0);
    }
}

static void check_answer(enum dns_type type, const struct dns_answer *v)
{
    CHECK((v->status == DNS_FOUND) == (v->count > 0) && v->count <= DNS_RECORDS_MAX);
    CHECK(v->status != DNS_BOGUS && !v->secure);
    CHECK(v->ttl_s >= DNS_TTL_MIN_S && v->ttl_s <= DNS_TTL_MAX_S);
    check_name(v->name);
    for (uint32_t i = 0; i < v->count; i++)
        check_record(type, v, i);
}

/* The first octet says the type and whether the packet has a head of its own; if not, it gets that
 * of an answer to the question, so that what follows is reached. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t head[] = {0, 7, 0x81, 0x80, 0, 1, 0, 9, 0, 1, 0, 0, 1, 'a', 0, 0, 0, 0, 1};
    struct dns_answer v;
    struct arena a;
    char *packet;
    size_t n;
    enum dns_type type;

    if (size == 0)
        return 0;
    type = types[(data[0] & 0x7f) % (sizeof types / sizeof *types)];
    head[16] = (uint8_t)type;
    n = data[0] & 0x80 ? sizeof head : 0;
    packet = mem_alloc(n + size);
    CHECK(packet);
    memcpy(packet, head, n);
    memcpy(packet + n, data + 1, size - 1);
    arena_init(&a, 4 << 20);
    if (dns_packet_read(&a, str_of(packet, n + size - 1), type, STR("a"), &v, NULL) == 0)
        check_answer(type, &v);
    arena_done(&a);
    mem_free(packet);
    return 0;
}
