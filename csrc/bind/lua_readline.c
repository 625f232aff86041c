/* bind/lua_readline.c -- lines edited by GNU readline; see bind/lua_editor.h.
**
** Its alternate interface: it calls back with a line when a key has ended one.
** The callback only keeps the line, since no error of Lua may jump over
** readline's frames, and goes on with an empty prompt, so that the terminal
** stays ours until the line is dealt with.
*/
#include "bind/lua_editor.h"

#include <stddef.h>

#define AT(field) offsetof(struct ws_readline, field)

static const char *const files[] = {"libreadline.so.8", "libreadline.so.7",
                                    "libreadline.8.dylib", NULL};

static const struct ws_symbol symbols[] = {
    {"rl_callback_handler_install", AT(install)},
    {"rl_callback_handler_remove", AT(remove)},
    {"rl_callback_read_char", AT(read_char)},
    {"rl_initialize", AT(initialize)},
    {"rl_variable_bind", AT(bind)},
    {"rl_set_prompt", AT(set_prompt)},
    {"rl_on_new_line", AT(on_new_line)},
    {"rl_redisplay", AT(redisplay)},
    {"rl_clear_visible_line", AT(clear_line)},
    {"rl_prep_terminal", AT(prepare)},
    {"rl_deprep_terminal", AT(restore)},
    {"rl_resize_terminal", AT(resize)},
    {"add_history", AT(remember)},
    {"using_history", AT(to_the_end)},
    {"stifle_history", AT(stifle)},
    {"rl_free", AT(free_line)},
    {"rl_getc", AT(next_byte)},
    {"rl_getc_function", AT(reader)},
    {"rl_readline_name", AT(name)},
    {"rl_catch_signals", AT(catch_signals)},
    {"rl_catch_sigwinch", AT(catch_resize)},
    {"rl_change_environment", AT(change_environment)},
    {"rl_inhibit_completion", AT(no_completion)},
    {NULL, 0},
};

/* At the end of the input readline takes what is typed so far for a line. */
static int byte_of(struct ws_editor *e, FILE *in)
{
    int c = e->lib.gnu.next_byte(in);

    if (c == EOF)
        e->ended = 1;
    return c;
}

/* It shows U+0080 to U+009F as they are, which may be orders to the terminal:
** of a pasted one, C2 and 80 to 9F, a question mark is left. */
static int next_byte(FILE *in)
{
    struct ws_editor *e = ws_editor_now();
    int c = e->lib.gnu.ahead, next;

    e->lib.gnu.ahead = EOF;
    if (c == EOF)
        c = byte_of(e, in);
    if (c != 0xC2)
        return c;
    next = byte_of(e, in);
    if ((next & ~0x1F) == 0x80)
        return '?';
    e->lib.gnu.ahead = next;
    return c;
}

static void take(char *line)
{
    struct ws_editor *e = ws_editor_now();

    if (line == NULL)
        e->ended = 1;
    else if (!e->ended)
        ws_editor_take(e, ws_slice_str(line));
    if (line != NULL)
        e->lib.gnu.free_line(line);
    e->lib.gnu.install("", take);
}

/* The bytes are UTF-8 whatever the environment says. */
static int begin(struct ws_editor *e, int most)
{
    struct ws_readline *r = &e->lib.gnu;

    r->ahead = EOF;
    r->name_before = *r->name;
    *r->name = "wsock"; /* for $if in ~/.inputrc */
    *r->catch_signals = 0;
    *r->catch_resize = 0;
    *r->change_environment = 0;
    *r->no_completion = 1;
    *r->reader = next_byte;
    r->initialize();
    r->bind("convert-meta", "off");
    r->bind("input-meta", "on");
    r->bind("output-meta", "on");
    r->stifle(most);
    r->install("", take);
    return WS_OK;
}

/* Nothing of this module is left with readline: it may be unloaded. */
static void finish(struct ws_editor *e)
{
    e->lib.gnu.remove();
    *e->lib.gnu.reader = e->lib.gnu.next_byte;
    *e->lib.gnu.name = e->lib.gnu.name_before;
}

static void draw(struct ws_editor *e)
{
    e->lib.gnu.set_prompt(e->prompt);
    e->lib.gnu.on_new_line();
    e->lib.gnu.redisplay();
}

static void hide(struct ws_editor *e)
{
    e->lib.gnu.clear_line();
}

static void read_key(struct ws_editor *e)
{
    do {
        e->lib.gnu.read_char();
    } while (e->lib.gnu.ahead != EOF);
}

static void suspend(struct ws_editor *e)
{
    e->lib.gnu.restore();
}

/* Who stopped us may have changed the terminal behind readline's back. */
static void resume(struct ws_editor *e)
{
    e->lib.gnu.restore();
    e->lib.gnu.prepare(1);
}

static void resize(struct ws_editor *e)
{
    e->lib.gnu.resize();
}

static void remember(struct ws_editor *e, const char *line)
{
    e->lib.gnu.remember(line);
    e->lib.gnu.to_the_end(); /* where Up begins */
}

const struct ws_editor_kind ws_readline_kind = {
    .name = "readline",
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
