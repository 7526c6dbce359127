/* What a status code means to somebody who never heard of one. */
#include "base/mem.h"

#include "mail/dsn.h"

struct words_row {
    uint16_t subject, detail;
    struct dsn_words words;
};

#define WORDS(why, advice)                                                                         \
    {                                                                                              \
        STR_INIT(why), STR_INIT(advice)                                                            \
    }

#define CHECK_ADDRESS                                                                              \
    "Check the address for mistakes. If it is right, ask the recipient "                           \
    "another way whether it has changed."
#define ASK_RECIPIENT                                                                              \
    "Tell the recipient another way; only those who run the other mail "                           \
    "system can change this."
#define LATER    "Send it again later."
#define ASK_OURS "Ask the people who run your mail system."

/* RFC 3463 3 and the registry of enhanced status codes (RFC 5248). X.S.0 stands for the rest. */
static const struct words_row rows[] = {
    {1, 0, WORDS("The other mail system does not accept the address.", CHECK_ADDRESS)},
    {1, 1, WORDS("There is no such mailbox.", CHECK_ADDRESS)},
    {1, 2,
        WORDS("The domain of the address does not exist, or no mail server is known for it.",
            CHECK_ADDRESS)},
    {1, 3, WORDS("The address is not written as mail addresses are.", CHECK_ADDRESS)},
    {1, 4, WORDS("The address fits more than one mailbox.", CHECK_ADDRESS)},
    {1, 6,
        WORDS("The mailbox has moved, and mail for it is not forwarded.",
            "Ask the recipient for the new address.")},
    {1, 7, WORDS("The other mail system takes your own address for a wrong one.", ASK_OURS)},
    {1, 8, WORDS("The other mail system finds no mail server for your own domain.", ASK_OURS)},
    {1, 10, WORDS("The domain of the address has declared that it takes no mail.", CHECK_ADDRESS)},
    {2, 0, WORDS("Something is wrong with the mailbox.", ASK_RECIPIENT)},
    {2, 1, WORDS("The mailbox is closed or does not take mail at present.", ASK_RECIPIENT)},
    {2, 2, WORDS("The mailbox is full.", "Tell the recipient another way, and send it later.")},
    {2, 3,
        WORDS("The message is larger than the mailbox takes.",
            "Send less at a time, or a link to where it can be fetched.")},
    {2, 4, WORDS("The mailing list cannot be reached.", "Ask those who run the list.")},
    {3, 0, WORDS("The other mail system has a trouble of its own.", LATER)},
    {3, 1, WORDS("The other mail system has no room left.", LATER)},
    {3, 2, WORDS("The other mail system takes no mail at present.", LATER)},
    {3, 3, WORDS("The other mail system lacks something that the message needs.", ASK_RECIPIENT)},
    {3, 4,
        WORDS("The message is larger than the other mail system takes.",
            "Send less at a time, or a link to where it can be fetched.")},
    {3, 5, WORDS("A mail system on the way is set up wrongly.", ASK_OURS)},
    {4, 0, WORDS("The other mail system could not be reached.", LATER)},
    {4, 1, WORDS("No mail server of the recipient's domain answers.", LATER)},
    {4, 2, WORDS("The connection to the other mail system broke.", LATER)},
    {4, 3, WORDS("The name service did not say where mail for the domain goes.", LATER)},
    {4, 4, WORDS("No way to a mail server of the recipient's domain was found.", CHECK_ADDRESS)},
    {4, 5, WORDS("The other mail system has too much to do.", LATER)},
    {4, 6,
        WORDS("The message goes round in a loop between mail systems.",
            "Tell the recipient another way: a forwarding rule there probably points back.")},
    {4, 7, WORDS("The time for which delivery is tried is over.", LATER)},
    {5, 0, WORDS("The other mail system did not follow the rules of the protocol.", ASK_OURS)},
    {5, 3,
        WORDS("The message has more recipients than the other mail system takes at once.",
            "Send it to fewer recipients at a time.")},
    {6, 0, WORDS("The other mail system does not take a message of this form.", ASK_RECIPIENT)},
    {6, 3,
        WORDS("The message would have to be converted for the other mail system, which is not "
              "possible without damage, for instance because it is signed.",
            "Send it again in another form: without signature, or as an attachment.")},
    {6, 7,
        WORDS("The other mail system does not take addresses with letters beyond ASCII.",
            "Use an address without such letters, for yourself or for the recipient.")},
    {6, 9,
        WORDS("The other mail system does not take header fields with letters beyond ASCII.",
            "Send it from another mail program, or without such letters.")},
    {7, 0, WORDS("The other mail system refuses the message by its rules.", ASK_RECIPIENT)},
    {7, 1,
        WORDS("The other mail system does not allow this message: by its rules, or because it "
              "takes it for unwanted.",
            "Read what it said below. " ASK_RECIPIENT)},
    {7, 2, WORDS("You may not send to this list.", "Ask those who run the list.")},
    {7, 8, WORDS("We could not log in where we pass mail on.", ASK_OURS)},
    {7, 20, WORDS("The message has no valid DKIM signature.", ASK_OURS)},
    {7, 23, WORDS("By its SPF record your domain does not send from our server.", ASK_OURS)},
    {7, 25, WORDS("Our server's address has no name that belongs to it.", ASK_OURS)},
    {7, 26, WORDS("The message could not be proven to come from your domain.", ASK_OURS)},
    {7, 28, WORDS("Too much mail came at once.", LATER)},
    {7, 30, WORDS("No connection as secure as you asked for could be made.", ASK_OURS)},
};

/* RFC 5321 4.2.3, where the remote gave no other hint. */
static const struct {
    uint16_t code, subject, detail;
} codes[] = {
    {421, 3, 2},
    {450, 2, 1},
    {451, 3, 0},
    {452, 3, 1},
    {500, 5, 0},
    {501, 5, 0},
    {502, 5, 0},
    {503, 5, 0},
    {504, 5, 0},
    {530, 7, 8},
    {535, 7, 8},
    {551, 1, 6},
    {552, 2, 2},
    {553, 1, 3},
    {555, 5, 0},
    {556, 1, 10},
};

static const struct dsn_words delivered = WORDS("It was taken without complaint.", "");
static const struct dsn_words refused =
    WORDS("The other mail system refused the address or the message.",
        "Check the address for mistakes, and read what the other system said.");
static const struct dsn_words put_off = WORDS("The other mail system put the message off.", LATER);
static const struct dsn_words failed = WORDS("Delivery failed.", LATER);

static const struct dsn_words *find(unsigned subject, unsigned detail)
{
    const struct dsn_words *general = NULL;
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        if (rows[i].subject != subject)
            continue;
        if (rows[i].detail == detail)
            return &rows[i].words;
        if (rows[i].detail == 0)
            general = &rows[i].words;
    }
    return general;
}

struct dsn_words dsn_explain(struct err_status status, uint16_t code)
{
    const struct dsn_words *words = find(status.subject, status.detail);
    for (size_t i = 0; !words && i < ARRAY_COUNT(codes); i++)
        if (codes[i].code == code)
            words = find(codes[i].subject, codes[i].detail);
    if (status.class == 2)
        return delivered;
    if (!words)
        words = code >= 500 ? &refused : code >= 400 ? &put_off : &failed;
    if (status.class == 4)
        return (struct dsn_words){words->why, STR("Nothing for now: it is tried again.")};
    return *words;
}
