/* bind/lua_editor.h -- lines typed at a terminal, by an editor others keep.
**
** GNU readline, or libedit, whichever is on the machine: found when a program
** asks for one, by dlopen, and never linked.  Neither file here includes a
** header of theirs; what they declare is what these libraries document.
**
** An editor reads a key at a time, when the terminal has one, so the loop goes
** on; finished lines are queued.  It can be taken off the screen in the middle
** of a line, and be drawn again.  What these libraries keep of the line they
** keep for the process, and so does the terminal: there is one editor at most.
*/
#ifndef WS_BIND_LUA_EDITOR_H
#define WS_BIND_LUA_EDITOR_H

#include "base/buf.h"

#include <lua.h>
#include <stdio.h>

/* GNU readline's functions and variables (lua_readline.c). */
struct ws_readline {
    void (*install)(const char *prompt, void (*line)(char *));
    void (*remove)(void);
    void (*read_char)(void);
    int (*initialize)(void);
    int (*bind)(const char *variable, const char *value);
    int (*set_prompt)(const char *prompt);
    int (*on_new_line)(void);
    void (*redisplay)(void);
    int (*clear_line)(void);
    void (*prepare)(int meta);
    void (*restore)(void);
    void (*resize)(void);
    void (*remember)(const char *line);
    void (*to_the_end)(void);
    void (*stifle)(int most);
    void (*free_line)(void *line);
    int (*next_byte)(FILE *in);
    int (**reader)(FILE *in);
    const char **name, *name_before;
    int ahead; /* a byte that was read too early, or EOF */
    int *catch_signals, *catch_resize, *change_environment, *no_completion;
};

/* libedit's (lua_editline.c). */
struct ws_editline {
    void *(*init)(const char *name, FILE *in, FILE *out, FILE *err);
    void (*end)(void *el);
    int (*set)(void *el, int op, ...);
    int (*get)(void *el, int op, ...);
    const char *(*gets)(void *el, int *n);
    const void *(*line)(void *el);
    int (*source)(void *el, const char *file);
    void (*resize)(void *el);
    void *(*history_init)(void);
    void (*history_end)(void *h);
    int (*history)(void *h, void *event, int op, ...);
    void *el, *past; /* the editor, its history; NULL: none */
};

struct ws_editor {
    const struct ws_editor_kind *kind; /* NULL: closed */
    struct ws_buf lines;               /* each with a line feed */
    struct ws_mem *mem;
    const char *prompt; /* "" while it is off the screen */
    int fault;          /* a line was lost: why */
    uint8_t ended;      /* no more lines will come */
    union {
        struct ws_readline gnu;
        struct ws_editline bsd;
    } lib;
};

/* A function or variable to be found: its name, where in ws_editor.lib. */
struct ws_symbol {
    const char *name;
    size_t at;
};

/* What a library's editor can do.  It is drawn and read only while open, and
** read only when the terminal has something; `hide` is for one that is on the
** screen, `draw` for one that is not, with the cursor in the first column. */
struct ws_editor_kind {
    const char *name;
    const char *const *files;                   /* NULL ends */
    const struct ws_symbol *symbols;            /* name NULL ends */
    int (*open)(struct ws_editor *e, int most); /* takes the terminal, draws
                        nothing; keeps so many lines.  WS_OK, WS_ERR_NOMEM */
    void (*close)(struct ws_editor *e);         /* gives it back */
    void (*draw)(struct ws_editor *e);
    void (*hide)(struct ws_editor *e);
    void (*read)(struct ws_editor *e);
    void (*suspend)(struct ws_editor *e); /* gives it back, goes on later */
    void (*resume)(struct ws_editor *e);
    void (*resize)(struct ws_editor *e); /* it is on the screen, and stays */
    void (*remember)(struct ws_editor *e, const char *line);
};

extern const struct ws_editor_kind ws_readline_kind, ws_editline_kind;

/* The one that is open, or NULL. */
struct ws_editor *ws_editor_now(void);

/* A line is done, and is queued; it stays on the screen, and the next one is
** not there yet. */
void ws_editor_take(struct ws_editor *e, struct ws_slice line);

void ws_open_editor(lua_State *L); /* a field of the table at the top */

#endif
