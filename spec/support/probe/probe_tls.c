/* probe_tls.c -- probe.net.tls_peer: the other side of a TLS connection, which
** shakes hands as it should and then sends whatever records it is told to.
**
** It has no socket: bytes go in and come out.
*/
#include "probe_tls.h"

#include "forge.h"

#define PEER "probe.tls_peer"

struct peer {
    SSL_CTX *ctx;
    SSL *ssl;
    BIO *in, *out; /* the SSL's own */
    struct forge forge;
    int server, old;
};

static struct peer *check(lua_State *L)
{
    return luaL_checkudata(L, 1, PEER);
}

static void on_secret(const SSL *ssl, const char *line)
{
    struct peer *p = SSL_get_app_data(ssl);

    forge_note(&p->forge, line, p->server);
}

static const char *text_of(lua_State *L, const char *name)
{
    const char *s;
    lua_getfield(L, 1, name);
    s = lua_tostring(L, -1); /* stays in the table */
    lua_pop(L, 1);
    return s;
}

static int use(lua_State *L, struct peer *p)
{
    const char *cert = text_of(L, "cert"), *list = text_of(L, "ciphers");

    if (list == NULL)
        list = "ECDHE-ECDSA-AES128-GCM-SHA256"; /* the forge's */

    p->server = cert != NULL;
    p->old = text_of(L, "old") != NULL;
    p->ctx = SSL_CTX_new(TLS_method());
    if (p->ctx == NULL ||
        !SSL_CTX_set_ciphersuites(p->ctx, "TLS_AES_128_GCM_SHA256") ||
        !SSL_CTX_set_cipher_list(p->ctx, list))
        return 0;
    SSL_CTX_set_min_proto_version(p->ctx, p->old ? 0 : TLS1_3_VERSION);
    SSL_CTX_set_max_proto_version(p->ctx, p->old ? TLS1_2_VERSION : 0);
    SSL_CTX_set_keylog_callback(p->ctx, on_secret);
    SSL_CTX_set_num_tickets(p->ctx, 0);
    if (!p->server)
        return 1;
    return SSL_CTX_use_certificate_chain_file(p->ctx, cert) == 1 &&
           SSL_CTX_use_PrivateKey_file(p->ctx, text_of(L, "key"),
                                       SSL_FILETYPE_PEM) == 1;
}

/* tls_peer{cert =, key =: PEM files of a server; name =: a client asks for it;
** old = "1.2"; ciphers =: of 1.2} */
static int peer_new(lua_State *L)
{
    struct peer *p;

    luaL_checktype(L, 1, LUA_TTABLE);
    p = probe_new(L, sizeof *p, PEER, 0);
    if (!use(L, p))
        return luaL_error(L, "tls_peer: no context");
    p->ssl = SSL_new(p->ctx);
    p->in = BIO_new(BIO_s_mem());
    p->out = BIO_new(BIO_s_mem());
    if (p->ssl == NULL || p->in == NULL || p->out == NULL)
        return luaL_error(L, "tls_peer: no memory");
    SSL_set_bio(p->ssl, p->in, p->out);
    SSL_set_app_data(p->ssl, p);
    if (p->server)
        SSL_set_accept_state(p->ssl);
    else
        SSL_set_connect_state(p->ssl);
    if (text_of(L, "name") != NULL)
        SSL_set_tlsext_host_name(p->ssl, text_of(L, "name"));
    return 1;
}

static int peer_gc(lua_State *L)
{
    struct peer *p = check(L);

    SSL_free(p->ssl);
    SSL_CTX_free(p->ctx);
    p->ssl = NULL;
    p->ctx = NULL;
    return 0;
}

/* :feed(bytes) -> plain text; shakes hands before that */
static int peer_feed(lua_State *L)
{
    struct peer *p = check(L);
    struct ws_slice in = probe_slice(L, 2);
    char room[4096];
    luaL_Buffer b;
    size_t n;

    if (in.n > 0)
        BIO_write(p->in, in.p, (int)in.n);
    luaL_buffinit(L, &b);
    while (SSL_read_ex(p->ssl, room, sizeof room, &n) == 1)
        luaL_addlstring(&b, room, n);
    luaL_pushresult(&b);
    return 1;
}

/* :take() -> what it has to say */
static int peer_take(lua_State *L)
{
    struct peer *p = check(L);
    char *text;
    long n = BIO_get_mem_data(p->out, &text);

    lua_pushlstring(L, text, (size_t)n);
    (void)BIO_reset(p->out);
    return 1;
}

/* :open() -> whether the handshake is done */
static int peer_open(lua_State *L)
{
    struct peer *p = check(L);

    if (p->old && SSL_is_init_finished(p->ssl) && !p->forge.ready)
        forge_start_old(&p->forge, p->ssl, p->server);
    lua_pushboolean(L, SSL_is_init_finished(p->ssl) && p->forge.ready);
    return 1;
}

/* :cipher() -> what was agreed upon */
static int peer_cipher(lua_State *L)
{
    lua_pushstring(L, SSL_get_cipher_name(check(L)->ssl));
    return 1;
}

/* :record(type, content [, padding]) -> a record */
static int peer_record(lua_State *L)
{
    struct peer *p = check(L);
    int type = (int)luaL_checkinteger(L, 2);
    struct ws_slice body = probe_slice(L, 3);
    size_t pad = (size_t)luaL_optinteger(L, 4, 0);
    luaL_Buffer b;
    char *room = luaL_buffinitsize(L, &b, body.n + pad + FORGE_MORE);

    luaL_argcheck(L, body.n + pad <= 16384, 3, "too long");
    luaL_pushresultsize(
        &b, forge_record(&p->forge, type, body, pad, (uint8_t *)room));
    return 1;
}

/* :update(requested) -> a KeyUpdate, and what follows has its keys */
static int peer_update(lua_State *L)
{
    struct peer *p = check(L);
    uint8_t room[FORGE_MORE + 5];
    size_t n = forge_key_update(&p->forge, lua_toboolean(L, 2), room);

    lua_pushlstring(L, (char *)room, n);
    return 1;
}

void probe_open_tls(lua_State *L)
{
    static const luaL_Reg methods[] = {
        {"feed", peer_feed},
        {"take", peer_take},
        {"open", peer_open},
        {"cipher", peer_cipher},
        {"record", peer_record},
        {"update", peer_update},
        {NULL, NULL},
    };

    probe_class(L, PEER, methods, peer_gc);
    lua_pushcfunction(L, peer_new);
    lua_setfield(L, -2, "tls_peer");
}
