std = "lua54"
cache = false
self = false            -- methods of specs that do not use their table
max_line_length = 120
exclude_files = { "build" }
files["lua/wsock/meta*.lua"] = { ignore = { "212", "211", "241" } } -- signatures only
