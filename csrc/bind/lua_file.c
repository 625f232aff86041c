/* bind/lua_file.c -- files for wsock.static: opened without leaving a
** directory, looked at, read.
**
** Not public: Lua has files of its own.  These know their size and when they
** changed, and cannot be anything but regular files below a directory.
*/
#include "bind/lua_bind.h"

#include "net/file.h"

#define FILE_NAME "wsock.file"

static struct ws_file *check_file(lua_State *L)
{
    return luaL_checkudata(L, 1, FILE_NAME);
}

/* file:close(), __gc, __close */
static int file_close(lua_State *L)
{
    ws_file_close(check_file(L));
    return 0;
}

/* What identifies the content: size and time of the last change. */
static void push_tag(lua_State *L, const struct ws_file *f)
{
    char text[64];
    int n = snprintf(
        text, sizeof text, "%llx-%llx.%lx", (unsigned long long)f->size,
        (unsigned long long)f->changed_s, (unsigned long)f->changed_ns);

    lua_pushlstring(L, text, (size_t)n);
}

/* openFile(directory, path) -> file, size, tag | nil, message, code */
static int open_file(lua_State *L)
{
    const char *directory = luaL_checkstring(L, 1);
    struct ws_slice path = ws_check_slice(L, 2, "path");
    struct ws_file *f = lua_newuserdatauv(L, sizeof *f, 0);
    int err;

    ws_file_init(f);
    luaL_setmetatable(L, FILE_NAME);
    err = ws_file_open(f, directory, path);
    if (err != 0)
        return ws_push_errno(L, "open", err);
    lua_pushinteger(L, (lua_Integer)f->size);
    push_tag(L, f);
    return 3;
}

/* file:read() -> its content, as much as it was when it was opened, or what is
** left of it | nil, message, code */
static int file_read(lua_State *L)
{
    struct ws_file *f = check_file(L);
    size_t n = 0, got = 1;
    luaL_Buffer b;
    uint8_t *p;
    int err = 0;

    if (f->size > SIZE_MAX / 4)
        return luaL_error(L, "out of memory");
    p = (uint8_t *)luaL_buffinitsize(L, &b, (size_t)f->size);
    while (err == 0 && n < f->size && got > 0) {
        err = ws_file_read(f, p + n, (size_t)f->size - n, &got);
        n += got;
    }
    luaL_pushresultsize(&b, n);
    return err == 0 ? 1 : ws_push_errno(L, "read", err);
}

void ws_open_file(lua_State *L)
{
    static const luaL_Reg methods[] = {
        {"read", file_read}, {"close", file_close}, {NULL, NULL}};

    luaL_newmetatable(L, FILE_NAME);
    luaL_newlib(L, methods);
    lua_setfield(L, -2, "__index");
    lua_pushcfunction(L, file_close);
    lua_setfield(L, -2, "__gc");
    lua_pushcfunction(L, file_close);
    lua_setfield(L, -2, "__close");
    ws_seal_class(L);
    lua_pushcfunction(L, open_file);
    lua_setfield(L, -2, "openFile");
}
