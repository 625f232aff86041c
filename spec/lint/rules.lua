-- spec/lint/rules.lua -- the house in tables: what layers.lua and links.lua read.

local M = {}

-- The layers from the bottom up, and what each may include beside itself.
M.order = { "base", "wire", "proto", "loop", "net", "peer", "bind" }
M.may = {
  base = {},
  wire = { "base" },
  proto = { "base", "wire" },
  loop = { "base" },
  net = { "base", "wire" },
  peer = { "base", "wire", "proto", "loop", "net" },
  bind = { "base", "wire", "proto", "loop", "net", "peer" },
}

-- Headers only some files may include: pattern of the header, then of files.
M.headers = {
  { "^lua", "^bind/" },
  { "^lauxlib", "^bind/" },
  { "^sys/socket", "^net/" },
  { "^sys/un%.h", "^net/" },
  { "^sys/uio", "^net/" },
  { "^netinet/", "^net/" },
  { "^arpa/", "^net/" },
  { "^netdb", "^net/" },
  { "^pthread", "^net/resolve%.c$" },
  { "^poll%.h", "^loop/" },
  { "^sys/epoll", "^loop/" },
  { "^sys/eventfd", "^loop/", "^net/resolve%.c$" },
  -- bind: names to numbers; resolve: its threads block them
  { "^signal%.h", "^loop/", "^bind/lua_timer%.c$", "^net/resolve%.c$" },
  { "^time%.h", "^loop/" },
  { "^sys/time", "^loop/" },
  { "^openssl/ssl", "^net/tls_?%w*%.[ch]$" },
  { "^openssl/", "^net/tls_?%w*%.[ch]$", "^base/digest%.c$" },
  { "^zlib", "^wire/deflate%.c$" },
  { "^dlfcn", "^bind/lua_editor%.c$", "^net/resolve%.c$" },
  { "^readline/" }, -- found at run time, or not
  { "^histedit" },
  { "^unistd", "^net/", "^loop/", "^base/digest%.c$" },
  { "^fcntl", "^net/", "^loop/" },
  { "^stdio", "^net/", "^bind/", "^peer/" }, -- for snprintf
  { "^setjmp" },
  { "^locale" },
}

-- Functions only some files may call; no files: nobody.
M.calls = {
  malloc = { "^base/mem%.c$" },
  calloc = { "^base/mem%.c$" },
  realloc = { "^base/mem%.c$" },
  free = { "^base/mem%.c$" },
  strdup = {},
  clock_gettime = { "^loop/clock%.c$" },
  gettimeofday = {},
  time = {},
  socket = { "^net/" },
  poll = { "^loop/" },
  select = {},
  read = { "^net/", "^loop/" },
  write = { "^net/", "^loop/" },
  close = { "^net/", "^loop/" },
  printf = {},
  fprintf = {},
  puts = {},
  perror = {},
  sprintf = {},
  strcpy = {},
  strcat = {},
  atoi = {},
  exit = {},
  _exit = {},
  abort = {},
  signal = {},
  sigaction = { "^loop/" },
  setlocale = {},
  sleep = {},
  usleep = {},
  fork = {},
  system = {},
  rand = {},
  random = {},
}

-- Platforms are told apart here only.
M.systems = { "__linux", "__APPLE__", "_WIN32", "BSD__", "__sun" }
M.platforms = { "^net/", "^loop/" }

-- Sources that may keep a global variable, and why.
M.globals = {
  ["loop/wake.c"] = "a signal handler is given nothing to hang state on",
  ["bind/lua_editor.c"] = "nor are readline's callbacks; a process has one terminal",
}

-- Ceilings; `nesting` counts the blocks inside a function body.
M.most = {
  file = 500, header = 200, fn = 70, line = 80, params = 5, nesting = 4,
  lua_file = 500, makefile = 180,
}

-- Functions whose parameters a library has chosen.
M.given = { ws_tls_on_alpn = true }

-- The spec of csrc/<layer>/<name>.c is spec/<layer>/<name>_spec.lua.  Where
-- another spec covers a source, it stands here with the reason.
M.covered_by = {}

function M.spec_of(file)
  return (file:gsub("%.c$", ""))
end

return M
