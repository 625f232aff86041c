/* base/err.c -- the list of errors, laid out as a table. */
#include "base/err.h"

#include <stddef.h>

struct row {
    const char *name, *word, *text;
    int close, status;
};

static const struct row rows[] = {
#define ROW(name, word, close, status, text) {#name, word, text, close, status},
    WS_ERRORS(ROW)
#undef ROW
};

/* For everything that is no error: WS_OK, WS_MORE, numbers out of range. */
static const struct row none = {"OK", "OK", "no error", 0, 0};

static const struct row *row_of(int err)
{
    if (err >= 0 || err <= WS_ERR_LAST)
        return &none;
    return &rows[-1 - err];
}

const char *ws_err_name(int err)
{
    return row_of(err)->name;
}

const char *ws_err_word(int err)
{
    return row_of(err)->word;
}

int ws_err_close(int err)
{
    return row_of(err)->close;
}

int ws_err_status(int err)
{
    return row_of(err)->status;
}

const char *ws_err_text(int err)
{
    return row_of(err)->text;
}
