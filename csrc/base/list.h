/* base/list.h -- a circular list whose links live inside the members.
**
** The list itself is a link too: a list of one's own is a ws_link that was
** initialised, and a member that is in no list is just the same.  So removing
** needs no list and removing twice does no harm.  Nothing is allocated, and a
** member knows nothing about which list it is in.  Get from a link to its
** owner with ws_container.
*/
#ifndef WS_BASE_LIST_H
#define WS_BASE_LIST_H

#include "base/base.h"

struct ws_link {
    struct ws_link *prev, *next; /* itself when alone */
};

/* An empty list, or a member of none. */
static inline void ws_link_init(struct ws_link *l)
{
    l->prev = l;
    l->next = l;
}

/* 1 when the list has no member, or the member no list. */
static inline int ws_link_empty(const struct ws_link *l)
{
    return l->next == l;
}

/* Puts l, which is in no list, at the end of the list. */
static inline void ws_link_append(struct ws_link *list, struct ws_link *l)
{
    l->prev = list->prev;
    l->next = list;
    list->prev->next = l;
    list->prev = l;
}

/* Takes l out of the list it is in, if any. */
static inline void ws_link_remove(struct ws_link *l)
{
    l->prev->next = l->next;
    l->next->prev = l->prev;
    ws_link_init(l);
}

/* The first member, or NULL. */
static inline struct ws_link *ws_link_first(const struct ws_link *list)
{
    return ws_link_empty(list) ? NULL : list->next;
}

/* The member behind l, or NULL: the end of the list. */
static inline struct ws_link *ws_link_next(const struct ws_link *list,
                                           const struct ws_link *l)
{
    return l->next == list ? NULL : l->next;
}

/* Moves all members of `from` to the end of `to`, in order.  What is appended
** to `from` while `to` is worked off waits for the next time. */
static inline void ws_link_take_all(struct ws_link *from, struct ws_link *to)
{
    if (ws_link_empty(from))
        return;
    from->next->prev = to->prev;
    from->prev->next = to;
    to->prev->next = from->next;
    to->prev = from->prev;
    ws_link_init(from);
}

#endif
