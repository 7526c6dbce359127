/* Questions and answers between processes: what is accepted encodes to the same octets again. */
#include "ipc/dns.h"

#include "base/check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct dns_question question;
    struct dns_answer answer;
    struct arena arena;
    struct buf out;
    struct str in;

    if (size == 0)
        return 0;
    in = str_of((const char *)data + 1, size - 1);
    arena_init(&arena, 16 << 20);
    buf_init(&out, size);
    if (!dns_type_known(data[0])) {
        if (dns_question_decode(in, &question, NULL) == 0) {
            dns_question_encode(&question, &out);
            CHECK(buf_ok(&out) && str_eq(buf_str(&out), in));
        }
    } else if (dns_answer_decode(&arena, (enum dns_type)data[0], in, &answer, NULL) == 0) {
        dns_answer_encode((enum dns_type)data[0], &answer, &out);
        CHECK(buf_ok(&out) && str_eq(buf_str(&out), in));
    }
    buf_done(&out);
    arena_done(&arena);
    return 0;
}
