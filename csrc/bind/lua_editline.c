/* bind/lua_editline.c -- lines edited by libedit; see bind/lua_editor.h.
**
** Its own interface, not the one like readline's, which keeps a pointer to the
** line that is stale once the line is long, and whose names are readline's
** where both are loaded.  Unbuffered it reads a key for each call; a line that
** is done ends in a line feed, one that ends the input is a control-D.
*/
#include "bind/lua_editor.h"

#include <errno.h>
#include <stddef.h>
#include <wchar.h>
#include <wctype.h>

#define AT(field) offsetof(struct ws_editline, field)

static const char *const files[] = {"libedit.so.2", "libedit.so.0",
                                    "libedit.so.8", "libedit.3.dylib", NULL};

static const struct ws_symbol symbols[] = {
    {"el_init", AT(init)},
    {"el_end", AT(end)},
    {"el_set", AT(set)},
    {"el_get", AT(get)},
    {"el_gets", AT(gets)},
    {"el_line", AT(line)},
    {"el_source", AT(source)},
    {"el_resize", AT(resize)},
    {"history_init", AT(history_init)},
    {"history_end", AT(history_end)},
    {"history", AT(history)},
    {NULL, 0},
};

/* Operations of el_set, el_get and history, by their numbers. */
enum {
    EL_PROMPT = 0,
    EL_EDITOR = 2,
    EL_BIND = 4,
    EL_HIST = 10,
    EL_GETCFN = 13,
    EL_UNBUFFERED = 15,
    EL_PREP_TERM = 16,
    EL_GETTC = 17,
    EL_REFRESH = 20
};
enum { H_SETSIZE = 1, H_ENTER = 10 };

struct line_info {
    const char *buffer, *cursor, *last;
};

struct history_event {
    int number;
    const char *text;
};

enum { CONTROL_D = 4, TAB = 8, REPLACEMENT = 0xFFFD };

/* Keys that it does not know by itself, or other than shells have them. */
static const char *const keys[][2] = {
    {"\033[1~", "ed-move-to-beg"},      {"\033[7~", "ed-move-to-beg"},
    {"\033[4~", "ed-move-to-end"},      {"\033[8~", "ed-move-to-end"},
    {"\033[3~", "ed-delete-next-char"}, {"^W", "ed-delete-prev-word"},
    {"\033[1;5D", "ed-prev-word"},      {"\033[1;3D", "ed-prev-word"},
    {"\033[1;5C", "em-next-word"},      {"\033[1;3C", "em-next-word"},
    {"^R", "em-inc-search-prev"},       {"^I", "ed-insert"},
};

static const char *prompt_of(void *el)
{
    (void)el;
    return ws_editor_now()->prompt;
}

/* Its own reader does not say that the input has ended while a line is half
** typed.  1, or 0 at the end. */
static int next_char(void *el, wchar_t *to)
{
    mbstate_t part = {0};
    size_t n = (size_t)-2;

    (void)el;
    while (n == (size_t)-2) {
        int c = getc(stdin);
        char byte = (char)c;

        if (c == EOF && errno == EINTR && !feof(stdin)) {
            clearerr(stdin);
            continue;
        }
        if (c == EOF) {
            ws_editor_now()->ended = 1;
            return 0;
        }
        n = mbrtowc(to, &byte, 1, &part);
    }
    if (n == (size_t)-1)
        *to = REPLACEMENT;
    return 1;
}

static void finish(struct ws_editor *e)
{
    struct ws_editline *l = &e->lib.bsd;

    if (l->el != NULL) {
        l->set(l->el, EL_UNBUFFERED, 0);
        l->end(l->el);
    }
    if (l->past != NULL)
        l->history_end(l->past);
    l->el = l->past = NULL;
}

static int begin(struct ws_editor *e, int most)
{
    struct ws_editline *l = &e->lib.bsd;
    struct history_event event;
    size_t i;

    l->past = l->history_init();
    l->el = l->init("wsock", stdin, stdout, stderr);
    if (l->past == NULL || l->el == NULL) {
        finish(e);
        return WS_ERR_NOMEM;
    }
    setvbuf(stdin, NULL, _IONBF, 0);
    l->history(l->past, &event, H_SETSIZE, most);
    l->set(l->el, EL_HIST, l->history, l->past);
    l->set(l->el, EL_PROMPT, prompt_of);
    l->set(l->el, EL_GETCFN, next_char);
    l->set(l->el, EL_EDITOR, "emacs");
    for (i = 0; i < sizeof keys / sizeof keys[0]; i++)
        l->set(l->el, EL_BIND, keys[i][0], keys[i][1], (char *)NULL);
    l->source(l->el, NULL); /* ~/.editrc */
    l->set(l->el, EL_UNBUFFERED, 1);
    return WS_OK;
}

static void draw(struct ws_editor *e)
{
    e->lib.bsd.set(e->lib.bsd.el, EL_REFRESH);
}

/* Columns of a character that begins in column `at`. */
static int width_of(wchar_t c, int at)
{
    int n = wcwidth(c);

    if (c == L'\t')
        return TAB - at % TAB;
    if (iswcntrl((wint_t)c) && c < 0x80)
        return 2; /* ^X */
    if (n < 0)
        return c > 0xFFFF ? 8 : 7; /* \U+nnnn */
    return n > 0 ? n : 1;
}

/* Rows between the prompt's and the cursor's, as libedit lays them out. */
static int rows_above(const struct ws_editor *e, int columns)
{
    const struct line_info *line = e->lib.bsd.line(e->lib.bsd.el);
    const char *p = line->buffer;
    int rows = 0, at = (int)strlen(e->prompt);
    mbstate_t part = {0};

    while (p < line->cursor) {
        wchar_t c;
        size_t n = mbrtowc(&c, p, (size_t)(line->cursor - p), &part);
        int width;

        if (n == 0 || n > (size_t)(line->cursor - p))
            break; /* no character: cannot be */
        p += n;
        width = width_of(c, at);
        if (at + width > columns) {
            rows++;
            at = 0;
        }
        at += width;
        if (at == columns) {
            rows++;
            at = 0;
        }
    }
    return rows;
}

static void hide(struct ws_editor *e)
{
    char text[32];
    int columns = 0, rows;

    e->lib.bsd.get(e->lib.bsd.el, EL_GETTC, "co", &columns);
    rows = columns > 0 ? rows_above(e, columns) : 0;
    if (rows > 0) {
        int n = snprintf(text, sizeof text, "\033[%dA", rows);
        fwrite(text, 1, (size_t)n, stdout);
    }
    fwrite("\r\033[J", 1, 4, stdout);
}

/* An empty line without a prompt. */
static void renew(struct ws_editor *e)
{
    e->lib.bsd.set(e->lib.bsd.el, EL_UNBUFFERED, 0);
    e->lib.bsd.set(e->lib.bsd.el, EL_UNBUFFERED, 1);
}

static void read_key(struct ws_editor *e)
{
    const struct line_info *line;
    int unused;
    size_t n;

    e->lib.bsd.gets(e->lib.bsd.el, &unused);
    line = e->lib.bsd.line(e->lib.bsd.el);
    n = (size_t)(line->last - line->buffer);
    if (n == 0 || e->ended)
        return;
    if (n == 1 && line->buffer[0] == CONTROL_D) {
        e->ended = 1;
    } else if (line->buffer[n - 1] == '\n' || line->buffer[n - 1] == '\r') {
        ws_editor_take(e, ws_slice_of(line->buffer, n - 1));
        renew(e);
    }
}

static void suspend(struct ws_editor *e)
{
    e->lib.bsd.set(e->lib.bsd.el, EL_PREP_TERM, 0);
}

static void resume(struct ws_editor *e)
{
    suspend(e);
    e->lib.bsd.set(e->lib.bsd.el, EL_PREP_TERM, 1);
}

static void resize(struct ws_editor *e)
{
    hide(e);
    e->lib.bsd.resize(e->lib.bsd.el);
    draw(e);
}

static void remember(struct ws_editor *e, const char *line)
{
    struct history_event event;

    e->lib.bsd.history(e->lib.bsd.past, &event, H_ENTER, line);
}

const struct ws_editor_kind ws_editline_kind = {
    .name = "libedit",
    .files = files,
    .symbols = symbols,
    .open = begin,
    .close = finish,
    .draw = draw,
    .hide = hide,
    .read = read_key,
    .suspend = suspend,
    .resume = resume,
    .resize = resize,
    .remember = remember,
};
