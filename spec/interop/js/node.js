// spec/interop/js/node.js -- the package ws as a peer, client and server.

const { WebSocket, WebSocketServer } = require("ws");
const { serve } = require("./snippets");

// The events of a WebSocket as lines; `ended` is a promise of all of them.
function record(socket) {
  const lines = [];
  socket.lines = lines;
  socket.on("open", () => lines.push("open"));
  socket.on("message", (data, binary) =>
    lines.push(binary ? `binary ${data.toString("hex")}` : `text ${data}`));
  socket.on("ping", data => lines.push(`ping ${data}`));
  socket.on("pong", data => lines.push(`pong ${data}`));
  socket.on("error", error => lines.push(`error ${error.message}`));
  socket.ended = new Promise(resolve => socket.on("close", (code, reason) => {
    lines.push(`close ${code} ${String(reason) || "-"}`);
    resolve(lines.join(", "));
  }));
  return socket;
}

// A promise of the n-th event of that name from now.
function once(emitter, name, n = 1) {
  return new Promise(resolve => {
    emitter.on(name, (...values) => { if (--n === 0) resolve(values); });
  });
}

// A client that is open.
async function connect(...parameters) {
  const socket = record(new WebSocket(...parameters));
  await Promise.race([once(socket, "open"), socket.ended]);
  return socket;
}

// A server on a free port: its connections are recorded, too.
async function listen(options, onconnection = () => {}) {
  const server = new WebSocketServer({ host: "127.0.0.1", port: 0, ...options });
  await once(server, "listening");
  server.on("connection", (socket, request) => onconnection(record(socket), request));
  return server;
}

serve({ WebSocket, record, once, connect, listen, require, shared: {} });
