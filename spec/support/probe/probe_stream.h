/* probe_stream.h -- a stream to be put on another; see probe_stream.c. */
#ifndef PROBE_STREAM_H
#define PROBE_STREAM_H

#include "probe.h"

#include "net/stream.h"

struct ws_stream *probe_door(lua_State *L, int idx, struct ws_mem *mem,
                             struct ws_stream *below);

#endif
