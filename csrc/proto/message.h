/* proto/message.h -- fragments to messages.
**
** Puts the payloads of data frames together: their order (RFC 6455 5.4), the
** size and fragment limits, and UTF-8 that fails at its first bad byte (8.1),
** also in the middle of a frame.  One contiguous buffer per message, at most
** 16 times what really came (or 16 KiB), whatever a frame claims.  A message
** that arrives whole in one piece never comes here: see input.c.  What was
** compressed comes here as what it means (packed.c), and the limit is for that.
** What is handed out in parts (chunks.c) is only looked at here, and not kept.
*/
#ifndef WS_PROTO_MESSAGE_H
#define WS_PROTO_MESSAGE_H

#include "base/buf.h"
#include "base/utf8.h"
#include "wire/frame.h"

struct ws_message_limits {
    uint64_t payload_max;   /* bytes of one message */
    unsigned fragments_max; /* frames of one message, empty ones included */
    uint8_t streaming;      /* hand messages out in parts: chunks.c */
};

struct ws_message {
    struct ws_buf bytes; /* what has arrived */
    struct ws_utf8 utf8; /* text only */
    uint64_t count;      /* in parts: bytes handed out; else, when it is
                            compressed: payload of its frames */
    unsigned fragments;  /* frames begun */
    uint8_t op;          /* TEXT or BINARY, 0: no message is open */
    uint8_t packed;      /* 1: it is compressed */
    uint8_t in_parts;    /* 1: it is handed out in parts */
};

void ws_message_init(struct ws_message *m);

/* Forgets the open message and gives its memory back. */
void ws_message_free(struct ws_message *m, struct ws_mem *mem);

/* A data frame with head f begins.  WS_OK, WS_ERR_ORPHAN,
** WS_ERR_INTERLEAVED, WS_ERR_FRAGMENTS, or WS_ERR_TOOBIG when the claimed
** length cannot fit; of a compressed message, when it is more than twice what
** it may mean, and 1 KiB. */
int ws_message_begin(struct ws_message *m, const struct ws_frame *f,
                     const struct ws_message_limits *limits);

/* Room for payload that is still to come, `want` bytes of it, `come` of which
** have arrived and wait elsewhere (0: none): *room is at least `come` bytes,
** at least one, and at most want.  WS_OK or WS_ERR_NOMEM. */
int ws_message_room(struct ws_message *m, struct ws_mem *mem, uint64_t want,
                    size_t come, struct ws_span *room);

/* Room for what is decompressed, some `ask` bytes of it or as many as the
** limit leaves.  WS_OK, WS_ERR_NOMEM, or WS_MORE when it leaves none. */
int ws_message_space(struct ws_message *m, struct ws_mem *mem, size_t ask,
                     struct ws_span *room);

/* A part of it is handed out.  WS_OK, WS_ERR_UTF8, or WS_ERR_TOOBIG when it
** passes the limit. */
int ws_message_pass(struct ws_message *m, struct ws_slice part,
                    const struct ws_message_limits *limits);

/* n unmasked bytes are in the room.  WS_OK or WS_ERR_UTF8. */
int ws_message_commit(struct ws_message *m, size_t n);

/* The last frame is complete: the message, valid until ws_message_free or
** the next begin.  WS_OK or WS_ERR_UTF8 (text ends inside a character). */
int ws_message_end(struct ws_message *m, struct ws_slice *data);

#endif
