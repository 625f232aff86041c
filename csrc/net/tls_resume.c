/* net/tls_resume.c -- see tls.h: the sessions a client can return to.
**
** OpenSSL's own cache is by session, not by host, so this one is ours: the
** newest session of each of the last hosts.  What was agreed under one context,
** with its authorities, is never resumed under another.
*/
#include "net/tls_parts.h"

static void drop_resume(struct ws_tls_ctx *ctx, struct ws_tls_resume *r)
{
    ws_link_remove(&r->link);
    ctx->nresumes--;
    SSL_SESSION_free(r->session);
    ws_mem_put(&ctx->mem, r, sizeof *r);
}

static struct ws_tls_resume *find_resume(struct ws_tls_ctx *ctx,
                                         const char *name)
{
    struct ws_link *l;

    for (l = ws_link_first(&ctx->resumes); l != NULL;
         l = ws_link_next(&ctx->resumes, l)) {
        struct ws_tls_resume *r = ws_container(l, struct ws_tls_resume, link);
        if (strcmp(r->name, name) == 0)
            return r;
    }
    return NULL;
}

/* The newest of a host is kept. */
int ws_tls_resume_keep(SSL *ssl, SSL_SESSION *session)
{
    struct ws_tls *t = SSL_get_app_data(ssl);
    struct ws_tls_ctx *ctx = t->ctx;
    struct ws_tls_resume *r = find_resume(ctx, t->name);

    if (r != NULL)
        drop_resume(ctx, r);
    if (ctx->nresumes == WS_TLS_SESSIONS_MAX)
        drop_resume(
            ctx, ws_container(ctx->resumes.prev, struct ws_tls_resume, link));
    r = strlen(t->name) > WS_TLS_NAME_MAX ? NULL
                                          : ws_mem_get(&ctx->mem, sizeof *r);
    if (r == NULL)
        return 0;
    memcpy(r->name, t->name, strlen(t->name) + 1);
    r->session = session;
    ws_link_init(&r->link);
    ws_link_append(ctx->resumes.next, &r->link);
    ctx->nresumes++;
    return 1;
}

/* A ticket of TLS 1.3 is for one connection, so that nobody on the way can
** tell that two are of the same client (RFC 8446 C.4). */
SSL_SESSION *ws_tls_resume_take(struct ws_tls_ctx *ctx, const char *name)
{
    struct ws_tls_resume *r = find_resume(ctx, name);
    SSL_SESSION *session;

    if (r == NULL)
        return NULL;
    session = r->session;
    SSL_SESSION_up_ref(session);
    if (SSL_SESSION_get_protocol_version(session) >= TLS1_3_VERSION)
        drop_resume(ctx, r);
    return session;
}

void ws_tls_resume_clear(struct ws_tls_ctx *ctx)
{
    struct ws_link *l;

    for (l = ws_link_first(&ctx->resumes); l != NULL;
         l = ws_link_first(&ctx->resumes))
        drop_resume(ctx, ws_container(l, struct ws_tls_resume, link));
}
