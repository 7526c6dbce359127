/* base/list.h: the one doubly linked list, its links inside the entries.
 *
 * A struct list is the head of a ring or a link in an entry. The list owns nothing. A link that is
 * in no list is either zeroed or points to itself, and list_linked() tells; adding one that is in a
 * list is a bug of ours and is asserted.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/check.h"

struct list {
    struct list *next, *prev;
};

static inline void list_init(struct list *head)
{
    head->next = head->prev = head;
}

static inline bool list_empty(const struct list *head)
{
    return head->next == head;
}

static inline bool list_linked(const struct list *link)
{
    return link->next && link->next != link;
}

static inline void list_insert(struct list *before, struct list *link)
{
    CHECK(!list_linked(link));
    link->prev = before->prev;
    link->next = before;
    before->prev->next = link;
    before->prev = link;
}

static inline void list_add(struct list *head, struct list *link)
{
    list_insert(head, link);
}

static inline void list_add_first(struct list *head, struct list *link)
{
    list_insert(head->next, link);
}

/* Takes link out of whatever list it is in; nothing happens to one that is in none. */
static inline void list_remove(struct list *link)
{
    if (!list_linked(link))
        return;
    link->prev->next = link->next;
    link->next->prev = link->prev;
    list_init(link);
}

/* The first link, taken out; NULL from an empty list. */
static inline struct list *list_take(struct list *head)
{
    struct list *link = head->next;

    if (link == head)
        return NULL;
    list_remove(link);
    return link;
}

/* The entry of which `link` is the member. */
#define LIST_ENTRY(link, type, member) ((type *)(void *)((char *)(link)-offsetof(type, member)))

/* The first entry, or NULL. */
#define LIST_FIRST(head, type, member)                                                             \
    (list_empty(head) ? NULL : LIST_ENTRY((head)->next, type, member))

/* Visits all links; the one just visited may be removed, its neighbours may not. */
#define LIST_EACH(link, head)                                                                      \
    for (struct list *link = (head)->next, *link##_next = link->next; link != (head);              \
         link = link##_next, link##_next = link->next)
