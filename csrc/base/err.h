/* base/err.h -- one list of everything that can go wrong.
**
** A function that can fail returns int: WS_OK (0), WS_MORE (1: not an error,
** more bytes are needed), or one of the negative codes below.  A code says
** by itself what happened, which word the Lua API reports, which close code
** is sent for it (RFC 6455 7.4.1; 0: none) and which HTTP status a server
** answers with while the handshake lasts (0: none).
**
** Errors of the operating system are not in the list: they travel as
** WS_ERR_SYSTEM beside an errno.
*/
#ifndef WS_BASE_ERR_H
#define WS_BASE_ERR_H

enum { WS_OK = 0, WS_MORE = 1 };

/*   name            word         close status text */
#define WS_ERRORS(X)                                                           \
    X(NOMEM, "NOMEM", 1011, 503, "out of memory")                              \
    X(SYSTEM, "SYSTEM", 0, 0, "system call failed")                            \
    X(RANDOM, "RANDOM", 1011, 500, "no random bytes from the system")          \
    X(LIMIT, "LIMIT", 1011, 503, "an internal limit was reached")              \
    /* frames, RFC 6455 5 */                                                   \
    X(RSV, "PROTOCOL", 1002, 0, "reserved bits are set")                       \
    X(OPCODE, "PROTOCOL", 1002, 0, "reserved opcode")                          \
    X(UNMASKED, "PROTOCOL", 1002, 0, "frame from the client is not masked")    \
    X(MASKED, "PROTOCOL", 1002, 0, "frame from the server is masked")          \
    X(LENGTH_TOP, "PROTOCOL", 1002, 0, "64-bit length with its top bit set")   \
    X(LENGTH_LONG, "PROTOCOL", 1002, 0, "length is not in its shortest form")  \
    X(CONTROL_LONG, "PROTOCOL", 1002, 0,                                       \
      "control frame with more than 125 bytes")                                \
    X(CONTROL_CUT, "PROTOCOL", 1002, 0, "fragmented control frame")            \
    X(ORPHAN, "PROTOCOL", 1002, 0, "continuation frame without a message")     \
    X(INTERLEAVED, "PROTOCOL", 1002, 0, "new message inside a fragmented one") \
    X(CLOSE_BODY, "PROTOCOL", 1002, 0, "close frame with a body of one byte")  \
    X(CLOSE_CODE, "PROTOCOL", 1002, 0, "close frame with an illegal code")     \
    X(CLOSE_UTF8, "PROTOCOL", 1007, 0, "close reason is not valid UTF-8")      \
    X(UTF8, "PROTOCOL", 1007, 0, "text message is not valid UTF-8")            \
    X(TOOBIG, "TOOBIG", 1009, 413, "message is larger than maxPayload")        \
    X(DEFLATE, "PROTOCOL", 1007, 0, "compressed message does not inflate")     \
    X(FRAGMENTS, "TOOBIG", 1008, 0,                                            \
      "message has more fragments than maxFragments")                          \
    /* HTTP heads, RFC 9112 */                                                 \
    X(HEAD_SYNTAX, "HANDSHAKE", 0, 400, "malformed HTTP head")                 \
    X(HEAD_LINE, "HANDSHAKE", 0, 400, "malformed start line")                  \
    X(HEAD_METHOD, "HANDSHAKE", 0, 501, "start line has too long a method")    \
    X(HEAD_VERSION, "HANDSHAKE", 0, 505, "HTTP version is not 1.1")            \
    X(HEAD_TARGET, "HANDSHAKE", 0, 414, "request target is too long")          \
    X(HEAD_BIG, "HANDSHAKE", 0, 431, "HTTP head is larger than maxHeaderSize") \
    X(HEAD_LINES, "HANDSHAKE", 0, 431, "HTTP head has too many lines")         \
    X(HEAD_HOST, "HANDSHAKE", 0, 400, "Host is missing, repeated or invalid")  \
    X(HEAD_BODY, "HANDSHAKE", 0, 400, "request body is not allowed here")      \
    X(HEAD_LENGTH, "HANDSHAKE", 0, 400,                                        \
      "malformed or conflicting body length")                                  \
    X(HEAD_CODING, "HANDSHAKE", 0, 501, "unknown transfer coding")             \
    X(HEAD_EXPECT, "HANDSHAKE", 0, 417, "Expect is not supported")             \
    X(BODY_BIG, "HANDSHAKE", 0, 413, "request body is larger than maxBody")    \
    X(FIELD, "HANDSHAKE", 0, 400, "malformed header value")                    \
    /* opening handshake, RFC 6455 4 */                                        \
    X(METHOD, "HANDSHAKE", 0, 405, "method is not GET")                        \
    X(UPGRADE, "HANDSHAKE", 0, 426, "Upgrade: websocket is missing")           \
    X(CONNECTION, "HANDSHAKE", 0, 400, "Connection: Upgrade is missing")       \
    X(KEY, "HANDSHAKE", 0, 400,                                                \
      "Sec-WebSocket-Key is missing, repeated or not 16 bytes of base64")      \
    X(VERSION, "HANDSHAKE", 0, 426, "Sec-WebSocket-Version is not 13")         \
    X(PROTOCOLS, "HANDSHAKE", 0, 400, "malformed Sec-WebSocket-Protocol")      \
    X(EXTENSIONS, "HANDSHAKE", 0, 400, "malformed Sec-WebSocket-Extensions")   \
    X(ORIGIN, "HANDSHAKE", 0, 403, "origin is not allowed")                    \
    X(MISDIRECTED, "HANDSHAKE", 0, 421, "host is not one of this server's")    \
    X(FULL, "HANDSHAKE", 0, 503, "too many connections")                       \
    X(CROWDED, "HANDSHAKE", 0, 503, "too many connections from one address")   \
    X(STATUS, "HANDSHAKE", 0, 0, "server did not answer 101")                  \
    X(ACCEPT, "HANDSHAKE", 0, 0, "Sec-WebSocket-Accept is missing or wrong")   \
    X(PROTOCOL_MISSING, "HANDSHAKE", 0, 0,                                     \
      "server chose none of the subprotocols that were offered")               \
    X(PROTOCOL_ANSWER, "HANDSHAKE", 0, 0,                                      \
      "server chose a subprotocol that was not offered, or several")           \
    X(EXTENSION_ANSWER, "HANDSHAKE", 0, 0,                                     \
      "server chose an extension that was not offered")                        \
    X(DEFLATE_PARAM, "HANDSHAKE", 0, 0,                                        \
      "server answered permessage-deflate with a parameter that is unknown, "  \
      "repeated or has a wrong value")                                         \
    X(DEFLATE_ANSWER, "HANDSHAKE", 0, 0,                                       \
      "server's parameters of permessage-deflate do not fit the offer")        \
    X(EXTENSION_MISSING, "HANDSHAKE", 1010, 0,                                 \
      "server did not accept permessage-deflate, which is required")           \
    X(REDIRECT, "HANDSHAKE", 0, 0, "redirect cannot be followed")              \
    X(REFUSED, "HANDSHAKE", 0, 0, "handshake was refused")                     \
    /* time and transport */                                                   \
    X(HANDSHAKE_TIMEOUT, "TIMEOUT", 0, 408, "handshakeTimeout has passed")     \
    X(DISPLACED, "TIMEOUT", 0, 0, "handshake was not done when others waited") \
    X(ANSWER_TIMEOUT, "TIMEOUT", 0, 503,                                       \
      "the application did not answer within responseTimeout")                 \
    X(PING_TIMEOUT, "TIMEOUT", 0, 0, "no answer to a ping within pingTimeout") \
    X(SEND_TIMEOUT, "TIMEOUT", 0, 0, "nothing could be sent for sendTimeout")  \
    X(CLOSE_TIMEOUT, "TIMEOUT", 0, 0, "no close frame within closeTimeout")    \
    X(PROXY, "PROXY", 0, 0, "proxy did not make the connection")               \
    X(TLS, "TLS", 0, 0, "TLS failed")                                          \
    X(LOST, "CLOSED", 0, 0, "connection ended without a close frame")          \
    X(UNANSWERED, "CLOSED", 0, 0,                                              \
      "connection ended before the handshake was done")                        \
    X(ABORTED, "CLOSED", 0, 0, "connection was closed while connecting")       \
    /* the caller */                                                           \
    X(STATE, "CLOSED", 0, 0, "connection is not open")                         \
    X(BUFFER, "BUFFER", 0, 0, "maxBuffered would be passed")                   \
    X(ARGUMENT, "ARGUMENT", 0, 0, "argument out of range")                     \
    X(CODE, "ARGUMENT", 0, 0, "close code may not be sent")                    \
    X(REASON, "ARGUMENT", 0, 0, "close reason is longer than 123 bytes")       \
    X(URI, "ARGUMENT", 0, 0, "malformed URL")

enum ws_err {
#define WS_ERR_NUMBER(name, word, close, status, text) WS_ERR_N_##name,
    WS_ERRORS(WS_ERR_NUMBER)
#undef WS_ERR_NUMBER
        WS_ERR_COUNT
};

#define WS_ERR_AT(name) (-1 - (int)WS_ERR_N_##name)
enum {
#define WS_ERR_CODE(name, word, close, status, text) \
    WS_ERR_##name = WS_ERR_AT(name),
    WS_ERRORS(WS_ERR_CODE)
#undef WS_ERR_CODE
        WS_ERR_LAST = -1 - (int)WS_ERR_COUNT
};

/* The four columns of a negative code.  Any other value answers "OK", 0, 0
** and "no error", so that a caller need not check first. */
const char *ws_err_name(int err); /* "LENGTH_TOP": for specs and logs */
const char *ws_err_word(int err); /* "PROTOCOL": the Lua API's code */
int ws_err_close(int err);        /* 1002, or 0 when none is sent */
int ws_err_status(int err);       /* 400, or 0 when none is sent */
const char *ws_err_text(int err); /* one English sentence, static */

#endif
