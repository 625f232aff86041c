/* proto/offer.h -- the parameters of permessage-deflate (RFC 7692 5 and 7.1).
**
** A client offers, a server chooses the first offer it can live with, the
** client checks the answer.  An offer that is no good is declined, which is no
** error: there may be others, and there may be no compression.  An answer that
** is no good fails the handshake.  Names are compared in their own letter
** case, as everywhere (EX-13).
*/
#ifndef WS_PROTO_OFFER_H
#define WS_PROTO_OFFER_H

#include "base/base.h"
#include "base/err.h"
#include "wire/deflate.h"

/* client_max_window_bits without a value: "I can do with less". */
enum { WS_WINDOW_ANY = 255 };

/* Room for the longest text of ws_offer_write. */
enum { WS_OFFER_SIZE = 160 };

/* The parameters of an offer, of an answer, or what a server insists on. */
struct ws_offer {
    uint8_t server_window; /* 8 to 15; 0: not named, which means 15 */
    uint8_t client_window; /* the same; in an offer also WS_WINDOW_ANY */
    uint8_t server_alone;  /* server_no_context_takeover */
    uint8_t client_alone;  /* client_no_context_takeover */
};

/* Writes the extension with its parameters; returns how many bytes. */
size_t ws_offer_write(char text[WS_OFFER_SIZE], const struct ws_offer *o);

/* Server: goes through the offers of one header value, which is known to be a
** list of extensions.  WS_OK and the answer to the first one that fits ours:
** at most ours->server_window and client_window, if they are named, and alone
** where ours is.  WS_MORE: none fits, or there is none. */
int ws_offer_choose(const struct ws_offer *ours, struct ws_slice value,
                    struct ws_offer *answer);

/* Client: the header's value as the server's answer to our offer.  WS_OK;
** WS_ERR_EXTENSION_ANSWER (another extension, or one too many),
** WS_ERR_DEFLATE_PARAM, WS_ERR_DEFLATE_ANSWER. */
int ws_offer_check(const struct ws_offer *ours, struct ws_slice value,
                   struct ws_offer *answer);

#endif
