/* bind/lua_editor.c -- core.lineEditor: what is typed at a terminal, for the
** command; see bind/lua_editor.h.
**
** Not public.  A library that was used is never closed: others in the process
** may have it too, and it keeps what it has read of ~/.inputrc.
*/
#include "bind/lua_editor.h"

#include "bind/lua_bind.h"

#include <dlfcn.h>

#define EDITOR_NAME "wsock.lineEditor"

enum { LINES_MAX = 64 * 1024 * 1024 }; /* bytes typed and not yet taken */

struct typed {
    struct ws_editor editor;
    struct ws_mem mem;
};

/* Who is called back by these libraries is told nothing, and may be called
** only while there is one. */
static struct ws_editor *now;

struct ws_editor *ws_editor_now(void)
{
    return now;
}

void ws_editor_take(struct ws_editor *e, struct ws_slice line)
{
    struct ws_span room;
    int err = ws_buf_room(&e->lines, e->mem, line.n + 1, &room);

    e->prompt = "";
    if (err != WS_OK) {
        e->fault = err;
        return;
    }
    memcpy(room.p, line.p, line.n);
    room.p[line.n] = '\n';
    ws_buf_commit(&e->lines, line.n + 1);
}

/* All symbols of kind, or 0. */
static int find(struct ws_editor *e, const struct ws_editor_kind *kind,
                void *so)
{
    const struct ws_symbol *s;

    for (s = kind->symbols; s->name != NULL; s++) {
        void *found = dlsym(so, s->name);

        if (found == NULL)
            return 0;
        memcpy((char *)&e->lib + s->at, &found, sizeof found);
    }
    return 1;
}

/* Whether the library is there, and new enough. */
static int load(struct ws_editor *e, const struct ws_editor_kind *kind)
{
    const char *const *file;

    for (file = kind->files; *file != NULL; file++) {
        void *so = dlopen(*file, RTLD_NOW | RTLD_LOCAL);

        if (so == NULL)
            continue;
        if (find(e, kind, so))
            return 1;
        dlclose(so); /* nothing of it was used */
    }
    return 0;
}

static struct ws_editor *check_editor(lua_State *L)
{
    struct ws_editor *e = luaL_checkudata(L, 1, EDITOR_NAME);

    if (e->kind == NULL)
        luaL_error(L, "this editor is closed");
    return e;
}

/* editor:close(), __gc, __close */
static int editor_close(lua_State *L)
{
    struct ws_editor *e = luaL_checkudata(L, 1, EDITOR_NAME);

    if (e->kind != NULL) {
        e->kind->close(e);
        e->kind = NULL;
        now = NULL;
    }
    ws_buf_free(&e->lines, e->mem);
    return 0;
}

/* editor:show(): it was hidden, or a line has ended */
static int editor_show(lua_State *L)
{
    struct ws_editor *e = check_editor(L);

    e->prompt = "> ";
    e->kind->draw(e);
    return 0;
}

/* editor:hide(): what is printed now stands in its place */
static int editor_hide(lua_State *L)
{
    struct ws_editor *e = check_editor(L);

    e->kind->hide(e);
    return 0;
}

/* editor:read(): takes a key, which there must be -> nothing, or lines, each
** with a line feed; false when there will be none any more */
static int editor_read(lua_State *L)
{
    struct ws_editor *e = check_editor(L);
    struct ws_slice lines;

    if (!e->ended)
        e->kind->read(e);
    if (e->fault != 0) {
        e->fault = 0;
        return luaL_error(L, "a line is too long for the memory there is");
    }
    lines = ws_buf_peek(&e->lines);
    if (lines.n > 0) {
        ws_push_slice(L, lines);
        ws_buf_skip(&e->lines, lines.n);
        return 1;
    }
    if (!e->ended)
        return 0;
    lua_pushboolean(L, 0);
    return 1;
}

/* editor:suspend(), editor:resume(): the terminal is another's meanwhile */
static int editor_suspend(lua_State *L)
{
    struct ws_editor *e = check_editor(L);

    e->kind->suspend(e);
    return 0;
}

static int editor_resume(lua_State *L)
{
    struct ws_editor *e = check_editor(L);

    e->kind->resume(e);
    return 0;
}

/* editor:resize(): the terminal has another size; not while it is hidden */
static int editor_resize(lua_State *L)
{
    struct ws_editor *e = check_editor(L);

    e->kind->resize(e);
    return 0;
}

/* editor:remember(line): for Up */
static int editor_remember(lua_State *L)
{
    struct ws_editor *e = check_editor(L);

    e->kind->remember(e, luaL_checkstring(L, 2));
    return 0;
}

static const struct ws_editor_kind *find_kind(const char *name)
{
    if (strcmp(name, ws_readline_kind.name) == 0)
        return &ws_readline_kind;
    return strcmp(name, ws_editline_kind.name) == 0 ? &ws_editline_kind : NULL;
}

/* core.lineEditor(name, lines) -> an editor that has the terminal, hidden, and
** keeps so many lines | nil, message.  name: "readline" or "libedit" */
static int open_editor(lua_State *L)
{
    const char *name = luaL_checkstring(L, 1);
    const struct ws_editor_kind *kind = find_kind(name);
    lua_Integer most = luaL_checkinteger(L, 2);
    struct typed *t;
    void *ud;
    lua_Alloc fn = lua_getallocf(L, &ud);

    luaL_argcheck(L, most > 0 && most <= 0x7FFF, 2, "no number of lines");
    if (now != NULL)
        return luaL_error(L, "there is an editor, and one terminal");
    t = lua_newuserdatauv(L, sizeof *t, 0);
    memset(t, 0, sizeof *t);
    ws_mem_init(&t->mem, fn, ud);
    t->editor.mem = &t->mem;
    t->editor.prompt = "";
    ws_buf_init(&t->editor.lines, LINES_MAX);
    luaL_setmetatable(L, EDITOR_NAME);
    if (kind == NULL || !load(&t->editor, kind)) {
        lua_pushnil(L);
        lua_pushfstring(L, "%s is not here", name);
        return 2;
    }
    now = &t->editor;
    if (kind->open(now, (int)most) != WS_OK) {
        now = NULL;
        return luaL_error(L, "not enough memory");
    }
    now->kind = kind;
    return 1;
}

void ws_open_editor(lua_State *L)
{
    static const luaL_Reg methods[] = {{"show", editor_show},
                                       {"hide", editor_hide},
                                       {"read", editor_read},
                                       {"resize", editor_resize},
                                       {"suspend", editor_suspend},
                                       {"resume", editor_resume},
                                       {"remember", editor_remember},
                                       {"close", editor_close},
                                       {NULL, NULL}};

    luaL_newmetatable(L, EDITOR_NAME);
    luaL_newlib(L, methods);
    lua_setfield(L, -2, "__index");
    lua_pushcfunction(L, editor_close);
    lua_setfield(L, -2, "__gc");
    lua_pushcfunction(L, editor_close);
    lua_setfield(L, -2, "__close");
    ws_seal_class(L);
    lua_pushcfunction(L, open_editor);
    lua_setfield(L, -2, "lineEditor");
}
