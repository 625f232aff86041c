/* bind/lua_redirect.c -- a client that is sent elsewhere; see lua_client.h.
**
** The new attempt is the plan with another URL: a new key, the same options,
** the same handshake's clock.  When the origin changes, what the caller gave
** for the first one stays behind for good, also when a later redirect leads
** back (RFC 9110 15.4): credentials, cookies, every header that is not known
** to be harmless, the client's certificate.
*/
#include "bind/lua_client.h"

#include "bind/lua_emitter.h"
#include "wire/field.h"
#include "wire/location.h"

#include <stdio.h>

/* Bytes of a Location that an error shows. */
enum { SHOWN_MAX = 200 };

static int is_one_of(const char *set, struct ws_slice s, size_t i)
{
    return i < s.n && s.p[i] != '\0' && strchr(set, s.p[i]) != NULL;
}

/* Where in a Location the user begins and, behind the "@", ends, who may have a
** password; equal where there is none. */
static size_t find_user(struct ws_slice s, size_t *begin)
{
    size_t i, from = 0, end;

    while (from < s.n && !is_one_of(":/\\", s, from))
        from++;
    for (i = from; is_one_of(":/\\", s, i);)
        i++;
    *begin = end = i;
    if (i < from + 2 && !is_one_of(":", s, from))
        return end; /* a path */
    for (; i < s.n && !is_one_of("/\\?#", s, i); i++) {
        if (s.p[i] == '@')
            end = i + 1;
    }
    return end;
}

static void refuse(struct ws_lsocket *k, struct ws_slice location,
                   const char *why)
{
    char text[2 * SHOWN_MAX + 128], front[SHOWN_MAX + 1], shown[SHOWN_MAX + 1];
    size_t begin, end = find_user(location, &begin);

    ws_field_show(front, sizeof front, ws_slice_of(location.p, begin));
    ws_field_show(shown, sizeof shown,
                  ws_slice_of(location.p + end, location.n - end));
    snprintf(text, sizeof text, "redirect to '%s%s%s': %s", front,
             end > begin ? "...@" : "", shown, why);
    ws_session_fail(&k->s, WS_ERR_REDIRECT, ws_err_word(WS_ERR_REDIRECT), text);
}

/* Only what is no secret of the first origin goes on. */
static void leave_behind(struct ws_plan *p)
{
    struct ws_asking *a = &p->asking;
    unsigned i, n = 0;

    for (i = 0; i < a->given; i++) {
        if (ws_hello_travels(a->fields[i].name))
            a->fields[n++] = a->fields[i];
    }
    a->given = n;
    a->basic.n = 0;
    a->challenges = WS_CHALLENGES_NONE;
    a->alias.n = 0;
    p->tls = p->tls_bare;
    p->tls_name = NULL;
}

/* The plan at plan_idx starts anew with the URL at the top. */
static int follow(lua_State *L, struct ws_lsocket *k, int plan_idx,
                  const struct ws_uri *to)
{
    struct ws_plan *p = lua_touserdata(L, plan_idx);
    const struct ws_uri *from = p->uri;

    if (!ws_location_same(from, to))
        leave_behind(p);
    ws_renew_asking(&p->asking); /* what was answered was another request */
    p->redirects--;
    ws_plan_aim(p, to);
    lua_getiuservalue(L, plan_idx, 1);
    lua_insert(L, -2);
    lua_rawseti(L, -2, WS_PLAN_URI);
    return ws_plan_again(L, k, p);
}

void ws_client_redirected(lua_State *L, struct ws_lsocket *k, int idx,
                          const struct ws_event *ev)
{
    const char *why = "?";
    struct ws_plan *p;
    struct ws_mem mem;
    struct ws_uri *to;
    int own, err;

    p = ws_plan_of(L, idx);
    own = lua_gettop(L) - 1;
    if (p == NULL)
        return; /* the connection waits for nobody: its clock ends it */
    if (p->redirects == 0) {
        refuse(k, ev->data, "more than maxRedirects");
        return;
    }
    to = ws_new_url(L);
    ws_mem_init(&mem, NULL, NULL);
    err = ws_location_read(to, &mem, p->uri, ev->data, &why);
    if (err == WS_ERR_URI) {
        refuse(k, ev->data, why);
        return;
    }
    if (err == WS_OK) {
        ws_keep_url(L, to, &mem);
        ws_plan_show(L, own, to);
        err = follow(L, k, own + 1, to);
    }
    if (err != WS_OK)
        ws_session_fail(&k->s, err, ws_err_word(err), ws_err_text(err));
}
