-- spec/interop/command_spec.lua -- the command wsock against Node's ws and
-- Python's websockets: pipes of many lines, a count, and how they close.

local lu = require "luaunit"
local command = require "support.command"
local peer = require "interop.peer"

local T = {}

function T:tearDown()
  if self.driver then self.driver:stop() end
  peer.cleanup()
end

-- An echo server of the other side; its URL.
function T:node()
  self.driver = peer.driver "node"
  return "ws://127.0.0.1:" .. self.driver:run [[
    const server = await listen({}, (socket) => {
      socket.on("message", (data, binary) => {
        if (String(data) === "leave") return socket.close(4001, "you said so");
        setTimeout(() => socket.send(data, { binary }), 10);
      });
    });
    return server.address().port;]]
end

function T:python()
  self.driver = peer.driver "python"
  return "ws://127.0.0.1:" .. self.driver:run [[
async def echo(socket):
    async for message in socket:
        if message == "leave":
            await socket.close(4001, "you said so")
        await asyncio.sleep(0.001)
        await socket.send(message)
server = await websockets.serve(echo, "127.0.0.1", 0)
shared.server = server
return server.sockets[0].getsockname()[1] ]]
end

local function check(url)
  local output, code = command.pipe("seq 1 2000 | %s -w 0.5 | md5sum; seq 1 2000 | md5sum", { url })
  local ours, theirs = output:match "^(%x+).*\n(%x+)"
  lu.assertEquals({ ours, code }, { theirs, 0 })
  lu.assertEquals({ command.run { url, "-x", "grüße", "-n1" } }, { "grüße\n", 0 })
  lu.assertEquals({ command.run { url, "--hex", "-x", "00ff", "-n1" } }, { "00ff\n", 0 })
  lu.assertEquals({ command.run { url, "-x", "leave", "-n1" } }, { "wsock: closed: 4001 you said so\n", 3 })
end

function T:test_node() check(self:node()) end
function T:test_python() check(self:python()) end

return T
