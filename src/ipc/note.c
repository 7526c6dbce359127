#include "ipc/note.h"

#include <string.h>

void note_set(const struct note *n)
{
    struct fiber_note page = {.words = {0, 0, n->message, n->stage}};

    memcpy(page.words, n->client, sizeof n->client);
    fiber_note(&page);
}

void note_message(uint64_t message, enum note_stage stage)
{
    note_set(&(struct note){.message = message, .stage = stage});
}

void note_clear(void)
{
    note_set(&(struct note){.stage = NOTE_NOTHING});
}

struct note note_of(const struct fiber_note *page)
{
    struct note n = {.message = page->words[2]};

    if (page->words[3] == NOTE_NOTHING || page->words[3] >= NOTE_STAGES)
        return (struct note){.stage = NOTE_NOTHING};
    n.stage = (enum note_stage)page->words[3];
    memcpy(n.client, page->words, sizeof n.client);
    return n;
}

const char *note_stage_name(enum note_stage stage)
{
    static const char *const names[NOTE_STAGES] = {[NOTE_NOTHING] = "nothing",
        [NOTE_GREETING] = "greeting",
        [NOTE_COMMAND] = "command",
        [NOTE_CONTENT] = "content",
        [NOTE_COMMIT] = "commit",
        [NOTE_DELIVERY] = "delivery",
        [NOTE_RELAY] = "relay"};

    return names[stage];
}
