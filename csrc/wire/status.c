/* wire/status.c -- see status.h. */
#include "wire/status.h"

#include "base/utf8.h"

static const struct ws_status_name names[] = {
    {WS_STATUS_NORMAL, "NORMAL_CLOSURE"},
    {WS_STATUS_GOING_AWAY, "GOING_AWAY"},
    {WS_STATUS_PROTOCOL_ERROR, "PROTOCOL_ERROR"},
    {WS_STATUS_UNSUPPORTED_DATA, "UNSUPPORTED_DATA"},
    {1004, "RESERVED"},
    {WS_STATUS_NONE, "NO_STATUS_RECEIVED"},
    {WS_STATUS_ABNORMAL, "ABNORMAL_CLOSURE"},
    {WS_STATUS_INVALID_DATA, "INVALID_FRAME_PAYLOAD_DATA"},
    {WS_STATUS_POLICY, "POLICY_VIOLATION"},
    {WS_STATUS_TOO_BIG, "MESSAGE_TOO_BIG"},
    {WS_STATUS_MANDATORY_EXTENSION, "MANDATORY_EXTENSION"},
    {WS_STATUS_INTERNAL_ERROR, "INTERNAL_ERROR"},
    {WS_STATUS_SERVICE_RESTART, "SERVICE_RESTART"},
    {WS_STATUS_TRY_AGAIN_LATER, "TRY_AGAIN_LATER"},
    {WS_STATUS_BAD_GATEWAY, "BAD_GATEWAY"},
    {WS_STATUS_TLS, "TLS_HANDSHAKE"},
};

const struct ws_status_name *ws_status_names(size_t *count)
{
    *count = sizeof names / sizeof names[0];
    return names;
}

int ws_status_on_wire(int code)
{
    if (code >= 3000 && code <= 4999)
        return 1;
    return code >= 1000 && code <= 1014 && code != 1004 &&
           code != WS_STATUS_NONE && code != WS_STATUS_ABNORMAL;
}

int ws_status_may_send(int code, int is_server)
{
    if (is_server)
        return ws_status_on_wire(code);
    return code == WS_STATUS_NORMAL || (code >= 3000 && code <= 4999);
}

int ws_status_read(struct ws_slice payload, int *code, struct ws_slice *reason)
{
    *code = WS_STATUS_NONE;
    *reason = ws_slice_of(NULL, 0);
    if (payload.n == 0)
        return WS_OK;
    if (payload.n == 1)
        return WS_ERR_CLOSE_BODY;
    *code = payload.p[0] << 8 | payload.p[1];
    if (!ws_status_on_wire(*code))
        return WS_ERR_CLOSE_CODE;
    *reason = ws_slice_of(payload.p + 2, payload.n - 2);
    return ws_utf8_valid(*reason) ? WS_OK : WS_ERR_CLOSE_UTF8;
}

size_t ws_status_write(uint8_t *out, int code, struct ws_slice reason)
{
    if (code == 0)
        return 0;
    out[0] = (uint8_t)(code >> 8);
    out[1] = (uint8_t)code;
    if (reason.n > 0)
        memcpy(out + 2, reason.p, reason.n);
    return 2 + reason.n;
}
