// spec/interop/js/snippets.js -- runs the snippets that come on standard input.
//
// A line is a number and percent-encoded code: the body of an async function.
// The answer is "=NUMBER ok VALUE" or "=NUMBER error MESSAGE".  The end of the
// input is the end of the process, so no peer outlives its spec.

const readline = require("readline");
const AsyncFunction = (async () => {}).constructor;

function answer(id, state, value) {
  const text = encodeURIComponent(String(value).toWellFormed?.() ?? String(value));
  process.stdout.write(`=${id} ${state} ${text}\n`);
}

// `scope`: what snippets see, name to value; `end`: what to do last.
exports.serve = function serve(scope, end = () => {}) {
  const names = Object.keys(scope);
  const values = Object.values(scope);
  const input = readline.createInterface({ input: process.stdin });
  input.on("line", line => {
    const [id, code] = line.split(" ");
    Promise.resolve()
      .then(() => new AsyncFunction(...names, decodeURIComponent(code))(...values))
      .then(value => answer(id, "ok", value), error => answer(id, "error", error.stack));
  });
  input.on("close", async () => {
    await Promise.resolve(end()).catch(() => {});
    process.exit(0);
  });
  process.stdout.write("=ready\n");
};
