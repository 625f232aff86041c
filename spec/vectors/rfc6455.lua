-- The frames of RFC 6455 5.7, as bytes and as what they say.
--
-- {name, hex, who sends it, events of who gets it}; "..." in the hex stands
-- for 256 or 65536 bytes of value 0x42.

return {
  { "unmasked text", "81 05 48656c6c6f", "server", "text:Hello" },
  { "masked text", "81 85 37fa213d 7f9f4d5158", "client", "text:Hello" },
  { "fragmented text", "01 03 48656c 80 02 6c6f", "server", "text:Hello" },
  { "unmasked ping", "89 05 48656c6c6f", "server", "ping:Hello" },
  { "masked pong", "8a 85 37fa213d 7f9f4d5158", "client", "pong:Hello" },
  { "256 bytes of binary", "82 7e 0100", "server", "binary:" .. ("B"):rep(256), ("B"):rep(256) },
  { "64 KiB of binary", "82 7f 0000000000010000", "server", "binary:" .. ("B"):rep(65536), ("B"):rep(65536) },
}
