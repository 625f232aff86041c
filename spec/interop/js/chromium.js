// spec/interop/js/chromium.js -- a headless Chromium as a peer.

const fs = require("fs");
const os = require("os");
const path = require("path");

// Whatever the browser writes goes into one folder, which is removed.
const folder = fs.mkdtempSync(path.join(os.tmpdir(), "chromium-"));
process.env.TMPDIR = folder;

const { chromium } = require("playwright-core");
const { serve } = require("./snippets");

const program = ["chromium", "chromium-browser", "google-chrome"]
  .flatMap(name => process.env.PATH.split(":").map(folder => path.join(folder, name)))
  .find(file => fs.existsSync(file));

const pages = {};
let context;

// A page under a name, showing a URL; what it logs is kept. Under much load the
// browser now and then asks for certificates before it knows our authority.
async function open(name, url) {
  const page = await context.newPage();
  page.lines = [];
  page.on("console", message => page.lines.push(message.text()));
  page.on("pageerror", error => page.lines.push(`uncaught ${error.message}`));
  pages[name] = page;
  for (const late = Date.now() + 20000; ; await new Promise(again => setTimeout(again, 100))) {
    try {
      await page.goto(url);
      return page;
    } catch (error) {
      if (!error.message.includes("ERR_CERT_AUTHORITY_INVALID") || Date.now() > late) throw error;
    }
  }
}

// Runs code (the body of an async function) in a page.
function run(name, code) {
  return pages[name].evaluate(`(async () => { ${code} })()`);
}

async function closePages() {
  for (const name of Object.keys(pages)) {
    await pages[name].close().catch(() => {});
    delete pages[name];
  }
}

let ending;
async function end() {
  if (ending) return ending;
  ending = leave();
  return ending;
}

async function leave() {
  await context?.close().catch(() => {});
  fs.rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
}

(async () => {
  if (!program) throw new Error("there is no Chromium");
  context = await chromium.launchPersistentContext(path.join(folder, "profile"), {
    executablePath: program,
    headless: true,
    handleSIGTERM: false,
    args: ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic",
      "--no-first-run", "--disable-background-networking",
      "--disable-component-update", "--disable-sync"],
  });
  process.on("SIGTERM", () => end().then(() => process.exit(0)));
  serve({ context, pages, open, run, closePages }, end);
})().catch(error => {
  console.error(error);
  end().then(() => process.exit(1));
});
