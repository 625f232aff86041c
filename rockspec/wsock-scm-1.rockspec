rockspec_format = "3.0"
package = "wsock"
version = "scm-1"
source = { url = "git+https://example.org/wsock.git" }
description = {
  summary = "WebSocket client and server",
  detailed = [[
WebSocket (RFC 6455) for Lua 5.4: the browser's object and a server with an
event loop of its own, on a C core that knows no sockets.]],
  license = "MIT",
  labels = { "websocket", "network", "http", "event-loop" },
}
supported_platforms = { "unix" }
dependencies = { "lua >= 5.4, < 5.5" }
external_dependencies = {
  CRYPTO = { header = "openssl/evp.h", library = "crypto" },
  ZLIB = { header = "zlib.h", library = "z" },
}
-- The lists are written by `lua5.4 spec/lint/rockspec.lua --write`.
build = {
  type = "builtin",
  install = { bin = { wsock = "lua/wsock/bin/wsock" } },
  modules = {
    -- modules:
    ["wsock.check"] = "lua/wsock/check.lua",
    ["wsock.cli"] = "lua/wsock/cli.lua",
    ["wsock.cli.flags"] = "lua/wsock/cli/flags.lua",
    ["wsock.cli.input"] = "lua/wsock/cli/input.lua",
    ["wsock.cli.listen"] = "lua/wsock/cli/listen.lua",
    ["wsock.cli.prompt"] = "lua/wsock/cli/prompt.lua",
    ["wsock.cli.screen"] = "lua/wsock/cli/screen.lua",
    ["wsock.cli.talk"] = "lua/wsock/cli/talk.lua",
    ["wsock.cli.terminal"] = "lua/wsock/cli/terminal.lua",
    ["wsock"] = "lua/wsock/init.lua",
    ["wsock.meta"] = "lua/wsock/meta.lua",
    ["wsock.meta_bytes"] = "lua/wsock/meta_bytes.lua",
    ["wsock.meta_helpers"] = "lua/wsock/meta_helpers.lua",
    ["wsock.router"] = "lua/wsock/router.lua",
    -- end
    ["wsock.core"] = {
      sources = {
        -- sources:
        "csrc/base/base64.c",
        "csrc/base/buf.c",
        "csrc/base/chain.c",
        "csrc/base/digest.c",
        "csrc/base/err.c",
        "csrc/base/mask.c",
        "csrc/base/mem.c",
        "csrc/base/utf8.c",
        "csrc/bind/lua_aux.c",
        "csrc/bind/lua_broadcast.c",
        "csrc/bind/lua_bytes.c",
        "csrc/bind/lua_client.c",
        "csrc/bind/lua_clients.c",
        "csrc/bind/lua_codec.c",
        "csrc/bind/lua_conn.c",
        "csrc/bind/lua_core.c",
        "csrc/bind/lua_emitter.c",
        "csrc/bind/lua_event.c",
        "csrc/bind/lua_handler.c",
        "csrc/bind/lua_head.c",
        "csrc/bind/lua_hello.c",
        "csrc/bind/lua_listen.c",
        "csrc/bind/lua_loop.c",
        "csrc/bind/lua_options.c",
        "csrc/bind/lua_props.c",
        "csrc/bind/lua_protocol.c",
        "csrc/bind/lua_request.c",
        "csrc/bind/lua_server.c",
        "csrc/bind/lua_socket.c",
        "csrc/bind/lua_timer.c",
        "csrc/bind/lua_upgrade.c",
        "csrc/bind/lua_verbs.c",
        "csrc/bind/lua_wire.c",
        "csrc/loop/clock.c",
        "csrc/loop/epoll.c",
        "csrc/loop/fd.c",
        "csrc/loop/loop.c",
        "csrc/loop/poll.c",
        "csrc/loop/timer.c",
        "csrc/loop/wake.c",
        "csrc/net/addr.c",
        "csrc/net/errno.c",
        "csrc/net/resolve.c",
        "csrc/net/sock.c",
        "csrc/peer/dial.c",
        "csrc/peer/pump.c",
        "csrc/peer/serve.c",
        "csrc/peer/session.c",
        "csrc/proto/closing.c",
        "csrc/proto/conn.c",
        "csrc/proto/hello.c",
        "csrc/proto/input.c",
        "csrc/proto/message.c",
        "csrc/proto/offer.c",
        "csrc/proto/opening.c",
        "csrc/proto/output.c",
        "csrc/proto/pmd.c",
        "csrc/proto/welcome.c",
        "csrc/wire/auth.c",
        "csrc/wire/body.c",
        "csrc/wire/deflate.c",
        "csrc/wire/field.c",
        "csrc/wire/frame.c",
        "csrc/wire/head.c",
        "csrc/wire/host.c",
        "csrc/wire/idna.c",
        "csrc/wire/put.c",
        "csrc/wire/status.c",
        "csrc/wire/target.c",
        "csrc/wire/uri.c",
        -- end
      },
      libraries = {
        -- libraries:
        "crypto",
        "z",
        "pthread",
        "m",
        -- end
      },
      defines = { "_GNU_SOURCE" },
      incdirs = { "csrc", "$(CRYPTO_INCDIR)", "$(ZLIB_INCDIR)" },
      libdirs = { "$(CRYPTO_LIBDIR)", "$(ZLIB_LIBDIR)" },
    },
  },
}
test = { type = "command", command = "make test" }
