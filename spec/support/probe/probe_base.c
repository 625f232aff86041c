/* probe_base.c -- probe.base: errors, memory that fails, lists, a child. */
#include "probe.h"

#include "base/err.h"
#include "base/list.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

/* -- err -- */

static int err_row(lua_State *L)
{
    int err = (int)luaL_checkinteger(L, 1);
    lua_pushstring(L, ws_err_name(err));
    lua_pushstring(L, ws_err_word(err));
    lua_pushinteger(L, ws_err_close(err));
    lua_pushinteger(L, ws_err_status(err));
    lua_pushstring(L, ws_err_text(err));
    return 5;
}

/* err.codes: name to number; err.row(number) -> name, word, close, status,
** text; err.last: one below the lowest. */
static void open_err(lua_State *L)
{
    lua_newtable(L);
    lua_newtable(L);
#define PUT(name, word, close, status, text) \
    lua_pushinteger(L, WS_ERR_##name);       \
    lua_setfield(L, -2, #name);
    WS_ERRORS(PUT)
#undef PUT
    lua_setfield(L, -2, "codes");
    lua_pushinteger(L, WS_ERR_LAST);
    lua_setfield(L, -2, "last");
    lua_pushcfunction(L, err_row);
    lua_setfield(L, -2, "row");
    lua_setfield(L, -2, "err");
}

/* -- mem -- */

#define MEM "probe.mem"

struct tested {
    struct ws_mem mem;
    lua_Integer fail_at; /* calls until one fails; 0: never */
    lua_Integer fails;   /* how many then fail */
    lua_Integer failed;  /* how many did */
    lua_Integer live;    /* blocks handed out */
    lua_Integer wrong;   /* blocks given back with a wrong size */
};

/* What lies before each block; as wide as malloc's own alignment. */
struct label {
    size_t size, unused;
};

static int fails_now(struct tested *t)
{
    if (t->fail_at == 0)
        return 0;
    if (t->fail_at > 1) {
        t->fail_at--;
        return 0;
    }
    t->failed++;
    t->fails--;
    if (t->fails == 0)
        t->fail_at = 0;
    return 1;
}

/* Always moves what is resized, fills what is new, checks what is freed. */
static void *alloc(void *ud, void *p, size_t osize, size_t nsize)
{
    struct tested *t = ud;
    struct label *old = p == NULL ? NULL : (struct label *)p - 1;
    struct label *new;
    if (osize != (old == NULL ? 0 : old->size))
        t->wrong++;
    if (old != NULL && nsize == 0) {
        memset(p, 0xDD, old->size);
        free(old);
        t->live--;
        return NULL;
    }
    if (nsize == 0 || nsize > SIZE_MAX / 4 || fails_now(t))
        return NULL;
    new = malloc(sizeof *new + nsize);
    if (new == NULL)
        return NULL;
    new->size = nsize;
    memset(new + 1, 0xA5, nsize);
    if (old != NULL) {
        memcpy(new + 1, p, old->size < nsize ? old->size : nsize);
        free(old);
    } else {
        t->live++;
    }
    return new + 1;
}

struct ws_mem *probe_mem(lua_State *L, int arg)
{
    return &((struct tested *)luaL_checkudata(L, arg, MEM))->mem;
}

/* mem([libc]): an allocator; with true the default one, which never fails. */
static int mem_new(lua_State *L)
{
    int libc = lua_toboolean(L, 1);
    struct tested *t = probe_new(L, sizeof *t, MEM, 0);
    ws_mem_init(&t->mem, libc ? NULL : alloc, t);
    return 1;
}

/* mem:fail(n [, times]): the n-th call from now fails, and the next ones. */
static int mem_fail(lua_State *L)
{
    struct tested *t = luaL_checkudata(L, 1, MEM);
    t->fail_at = luaL_checkinteger(L, 2);
    t->fails = luaL_optinteger(L, 3, 1);
    t->failed = 0;
    return 0;
}

/* mem:state() -> {used, calls, failed, live, wrong} */
static int mem_state(lua_State *L)
{
    struct tested *t = luaL_checkudata(L, 1, MEM);
    lua_newtable(L);
    lua_pushinteger(L, (lua_Integer)t->mem.used);
    lua_setfield(L, -2, "used");
    lua_pushinteger(L, (lua_Integer)t->mem.calls);
    lua_setfield(L, -2, "calls");
    lua_pushinteger(L, t->failed);
    lua_setfield(L, -2, "failed");
    lua_pushinteger(L, t->live);
    lua_setfield(L, -2, "live");
    lua_pushinteger(L, t->wrong);
    lua_setfield(L, -2, "wrong");
    return 1;
}

static int push_block(lua_State *L, void *p)
{
    if (p == NULL)
        lua_pushnil(L);
    else
        lua_pushlightuserdata(L, p);
    return 1;
}

/* mem:get(n) -> pointer or nil */
static int mem_get(lua_State *L)
{
    return push_block(L, ws_mem_get(probe_mem(L, 1), probe_size(L, 2)));
}

/* mem:resize(pointer, old, n) -> pointer or nil */
static int mem_resize(lua_State *L)
{
    return push_block(L, ws_mem_resize(probe_mem(L, 1), lua_touserdata(L, 2),
                                       probe_size(L, 3), probe_size(L, 4)));
}

/* mem:put(pointer, n) */
static int mem_put(lua_State *L)
{
    ws_mem_put(probe_mem(L, 1), lua_touserdata(L, 2), probe_size(L, 3));
    return 0;
}

/* mem:write(pointer, text); mem:read(pointer, n) -> text */
static int mem_write(lua_State *L)
{
    struct ws_slice s = probe_slice(L, 3);
    memcpy(lua_touserdata(L, 2), s.p, s.n);
    return 0;
}

static int mem_read(lua_State *L)
{
    lua_pushlstring(L, lua_touserdata(L, 2), probe_size(L, 3));
    return 1;
}

static const luaL_Reg mem_methods[] = {
    {"fail", mem_fail},     {"state", mem_state}, {"get", mem_get},
    {"resize", mem_resize}, {"put", mem_put},     {"write", mem_write},
    {"read", mem_read},     {NULL, NULL},
};

/* -- list -- */

#define LIST "probe.list"

enum { LISTS = 2, MEMBERS = 8 };

struct member {
    int number;
    struct ws_link link;
};

struct lists {
    struct ws_link list[LISTS];
    struct member member[MEMBERS];
};

/* list(): two lists, 1 and 2, and eight members, 1 to 8, in neither. */
static int list_new(lua_State *L)
{
    struct lists *s = probe_new(L, sizeof *s, LIST, 0);
    int i;
    for (i = 0; i < LISTS; i++)
        ws_link_init(&s->list[i]);
    for (i = 0; i < MEMBERS; i++) {
        s->member[i].number = i + 1;
        ws_link_init(&s->member[i].link);
    }
    return 1;
}

static struct ws_link *check_list(lua_State *L, int arg)
{
    struct lists *s = luaL_checkudata(L, 1, LIST);
    lua_Integer i = luaL_checkinteger(L, arg);
    luaL_argcheck(L, i >= 1 && i <= LISTS, arg, "no such list");
    return &s->list[i - 1];
}

static struct ws_link *check_member(lua_State *L, int arg)
{
    struct lists *s = luaL_checkudata(L, 1, LIST);
    lua_Integer i = luaL_checkinteger(L, arg);
    luaL_argcheck(L, i >= 1 && i <= MEMBERS, arg, "no such member");
    return &s->member[i - 1].link;
}

static int push_member(lua_State *L, struct ws_link *l)
{
    if (l == NULL)
        lua_pushnil(L);
    else
        lua_pushinteger(L, ws_container(l, struct member, link)->number);
    return 1;
}

/* :append(list, member), :remove(member), :first(list) -> member or nil,
** :take_all(from, to), :empty(list), :alone(member) */
static int list_append(lua_State *L)
{
    ws_link_append(check_list(L, 2), check_member(L, 3));
    return 0;
}

static int list_remove(lua_State *L)
{
    ws_link_remove(check_member(L, 2));
    return 0;
}

static int list_first(lua_State *L)
{
    return push_member(L, ws_link_first(check_list(L, 2)));
}

static int list_take_all(lua_State *L)
{
    ws_link_take_all(check_list(L, 2), check_list(L, 3));
    return 0;
}

static int list_empty(lua_State *L)
{
    lua_pushboolean(L, ws_link_empty(check_list(L, 2)));
    return 1;
}

static int list_alone(lua_State *L)
{
    lua_pushboolean(L, ws_link_empty(check_member(L, 2)));
    return 1;
}

/* :items(list) -> "1 2 3", "3 2 1": forwards and backwards */
static int list_items(lua_State *L)
{
    struct ws_link *list = check_list(L, 2), *l;
    int way;
    for (way = 0; way < 2; way++) {
        luaL_Buffer b;
        luaL_buffinit(L, &b);
        for (l = way == 0 ? list->next : list->prev; l != list;
             l = way == 0 ? l->next : l->prev) {
            push_member(L, l);
            luaL_addvalue(&b);
            luaL_addchar(&b, ' ');
        }
        luaL_pushresult(&b);
    }
    return 2;
}

static const luaL_Reg list_methods[] = {
    {"append", list_append}, {"remove", list_remove},
    {"first", list_first},   {"take_all", list_take_all},
    {"empty", list_empty},   {"alone", list_alone},
    {"items", list_items},   {NULL, NULL},
};

/* -- a child process -- */

/* child(fn) -> the string fn returns when a forked child calls it. */
static int child(lua_State *L)
{
    int fd[2], status;
    pid_t pid;
    luaL_Buffer b;
    ssize_t n;
    luaL_checktype(L, 1, LUA_TFUNCTION);
    if (pipe(fd) != 0)
        return luaL_error(L, "pipe failed");
    pid = fork();
    if (pid == 0) {
        struct ws_slice s = ws_slice_str("raised");
        alarm(60); /* whatever becomes of the parent */
        lua_settop(L, 1);
        if (lua_pcall(L, 0, 1, 0) == LUA_OK)
            s = probe_slice(L, 1);
        while (s.n > 0) {
            n = write(fd[1], s.p, s.n);
            if (n <= 0)
                break;
            s = ws_slice_of(s.p + n, s.n - (size_t)n);
        }
        close(fd[1]);
        for (;;)
            pause(); /* to be killed: no leak reports, no exit handlers */
    }
    close(fd[1]);
    luaL_buffinit(L, &b);
    do {
        char *room = luaL_prepbuffer(&b);
        n = pid < 0 ? 0 : read(fd[0], room, LUAL_BUFFERSIZE);
        luaL_addsize(&b, n > 0 ? (size_t)n : 0);
    } while (n > 0);
    close(fd[0]);
    if (pid < 0)
        return luaL_error(L, "fork failed");
    kill(pid, SIGKILL);
    waitpid(pid, &status, 0);
    luaL_pushresult(&b);
    return 1;
}

/* -- the table -- */

void probe_open_mem(lua_State *L)
{
    static const luaL_Reg functions[] = {
        {"mem", mem_new},
        {"list", list_new},
        {"child", child},
        {NULL, NULL},
    };
    probe_class(L, MEM, mem_methods, NULL);
    probe_class(L, LIST, list_methods, NULL);
    luaL_setfuncs(L, functions, 0);
}

int ws_probe_base(lua_State *L)
{
    lua_newtable(L);
    open_err(L);
    probe_open_mem(L);
    probe_open_bytes(L);
    probe_open_chain(L);
    return 1;
}
