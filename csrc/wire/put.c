/* wire/put.c -- checks first, then one piece of room, then the bytes. */
#include "wire/put.h"

#include "wire/field.h"
#include "wire/head.h"

struct phrase {
    int status;
    const char *text;
};

/* The IANA registry of status codes, those without a phrase left out. */
static const struct phrase phrases[] = {
    {100, "Continue"},
    {101, "Switching Protocols"},
    {102, "Processing"},
    {103, "Early Hints"},
    {104, "Upload Resumption Supported"},
    {200, "OK"},
    {201, "Created"},
    {202, "Accepted"},
    {203, "Non-Authoritative Information"},
    {204, "No Content"},
    {205, "Reset Content"},
    {206, "Partial Content"},
    {207, "Multi-Status"},
    {208, "Already Reported"},
    {226, "IM Used"},
    {300, "Multiple Choices"},
    {301, "Moved Permanently"},
    {302, "Found"},
    {303, "See Other"},
    {304, "Not Modified"},
    {305, "Use Proxy"},
    {307, "Temporary Redirect"},
    {308, "Permanent Redirect"},
    {400, "Bad Request"},
    {401, "Unauthorized"},
    {402, "Payment Required"},
    {403, "Forbidden"},
    {404, "Not Found"},
    {405, "Method Not Allowed"},
    {406, "Not Acceptable"},
    {407, "Proxy Authentication Required"},
    {408, "Request Timeout"},
    {409, "Conflict"},
    {410, "Gone"},
    {411, "Length Required"},
    {412, "Precondition Failed"},
    {413, "Content Too Large"},
    {414, "URI Too Long"},
    {415, "Unsupported Media Type"},
    {416, "Range Not Satisfiable"},
    {417, "Expectation Failed"},
    {421, "Misdirected Request"},
    {422, "Unprocessable Content"},
    {423, "Locked"},
    {424, "Failed Dependency"},
    {425, "Too Early"},
    {426, "Upgrade Required"},
    {428, "Precondition Required"},
    {429, "Too Many Requests"},
    {431, "Request Header Fields Too Large"},
    {451, "Unavailable For Legal Reasons"},
    {500, "Internal Server Error"},
    {501, "Not Implemented"},
    {502, "Bad Gateway"},
    {503, "Service Unavailable"},
    {504, "Gateway Timeout"},
    {505, "HTTP Version Not Supported"},
    {506, "Variant Also Negotiates"},
    {507, "Insufficient Storage"},
    {508, "Loop Detected"},
    {510, "Not Extended"},
    {511, "Network Authentication Required"},
};

const char *ws_head_reason(int status)
{
    size_t i;
    for (i = 0; i < sizeof phrases / sizeof phrases[0]; i++) {
        if (phrases[i].status == status)
            return phrases[i].text;
    }
    return "";
}

/* The slices one behind the other, all or nothing. */
static int append(struct ws_buf *out, struct ws_mem *mem,
                  const struct ws_slice *part, size_t count)
{
    struct ws_span room;
    size_t i, n = 0;
    int err;
    for (i = 0; i < count; i++)
        n += part[i].n;
    err = ws_buf_room(out, mem, n, &room);
    if (err != WS_OK)
        return err;
    for (i = 0; i < count; i++) {
        if (part[i].n > 0)
            memcpy(room.p, part[i].p, part[i].n);
        room.p += part[i].n;
    }
    ws_buf_commit(out, n);
    return WS_OK;
}

/* SP, HTAB and VCHAR only. */
static int is_plain(struct ws_slice s)
{
    return ws_ch_span(s, WS_CH_PRINT | WS_CH_SPACE) == s.n;
}

int ws_head_put_request(struct ws_buf *out, struct ws_mem *mem,
                        struct ws_slice method, struct ws_slice target)
{
    struct ws_slice line[4];
    if (!ws_is_token(method) || target.n == 0 ||
        ws_ch_span(target, WS_CH_TARGET) != target.n)
        return WS_ERR_FIELD;
    line[0] = method;
    line[1] = ws_slice_str(" ");
    line[2] = target;
    line[3] = ws_slice_str(" HTTP/1.1\r\n");
    return append(out, mem, line, 4);
}

int ws_head_put_status(struct ws_buf *out, struct ws_mem *mem, int status,
                       struct ws_slice reason)
{
    struct ws_slice line[4];
    char digits[4]; /* three and the space that follows even no reason */
    if (status < 100 || status > 599 || !is_plain(reason))
        return WS_ERR_FIELD;
    digits[0] = (char)('0' + status / 100);
    digits[1] = (char)('0' + status / 10 % 10);
    digits[2] = (char)('0' + status % 10);
    digits[3] = ' ';
    line[0] = ws_slice_str("HTTP/1.1 ");
    line[1] = ws_slice_of(digits, 4);
    line[2] = reason.n > 0 ? reason : ws_slice_str(ws_head_reason(status));
    line[3] = ws_slice_str("\r\n");
    return append(out, mem, line, 4);
}

int ws_head_field_ok(struct ws_slice name, struct ws_slice value)
{
    return ws_is_token(name) && is_plain(value) &&
           ws_field_trim(value).n == value.n;
}

int ws_head_put_field(struct ws_buf *out, struct ws_mem *mem,
                      struct ws_slice name, struct ws_slice value)
{
    struct ws_slice line[4];
    if (!ws_head_field_ok(name, value))
        return WS_ERR_FIELD;
    line[0] = name;
    line[1] = ws_slice_str(": ");
    line[2] = value;
    line[3] = ws_slice_str("\r\n");
    return append(out, mem, line, 4);
}

void ws_head_put_named(struct ws_head_writer *w, const char *name,
                       struct ws_slice value)
{
    if (w->err == WS_OK)
        w->err = ws_head_put_field(w->out, w->mem, ws_slice_str(name), value);
}

void ws_head_put_fields(struct ws_head_writer *w, const struct ws_field *fields,
                        unsigned n)
{
    unsigned i;

    for (i = 0; i < n && w->err == WS_OK; i++)
        w->err =
            ws_head_put_field(w->out, w->mem, fields[i].name, fields[i].value);
}

int ws_head_put_end(struct ws_buf *out, struct ws_mem *mem)
{
    return ws_buf_append(out, mem, ws_slice_str("\r\n"));
}
