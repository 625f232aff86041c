/* spec/fuzz/uri.c -- URLs: what comes out is visible ASCII and reads as
** itself, and memory may fail at any time.
**
** Input: a byte that says which allocation fails (0: none), then the URL.
*/
#include "fuzz.h"

#include "wire/field.h"
#include "wire/uri.h"

static void check_uri(const struct ws_uri *u)
{
    char header[WS_HOST_HEADER_SIZE];
    struct ws_slice host;
    int port;

    CHECK(fuzz_is_visible(u->text) && fuzz_is_visible(u->origin));
    CHECK(fuzz_is_visible(u->host) && u->host[0] != '\0');
    CHECK(fuzz_is_visible(u->target) && u->target[0] == '/');
    CHECK(strchr(u->text, '#') == NULL);
    CHECK(u->port >= 0 && u->port <= 65535);
    CHECK((u->scheme == WS_URI_UNIX) == (u->path_unix != NULL));
    CHECK(u->password == NULL || u->user != NULL);
    CHECK(ws_uri_host_header(u, header, sizeof header) == WS_OK);
    if (u->host_is_ipv6 || u->host_is_ipv4)
        CHECK(ws_host_port(ws_slice_str(header), &host, &port) == WS_OK);
}

static void check_again(const struct ws_uri *u, struct ws_mem *mem)
{
    struct ws_uri again;
    int rc;

    if (strlen(u->text) > WS_URI_MAX)
        return;
    rc = ws_uri_parse(&again, mem, ws_slice_str(u->text), NULL);
    CHECK(rc == WS_OK);
    CHECK(strcmp(u->text, again.text) == 0 && u->port == again.port);
    CHECK(strcmp(u->target, again.target) == 0);
    CHECK(strcmp(u->host, again.host) == 0);
    CHECK(strcmp(u->origin, again.origin) == 0);
    CHECK((u->user == NULL) == (again.user == NULL));
    CHECK(u->user == NULL || strcmp(u->user, again.user) == 0);
    ws_uri_free(&again, mem);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct fuzz_failing failing = {fuzz_byte(&data, &n), 0};
    struct ws_span in = fuzz_copy(data, n);
    const char *why = "unset";
    struct ws_mem mem;
    struct ws_uri u;
    int rc;

    ws_mem_init(&mem, fuzz_alloc, &failing);
    rc = ws_uri_parse(&u, &mem, ws_slice_of(in.p, n), &why);
    CHECK(rc == WS_OK || rc == WS_ERR_URI || rc == WS_ERR_NOMEM);
    CHECK(rc != WS_ERR_NOMEM ||
          (failing.at != 0 && failing.at <= failing.calls));
    if (rc == WS_ERR_URI)
        CHECK(why != NULL && strlen(why) > 8);
    failing.at = 0;
    if (rc == WS_OK) {
        check_uri(&u);
        check_again(&u, &mem);
    } else {
        CHECK(u.text == NULL && u.block == NULL);
    }
    ws_uri_free(&u, &mem);
    ws_uri_free(&u, &mem);
    CHECK(mem.used == 0);
    free(in.p);
    return 0;
}
