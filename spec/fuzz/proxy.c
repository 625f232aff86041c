/* spec/fuzz/proxy.c -- proxies: what they answer, their URLs, no_proxy; and
** where redirects lead.
**
** Input: which of these, which allocation fails (0: none), bytes a read gives
** at most, then the bytes.
*/
#include "fuzz.h"

#include "net/proxy.h"
#include "net/socks.h"
#include "wire/auth.h"
#include "wire/location.h"
#include "wire/proxy.h"

/* -- a stream that gives the input, and then its end -- */

struct script {
    struct ws_stream stream;
    struct ws_span in;
    size_t at, sip, said;
    int again; /* the next call is one too early */
};

static ptrdiff_t script_read(struct ws_stream *s, struct ws_span room)
{
    struct script *x = ws_container(s, struct script, stream);
    size_t n = x->in.n - x->at;

    x->again = !x->again;
    if (x->again)
        return WS_AGAIN;
    CHECK(room.n > 0);
    n = n < room.n ? n : room.n;
    n = n < x->sip ? n : x->sip;
    if (n > 0)
        memcpy(room.p, x->in.p + x->at, n);
    x->at += n;
    return (ptrdiff_t)n;
}

static ptrdiff_t script_write(struct ws_stream *s, const struct ws_slice *v,
                              int n)
{
    struct script *x = ws_container(s, struct script, stream);
    size_t m = v->n < x->sip ? v->n : x->sip;

    CHECK(n == 1 && v->n > 0);
    x->said += m;
    return (ptrdiff_t)m;
}

static int script_shutdown(struct ws_stream *s)
{
    (void)s;
    return WS_OK;
}

static void script_close(struct ws_stream *s)
{
    (void)s;
}

static const char *script_failure(struct ws_stream *s, const char *call,
                                  char *text, size_t size)
{
    (void)s;
    (void)call;
    (void)text;
    (void)size;
    CHECK(0); /* it never fails */
    return "";
}

static const struct ws_stream_ops ops = {
    NULL,         script_read,    script_write, script_shutdown,
    script_close, script_failure,
};

/* What is left of the input is what comes out of an open tunnel. */
static void drain(struct ws_stream *top, const struct script *x, size_t behind)
{
    uint8_t room[7];
    size_t got = 0;
    ptrdiff_t n;

    do {
        n = ws_stream_read(top, ws_span_of(room, sizeof room));
        CHECK(n == WS_AGAIN || n >= 0);
        if (n > 0) {
            CHECK(memcmp(room, x->in.p + behind + got, (size_t)n) == 0);
            got += (size_t)n;
        }
    } while (n != 0);
    CHECK(behind + got == x->in.n);
}

static void check_tunnel(struct ws_mem *mem, struct ws_span in, size_t sip,
                         int kind)
{
    struct ws_tunnel t = {"example.org", 443, NULL, NULL, "proxy:1"};
    struct script x = {{&ops, 0, 0}, in, 0, sip + 1, 0, 0};
    struct ws_stream *top;
    char text[512];
    int err, tries = 0, anew = 0;

    t.user = (kind & 1) != 0 ? "user" : NULL;
    t.password = (kind & 1) != 0 ? "word" : NULL;
    err = (kind & 2) != 0 ? ws_socks_new(&top, &x.stream, mem, &t)
                          : ws_proxy_new(&top, &x.stream, mem, &t);
    if (err != WS_OK) {
        CHECK(err == WS_ERR_NOMEM);
        return;
    }
    do {
        err = ws_stream_open(top);
        if ((top->want & WS_STREAM_ANEW) != 0) {
            CHECK(err == WS_AGAIN && anew++ < 2);
            ws_prelude_leave(top);
            ws_prelude_stand(top, &x.stream);
        }
    } while (err == WS_AGAIN && tries++ < 100000);
    if (err == WS_OK) {
        size_t held = 0;
        CHECK(ws_container(top, struct ws_prelude, stream)->why == NULL);
        held = ws_buf_size(&ws_container(top, struct ws_prelude, stream)->in);
        CHECK((top->want & WS_STREAM_OPENING) == 0 && x.at >= held);
        drain(top, &x, x.at - held);
    } else {
        CHECK(err == WS_ERR_PROXY);
        ws_stream_failure(top, "recv", text, sizeof text);
        CHECK(strstr(text, "example.org:443 by proxy:1: ") != NULL);
    }
    ws_stream_close(top);
}

/* -- text -- */

static void check_url(struct ws_mem *mem, struct ws_slice s)
{
    const char *why = "unset";
    struct ws_uri u;
    int rc = ws_proxy_parse(&u, mem, s, &why);

    CHECK(rc == WS_OK || rc == WS_ERR_URI || rc == WS_ERR_NOMEM);
    if (rc == WS_OK) {
        CHECK(fuzz_is_visible(u.host) && u.host[0] != '\0');
        CHECK(u.port >= 0 && u.port <= 65535);
        CHECK(u.scheme == WS_URI_HTTP || u.scheme == WS_URI_HTTPS ||
              u.scheme == WS_URI_SOCKS5);
    } else {
        CHECK(u.block == NULL);
    }
    ws_uri_free(&u, mem);
}

/* The first line is the URL that is left, the rest the Location. */
static void check_location(struct ws_mem *mem, struct ws_slice s)
{
    const uint8_t *cut = s.n > 0 ? memchr(s.p, '\n', s.n) : NULL;
    size_t n = cut == NULL ? 0 : (size_t)(cut - s.p);
    const char *why = "unset";
    struct ws_uri from, to;

    if (cut == NULL ||
        ws_uri_parse(&from, mem, ws_slice_of(s.p, n), NULL) != WS_OK)
        return;
    if (ws_location_read(&to, mem, &from, ws_slice_of(cut + 1, s.n - n - 1),
                         &why) == WS_OK) {
        CHECK(to.secure || !from.secure);
        CHECK(to.user == NULL && to.password == NULL);
        CHECK(to.path_unix == NULL || ws_location_same(&from, &to));
    }
    ws_uri_free(&to, mem);
    ws_uri_free(&from, mem);
}

/* The first line is the host, the rest the list. */
static void check_bypass(struct ws_slice s)
{
    char *text = malloc(s.n + 1), *list;

    CHECK(text != NULL);
    if (s.n > 0)
        memcpy(text, s.p, s.n);
    text[s.n] = '\0';
    list = strchr(text, '\n');
    if (list != NULL) {
        *list++ = '\0';
        ws_proxy_bypass(list, text, 80);
        ws_proxy_is_local(text);
    }
    free(text);
}

static void check_basic(struct ws_slice s)
{
    uint8_t *scratch = malloc(s.n + 1);
    struct ws_slice user, password;

    CHECK(scratch != NULL);
    if (ws_basic_read(s, scratch, &user, &password) == WS_OK) {
        char *back = malloc(WS_BASIC_SIZE(user.n + password.n));
        CHECK(back != NULL);
        CHECK(ws_basic_check(user, password) == WS_OK);
        CHECK(ws_basic_write(back, user, password) <= s.n);
        free(back);
    }
    free(scratch);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    uint8_t what = fuzz_byte(&data, &n);
    struct fuzz_failing failing = {fuzz_byte(&data, &n), 0};
    size_t sip = fuzz_byte(&data, &n);
    struct ws_span in = fuzz_copy(data, n);
    struct ws_slice s = ws_slice_of(in.p, in.n);
    struct ws_mem mem;

    ws_mem_init(&mem, fuzz_alloc, &failing);
    switch (what % 8) {
    case 4:
        check_url(&mem, s);
        break;
    case 5:
        check_location(&mem, s);
        break;
    case 6:
        check_bypass(s);
        break;
    case 7:
        check_basic(s);
        break;
    default:
        check_tunnel(&mem, in, sip, what % 4);
        break;
    }
    CHECK(mem.used == 0);
    free(in.p);
    return 0;
}
