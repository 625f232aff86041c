/* spec/bench/options.c -- see options.h. */
#include "options.h"

#include "usage.h"

#include <stdlib.h>
#include <string.h>

static const char *const modes[] = {"echo", "raw",   "rate", "broadcast",
                                    "idle", "shake", NULL};
static const char *const kinds[] = {"binary", "ascii", "mixed", "dense", NULL};

static long word(const char *value, const char *const names[])
{
    long i;

    for (i = 0; names[i] != NULL; i++) {
        if (strcmp(value, names[i]) == 0)
            return i;
    }
    return strtol(value, NULL, 10);
}

static void read_option(struct options *o, char *text)
{
    const struct {
        const char *name;
        long *value;
    } options[] = {
        {"mode", &o->mode},     {"kind", &o->kind},   {"port", &o->port},
        {"pid", &o->pid},       {"conns", &o->conns}, {"size", &o->size},
        {"active", &o->active}, {"depth", &o->depth}, {"ms", &o->ms},
        {"warm", &o->warm},     {"count", &o->count}, {"limit", &o->limit},
        {"busy", &o->busy},     {"tls", &o->tls},     {"deflate", &o->deflate},
        {"packed", &o->packed}};
    char *value = strchr(text, '=');
    size_t i;

    if (value != NULL)
        *value++ = '\0';
    for (i = 0; value != NULL && i < sizeof options / sizeof options[0]; i++) {
        if (strcmp(options[i].name, text) == 0) {
            *options[i].value = word(value, i == 0 ? modes : kinds);
            return;
        }
    }
    die("what is %s?", text);
}

void read_options(struct options *o, int argc, char **argv)
{
    long most = most_descriptors() - 32;
    int i;

    memset(o, 0, sizeof *o);
    o->conns = o->depth = 1;
    o->size = 16;
    o->ms = 1000;
    o->warm = 200;
    o->limit = 60;
    for (i = 1; i < argc; i++)
        read_option(o, argv[i]);
    o->conns = o->conns < most ? o->conns : most;
    if (o->active == 0 || o->active > o->conns)
        o->active = o->conns;
    if (o->port == 0 || o->size < 1 || o->conns < 1 || o->depth < 1)
        die("port, or something else, is 0");
}
