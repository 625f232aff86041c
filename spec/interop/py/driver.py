"""spec/interop/py/driver.py -- Python's websockets as a peer.

Runs the snippets that come on standard input: a line is a number and
percent-encoded code, the body of an async function; the answer is "=NUMBER ok
VALUE" or "=NUMBER error MESSAGE".  The end of the input is the end of the
process.
"""

import asyncio
import sys
import textwrap
import traceback
import types
import urllib.parse

import websockets

shared = types.SimpleNamespace()


def answer(number, state, value):
    text = urllib.parse.quote(str(value), safe="")
    print(f"={number} {state} {text}", flush=True)


async def run(number, code):
    names = {"asyncio": asyncio, "websockets": websockets, "shared": shared}
    body = textwrap.indent(textwrap.dedent(code).strip("\n"), "    ")
    try:
        exec("async def snippet():\n" + body, names)
        answer(number, "ok", await names["snippet"]())
    except BaseException:
        answer(number, "error", traceback.format_exc())


async def main():
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(limit=1 << 22)
    await loop.connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    print("=ready", flush=True)
    running = set()
    while True:
        line = await reader.readline()
        if not line:
            break
        number, code = line.decode().split()
        running.add(asyncio.create_task(run(number, urllib.parse.unquote(code))))


asyncio.run(main())
