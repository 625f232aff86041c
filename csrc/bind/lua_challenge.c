/* bind/lua_challenge.c -- a client that is asked who it is; see lua_client.h.
**
** The new attempt is the plan with an answer to the challenge: a new key, the
** same handshake's clock, a connection of its own.  What refuses the answer is
** a refusal, unless it says that only the nonce was too old: then that is
** answered once more (RFC 7616 3.3).  So there are three requests at most, two
** where the password is wrong.  A nonce is used for one request only.
*/
#include "bind/lua_client.h"

#include "base/base64.h"
#include "wire/auth.h"

enum { CHANCE = 18 }; /* bytes of the cnonce */

/* Pushes the value that answers d; WS_OK, WS_ERR_RANDOM or WS_ERR_SYSTEM. */
static int push_answer(lua_State *L, const struct ws_conf *conf,
                       const struct ws_asking *a, const struct ws_digest *d)
{
    char cnonce[WS_BASE64_SIZE(CHANCE)];
    uint8_t chance[CHANCE];
    struct ws_login login;
    luaL_Buffer b;
    size_t n = 0;
    char *p;
    int err = conf->random(conf->random_ud, chance, sizeof chance);

    if (err != WS_OK)
        return err;
    ws_base64_encode(cnonce, ws_slice_of(chance, sizeof chance));
    login.user = a->user;
    login.password = a->password;
    login.method = ws_slice_str("GET");
    login.uri = a->hello.target;
    login.cnonce = ws_slice_of(cnonce, sizeof cnonce);
    p = luaL_buffinitsize(L, &b, ws_digest_size(d, &login));
    err = ws_digest_write(p, &n, d, &login);
    luaL_pushresultsize(&b, n);
    return err;
}

/* The plan with the answer to the challenge in the head that came. */
static int again(lua_State *L, struct ws_lsocket *k, struct ws_plan *p)
{
    struct ws_field fields[WS_HEAD_LINES_MAX];
    struct ws_asking *a = &p->asking;
    struct ws_digest d;
    struct ws_head head;
    int err = ws_conn_head(&k->s.conn, &head, fields);

    if (err != WS_OK ||
        ws_digest_choose(&head, "WWW-Authenticate", &d) != WS_OK)
        return WS_ERR_STATUS;
    err = push_answer(L, k->s.conn.conf, a, &d);
    if (err != WS_OK)
        return err;
    ws_authorize_asking(a, ws_slice_at(L, -1));
    a->hello.challenges = a->hello.challenges == WS_CHALLENGES_ANY
                              ? WS_CHALLENGES_STALE
                              : WS_CHALLENGES_NONE;
    return ws_plan_again(L, k, p);
}

void ws_client_challenged(lua_State *L, struct ws_lsocket *k, int idx)
{
    struct ws_plan *p = ws_plan_of(L, idx);
    int err = p == NULL ? WS_OK : again(L, k, p); /* as for a redirect */

    if (err != WS_OK)
        ws_session_fail(&k->s, err, ws_err_word(err), ws_err_text(err));
}
