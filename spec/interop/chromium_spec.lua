-- spec/interop/chromium_spec.lua -- a page in a real Chromium, and our server.

local lu = require "luaunit"
local wsock = require "wsock"
local peer = require "interop.peer"

local T = {}

local PAGE = [[<!doctype html><meta charset="utf-8"><title>page</title>
<link rel="icon" href="data:,"><script>
  // A WebSocket whose events are lines; .ended is a promise of all of them.
  function connect(url, protocols = []) {
    const socket = new WebSocket(url, protocols);
    const lines = socket.lines = [];
    const waiting = [];
    socket.opened = new Promise(done => {
      socket.addEventListener("open", () => { lines.push("open"); done(); });
      socket.addEventListener("close", done);
    });
    socket.addEventListener("error", () => lines.push("error"));
    socket.addEventListener("message", event => (waiting.shift() ?? (() => {}))(event.data));
    socket.message = () => new Promise(done => waiting.push(done));
    socket.ended = new Promise(done => socket.addEventListener("close", event => {
      lines.push(`close ${event.code} ${event.reason || "-"} ${event.wasClean ? "clean" : "unclean"}`);
      done(lines.join(", "));
    }));
    return socket;
  }
  function pattern(size) {
    return Uint8Array.from({ length: size }, (_, i) => i * 7 + (i >> 8));
  }
  function same(a, b) {
    return a.length === b.length && a.every((byte, i) => byte === b[i]);
  }
</script>]]

local function page_server(options)
  options.onrequest = function(_, response)
    response:send(200, { ["Content-Type"] = "text/html" }, PAGE)
  end
  return peer.echo(options)
end

function T:setUpClass()
  self.browser = peer.driver "chromium"
end

function T:tearDownClass()
  self.browser:stop()
end

function T:setUp()
  self:serve {}
end

function T:tearDown()
  wsock.onerror = nil
  self.browser:run "await closePages()"
  peer.cleanup()
end

-- Our server, and a page of its own in the browser.
function T:serve(options, name)
  self.server, self.port, self.record = page_server(options)
  self:open("http://127.0.0.1:" .. self.port .. "/", name)
end

function T:open(url, name)
  self.browser:run([[await open("$name", "$url")]], { name = name or "page", url = url })
end

-- Runs code (the body of an async function) in a page; $port is our server's.
function T:eval(code, name)
  code = code:gsub("%$port", self.port)
  return self.browser:begin([[return run("$name", $code)]],
    { name = name or "page", code = peer.js(code) })
end

-- Begins code in the page, after `socket` is connected to our server.
function T:begin(code, protocols)
  return self:eval(([[
    const socket = window.socket = connect("ws://127.0.0.1:$port/", %s);
    await socket.opened;
    %s]]):format(protocols or "[]", code))
end

function T:run(code, protocols)
  return self:begin(code, protocols)()
end

-- ---- messages -------------------------------------------------------------------

function T:test_a_text_goes_there_and_back()
  local seen = self:run [[
    socket.send("Hello, server");
    const answer = await socket.message();
    socket.close(1000, "done");
    return `${answer}; ${socket.protocol}; ${socket.extensions}; ${await socket.ended}`;
  ]]
  lu.assertEquals(seen, "Hello, server; ; ; open, close 1000 done clean")
  self.record:wait "^close"
  lu.assertEquals(tostring(self.record), "text Hello, server, close 1000 done clean")
end

function T:test_every_byte_value_as_blob_buffer_and_view()
  local seen = self:run [[
    const bytes = Uint8Array.from({ length: 256 }, (_, i) => i);
    const results = [];
    for (const type of ["blob", "arraybuffer"]) {
      socket.binaryType = type;
      for (const data of [bytes.buffer, bytes.subarray(3, 250), new Blob([bytes])]) {
        socket.send(data);
        const got = await socket.message();
        const kind = got instanceof Blob ? "blob" : got instanceof ArrayBuffer ? "arraybuffer" : "?";
        const back = new Uint8Array(kind === "blob" ? await got.arrayBuffer() : got);
        const sent = data.byteLength === 247 ? bytes.subarray(3, 250) : bytes;
        results.push(kind === type && same(back, sent));
      }
    }
    return results.join(" ");
  ]]
  lu.assertEquals(seen, "true true true true true true")
  lu.assertEquals(#self.record, 6)
  for _, line in ipairs(self.record) do lu.assertStrMatches(line, "binary <2%d%d bytes>") end
end

function T:test_utf8_and_lone_surrogates()
  local texts = {}
  self.server.onmessage = function(socket, data)
    texts[#texts + 1] = data
    socket:send(data)
  end
  local seen = self:run [[
    const texts = ["Zoë", "日本語", "🙂\u0000\uffff", "", "\ud800!"];
    const back = [];
    for (const text of texts) { socket.send(text); back.push(await socket.message()); }
    return back.map((text, i) => text === texts[i]).join(" ") + " " + back[4];
  ]]
  lu.assertEquals(seen, "true true true true false \u{fffd}!")
  lu.assertEquals(texts, { "Zoë", "日本語", "🙂\0\u{ffff}", "", "\u{fffd}!" })
end

function T:test_sizes_around_every_length_form_up_to_one_mebibyte()
  local seen = self:run [[
    socket.binaryType = "arraybuffer";
    const wrong = [];
    for (const size of [0, 1, 125, 126, 127, 65535, 65536, 1 << 20]) {
      const data = pattern(size);
      socket.send(data);
      if (!same(new Uint8Array(await socket.message()), data)) wrong.push(`binary ${size}`);
      const text = "é".repeat(size >> 1);
      socket.send(text);
      if (await socket.message() !== text) wrong.push(`text ${size}`);
    }
    return wrong.join(", ") || "all right";
  ]]
  lu.assertEquals(seen, "all right")
end

function T:test_one_byte_more_than_maxPayload_is_1009()
  local seen = self:run [[
    socket.send(new Uint8Array((1 << 20) + 1));
    return await socket.ended;
  ]]
  lu.assertStrMatches(seen, "open, .*close 1009 .*")
  self.record:wait "^close 1006 %- unclean"
  lu.assertNotNil(self.record:has "^error TOOBIG")
end

function T:test_messages_cross_each_other_in_order()
  local count = 500
  self.server.onconnection = function(socket)
    for i = 1, count do socket:send("down " .. i) end
  end
  local up = {}
  self.server.onmessage = function(_, data) up[#up + 1] = data end
  -- The page must listen before the first message is there.
  local seen = self:eval(([[
    const socket = connect("ws://127.0.0.1:$port/");
    let down = 0, wrong = 0;
    const all = new Promise(done => socket.onmessage = event => {
      if (event.data !== "down " + ++down) wrong++;
      socket.send("up " + down);
      if (down === %d) done();
    });
    await all;
    return `${down} ${wrong}`;
  ]]):format(count))
  lu.assertEquals(seen(), count .. " 0")
  peer.wait(function() return #up == count end, "the messages from the page")
  for i = 1, count do lu.assertEquals(up[i], "up " .. i) end
end

function T:test_fragments_arrive_as_one_message()
  self.server.onconnection = function(socket)
    socket:send("one, ", "text", { final = false })
    socket:ping "between"
    socket:send("two, ", "text", { final = false })
    socket:send("three", "text")
    self.record:watch(socket)
  end
  self.server.onmessage = nil
  local seen = self:eval [[
    const socket = connect("ws://127.0.0.1:$port/");
    return await socket.message();
  ]]
  lu.assertEquals(seen(), "one, two, three")
  self.record:wait "^pong between$"
end

function T:test_the_browser_answers_pings()
  local done = self:begin "return await socket.ended;"
  peer.wait(function() return self.record.socket end, "the connection")
  self.record.socket:ping "are you there?"
  self.record:wait "^pong are you there%?$"
  lu.assertIsNumber(self.record.socket.latency)
  self.record.socket:close(1000)
  lu.assertEquals(done(), "open, close 1000 - clean")
end

-- ---- the end ----------------------------------------------------------------------

function T:test_the_page_closes_with_code_and_reason()
  local seen = self:run [[socket.close(3000, "x"); return await socket.ended;]]
  lu.assertEquals(seen, "open, close 3000 x clean")
  lu.assertEquals(self.record:wait "^close", "close 3000 x clean")
end

function T:test_the_page_closes_without_a_code()
  local seen = self:run [[socket.close(); return await socket.ended;]]
  lu.assertEquals(seen, "open, close 1005 - clean")
  lu.assertEquals(self.record:wait "^close", "close 1005 - clean")
end

function T:test_the_server_closes_with_code_and_reason()
  for _, code in ipairs { 1000, 1001, 1011, 1013, 4000 } do
    self.record.socket = nil
    local done = self:begin "return await socket.ended;"
    peer.wait(function() return self.record.socket end, "the connection")
    self.record.socket:close(code, "Grüße")
    lu.assertEquals(done(), ("open, close %d Grüße clean"):format(code))
    lu.assertEquals(self.record:wait("^close " .. code), ("close %d Grüße clean"):format(code))
  end
end

function T:test_the_server_closes_without_a_code()
  local done = self:begin "return await socket.ended;"
  peer.wait(function() return self.record.socket end, "the connection")
  self.record.socket:close()
  lu.assertEquals(done(), "open, close 1005 - clean")
  lu.assertEquals(self.record:wait "^close", "close 1005 - clean")
end

function T:test_a_dropped_connection_is_1006()
  local done = self:begin "return await socket.ended;"
  peer.wait(function() return self.record.socket end, "the connection")
  self.record.socket:terminate()
  lu.assertStrMatches(done(), "open, .*close 1006 %- unclean")
end

function T:test_a_raising_handler_is_1011()
  local reported
  wsock.onerror = function(message) reported = message end
  self.server.onmessage = function() error "a bug in the handler" end
  local seen = self:run [[socket.send("x"); return await socket.ended;]]
  lu.assertStrMatches(seen, "open, close 1011 .* clean")
  lu.assertStrContains(reported, "a bug in the handler")
end

function T:test_a_page_that_is_left_is_1001()
  self:begin "return 'connected'" ()
  self.browser:run [[await pages.page.goto("about:blank")]]
  lu.assertEquals(self.record:wait "^close", "close 1001 - clean")
end

function T:test_a_closed_tab_is_1001()
  self:begin "return 'connected'" ()
  self.browser:run [[await pages.page.close()]]
  lu.assertEquals(self.record:wait "^close", "close 1001 - clean")
end

function T:test_a_closing_server_is_1001_in_the_page()
  local done = self:begin "return await socket.ended;"
  peer.wait(function() return self.record.socket end, "the connection")
  self.server:close()
  lu.assertEquals(done(), "open, close 1001 - clean")
end

-- ---- the handshake ------------------------------------------------------------------

function T:test_the_subprotocol_both_agree_on()
  self:serve({ protocols = { "wamp", "soap" } }, "other")
  local seen = self:run([[return socket.protocol;]], [=[["x-unknown", "soap", "wamp"]]=])
  lu.assertEquals(seen, "soap")
  lu.assertEquals(self.record.socket.protocol, "soap")
end

function T:test_the_headers_of_a_browser()
  local request
  self.server.onconnection = function(_, r) request = r end
  lu.assertEquals(self:run "return 'connected'", "connected")
  peer.wait(function() return request end, "the connection")
  lu.assertEquals(request.headers.Origin, "http://127.0.0.1:" .. self.port)
  lu.assertEquals(request.headers.host, "127.0.0.1:" .. self.port)
  lu.assertStrContains(request.headers["user-agent"], "Chrom")
  lu.assertStrContains(request.headers["sec-websocket-extensions"], "permessage-deflate")
end

local COME_AND_GO = [[
  const socket = connect("ws://127.0.0.1:$port/");
  await socket.opened;
  if (socket.readyState === WebSocket.OPEN) socket.close(1000);
  return await socket.ended;
]]

function T:test_a_page_of_another_host_is_refused()
  self:open("http://localhost:" .. self.port .. "/")
  lu.assertEquals(self:eval(COME_AND_GO)(), "error, close 1006 - unclean")
  lu.assertEquals(#self.record, 0)
end

function T:test_a_page_of_another_host_is_let_in_by_list()
  local refusing = self.port
  for _, origins in ipairs { "*", { "http://localhost:" .. refusing } } do
    self.server, self.port = page_server { origins = origins }
    self:open("http://localhost:" .. refusing .. "/")
    lu.assertEquals(self:eval(COME_AND_GO)(), "open, close 1000 - clean")
  end
end

-- ---- the chat of spec/examples ---------------------------------------------------------

-- Types a text into one page of the chat; both show it, cut, as the newest.
function T:say(name, text)
  self.browser:run([[
    await pages.$name.fill("input", $text);
    await pages.$name.press("input", "Enter");
  ]], { name = name, text = peer.js(text) })
  local cut = text:sub(1, (utf8.offset(text, 51) or 0) - 1)
  for _, reader in ipairs { "ann", "bob" } do
    self.browser:run([[await pages.$name.waitForFunction(text =>
      document.querySelector("#messages").firstChild?.textContent === text,
      $text, { timeout: 10000 })]], { name = reader, text = peer.js(cut) })
  end
end

function T:test_the_chat_with_two_pages()
  local chat = peer.start_lua { "spec/examples/chat/server.lua", "0" }
  local url = chat:expect("(http://127%.0%.0%.1:%d+/)", 10, peer.pump)
  for _, name in ipairs { "ann", "bob" } do
    self:open(url, name)
    self.browser:run([[await pages.$name.waitForSelector("#state.open")]], { name = name })
  end
  self:say("ann", "Hello, Bob")
  self:say("bob", "<img src=x onerror=alert(1)><b>bold</b>")
  self:say("ann", "Zoë 🙂")
  self:say("bob", ("é"):rep(60))
  for _, name in ipairs { "ann", "bob" } do
    lu.assertEquals(self:eval([[
      const box = document.querySelector("#messages");
      const lines = [...box.children].map(line => line.textContent);
      return [...lines, box.querySelectorAll(":scope > div > *").length, location.pathname].join("|");
    ]], name)(), ("é"):rep(50)
      .. "|Zoë 🙂|<img src=x onerror=alert(1)><b>bold</b>|Hello, Bob|0|/")
  end
  chat:kill "INT"
  lu.assertEquals(chat:wait(10, peer.pump), 0)
  for _, name in ipairs { "ann", "bob" } do
    self.browser:run([[await pages.$name.waitForSelector("#state.closed")]], { name = name })
    lu.assertEquals(self.browser:run([[return pages.$name.lines.join("|")]], { name = name }),
      "Closed 1001")
  end
end

-- ---- passwords -----------------------------------------------------------------------

-- AU-14 to AU-16: the browser is asked for the page; for a socket it answers by itself, with the next count, and when
-- its nonce is nobody's any more it does as it is told.
function T:test_digest()
  local seen = {}
  local function fresh()
    return wsock.digest { realm = "the page", algorithms = { "SHA-256", "MD5" },
      password = function(user) return user == "ann" and "open sesame" end }
  end
  local digest = fresh()
  local function who(request)
    local user, why = digest:check(request)
    local line = request.headers.authorization or ""
    seen[#seen + 1] = ("%s %s %s"):format(line:match "algorithm=([%w-]+)", line:match "nc=(%x+)", user or why)
    return user, why
  end
  local function page(request, response)
    local user, why = who(request)
    if not user then return response:send(select(2, digest:challenge(why))) end
    response:send(200, { ["Content-Type"] = "text/html" }, PAGE)
  end
  local function verify(request)
    local user, why = who(request)
    if not user then return digest:challenge(why) end
    return true
  end
  self.server, self.port, self.record = peer.echo { verify = verify, onrequest = page }
  self:open(("http://ann:open%%20sesame@127.0.0.1:%d/"):format(self.port), "asked")
  local function connect()
    return self:eval([[
      const socket = connect("ws://127.0.0.1:$port/chat?a=b");
      await socket.opened;
      socket.close(1000);
      return socket.ended;
    ]], "asked")()
  end
  lu.assertEquals(connect(), "open, close 1000 - clean")
  digest = fresh()
  lu.assertEquals(connect(), "open, close 1000 - clean")
  lu.assertEquals(seen, { "nil nil nil", "SHA-256 00000001 ann", "SHA-256 00000002 ann", "SHA-256 00000003 stale",
    "SHA-256 00000001 ann" })
end

return T
