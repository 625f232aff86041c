/* peer/dial.h -- the client's way to a connected socket.
**
** Looks the host up, then races its addresses (RFC 8305): the next one starts
** when the one before failed or 250 ms have passed, and the first that
** connects wins.  With a proxy all this is about the proxy, which is then asked
** for a tunnel to the target, whose name it looks up.  The session's own
** handshake clock runs over all of it.  A dial lives from ws_dial_open to the
** end of the race, or until the proxy gave its tunnel, since that may want to
** be asked over another connection; it is no burden to an open one.
**
** How many clients of a loop are pending at the same time, from ws_dial_open to
** the open connection or the end of it, has a limit (RFC 6455 4.1).  A dial
** that finds no place waits for one, in the order of ws_dial_open, and nothing
** is looked up or connected for it before.  A redirect keeps its place.
*/
#ifndef WS_PEER_DIAL_H
#define WS_PEER_DIAL_H

#include "peer/session.h"
#include "wire/uri.h"

enum {
    WS_DIAL_ADDRS_MAX = 16, /* addresses tried of one name */
    WS_DIAL_DELAY_MS = 250  /* head start of each (RFC 8305 8) */
};

/* Where to; the strings are needed only during ws_dial_open. */
struct ws_dial_conf {
    const char *host; /* a name or an address without brackets; or NULL */
    int port;
    const char *path;             /* a unix socket instead of host and port */
    const struct ws_addr *from;   /* local address, or NULL; copied */
    int no_delay;                 /* TCP_NODELAY */
    const struct ws_uri *proxy;   /* to go through, see wire/proxy.h; or NULL */
    struct ws_tls_ctx *proxy_tls; /* for an https proxy */
    struct ws_tls_ctx *tls;       /* NULL: plain */
    const char *tls_name;         /* whom the certificate must be of */
};

struct ws_attempt {
    struct ws_watcher io;
    struct ws_sock sock;
    struct ws_dial *dial;
};

struct ws_dial {
    struct ws_session *session;
    struct ws_peers *peers;
    /* private */
    struct ws_lookup lookup;
    struct ws_timer timer; /* starts the next attempt */
    struct ws_link wait;   /* in ws_peers.waiting */
    struct ws_addr from;
    struct ws_addr addrs[WS_DIAL_ADDRS_MAX];
    struct ws_attempt attempts[WS_DIAL_ADDRS_MAX];
    unsigned naddrs, next; /* addresses, and the next to try */
    unsigned running;      /* attempts under way */
    char host[256];        /* for the error's words */
    int port;
    struct ws_stream *tunnel;     /* through the proxy, or NULL */
    struct ws_tls_ctx *tls;       /* to be put on that, or NULL */
    struct ws_tls_ctx *proxy_tls; /* to be put under it, or NULL */
    char tls_name[WS_TLS_NAME_MAX + 1];
    char proxy_name[WS_TLS_NAME_MAX + 1];
    int last_errno; /* of the last attempt that failed */
    unsigned last;  /* and which it was */
    uint8_t no_delay, has_from, looking, by_proxy;
    uint8_t stacked; /* the tunnel is the session's now, with what is on it */
    uint8_t waits;   /* has not begun */
};

/* Starts connecting s, or waits for its turn, from which on the handshake's
** clock runs.  WS_OK: it goes on in the background, also when it failed at
** once, which s then tells by its events.  WS_ERR_NOMEM,
** WS_ERR_ARGUMENT (unix path too long), WS_ERR_FIELD (what the proxy would
** have to be told may not be sent): nothing was started. */
int ws_dial_open(struct ws_session *s, const struct ws_dial_conf *conf);

/* At most max clients are pending from now on; those that are stay. */
void ws_dial_limit(struct ws_peers *p, unsigned max);

/* s is open, or gone: who waited longest has its place.  Starts nothing: that
** one's session is touched.  Once, or for a session without place, harmless. */
void ws_dial_settled(struct ws_session *s);

/* For the pump: begins, when its turn has come. */
void ws_dial_go(struct ws_dial *d);

/* The tunnel asks for another connection (WS_STREAM_ANEW): the one there is is
** closed, and the race begins again. */
void ws_dial_anew(struct ws_dial *d);

/* Ends the race, if it goes on, without a winner and frees the dial. */
void ws_dial_cancel(struct ws_dial *d);

/* The session's clock is about to be told: when the handshake's time is over,
** what it was spent on is kept in words. */
void ws_dial_tick(struct ws_dial *d);

/* A source of a dial was ready: the session that may have events, or NULL. */
struct ws_session *ws_dial_handle(struct ws_peers *p, struct ws_source *src);

/* For ws_peers_free. */
void ws_dial_stop_resolver(struct ws_peers *p);

#endif
