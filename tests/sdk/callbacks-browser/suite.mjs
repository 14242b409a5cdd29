// A real browser, and a vendor's SDK, against callbacks.
//
// Chromium is the distribution's. What people see is looked at in it: that only a press of the button
// answers, that looking, going back and reloading change nothing, that nothing of the URL gets out, and
// that a page of an allowed origin can follow with the read-only token. The SDK asks a stand-in of its
// service for something with the callback's URL as webhook, as it would ask the service.
// Run by `cargo xtask test --only callbacks-browser`, which starts the server.

import assert from "node:assert/strict";
import { mkdirSync } from "node:fs";
import { createServer } from "node:http";
import Replicate from "replicate";
import { Webhook } from "standardwebhooks";
import { launch } from "./harness/browser.mjs";
import { check, eventually, run } from "./harness/cases.mjs";
import { payments } from "./payments.mjs";

const { RINGBACK_URL: url, RINGBACK_TOKEN: token } = process.env;
/** The server allows this origin to follow callbacks; the browser is told what is there. */
const allowed = "http://app.localhost";
const foreign = "http://evil.localhost";
/** Pictures to look at. */
const pictures = process.env.RINGBACK_PICTURES;
if (pictures) mkdirSync(pictures, { recursive: true });

async function call(method, path, body, headers = {}) {
  const answer = await fetch(url + path, {
    method,
    headers: { authorization: `Bearer ${token}`, "content-type": "application/json", ...headers },
    body: body && JSON.stringify(body),
  });
  const text = await answer.text();
  assert.ok(answer.ok, `${method} ${path}: ${answer.status} ${text}`);
  return text && JSON.parse(text);
}

const application = (await call("POST", "/api/v1/app", { name: "browser" })).id;
const make = (wanted = {}) => call("POST", "/api/v1/callback", { application, ...wanted });
const read = (id) => call("GET", `/api/v1/callback/${id}`);
const result = (id) => call("GET", `/api/v1/callback/${id}/result`, undefined, { prefer: "wait=10" });
const requests = async (id) => (await call("GET", `/api/v1/callback/${id}/request`)).data;

/** The pages of `allowed`, each of which shows its path. */
const app = createServer((request, response) => {
  const title = new URL(request.url, allowed).pathname;
  response.writeHead(200, { "content-type": "text/html" });
  response.end(`<title>${title}</title><h1>${title}</h1>`);
});
await new Promise((resolve) => app.listen(0, "127.0.0.1", resolve));

const browser = await launch({ "app.localhost": app.address().port });

/** A page in a context of its own; whatever it asks for is noted. */
async function open(options = {}) {
  const context = await browser.newContext(options);
  const page = await context.newPage();
  const asked = [];
  page.on("request", (request) => asked.push(request));
  return { context, page, asked };
}

const words = {
  title: "Release version 2.1?",
  text: "Zoë asks you to approve the release of “shop” to production.\n\nThis cannot be undone.",
  accept: "Approve",
  decline: "Decline",
};

// --- the page that a person sees

check("looking at the page changes nothing, and it shows what is asked", async () => {
  const made = await make({ confirm: words });
  for (const [name, options] of Object.entries({
    desktop: { viewport: { width: 1024, height: 720 } },
    phone: { viewport: { width: 390, height: 780 }, isMobile: true, deviceScaleFactor: 2 },
    dark: { viewport: { width: 390, height: 780 }, colorScheme: "dark", deviceScaleFactor: 2 },
    quiet: { javaScriptEnabled: false },
  })) {
    const { context, page, asked } = await open(options);
    const answer = await page.goto(made.url);
    assert.equal(answer.status(), 200);
    assert.equal(await page.getByRole("heading").innerText(), words.title);
    assert.match(await page.locator("main").innerText(), /Zoë asks[^]*cannot be undone/);
    for (const label of ["Approve", "Decline"]) {
      assert.ok(await page.getByRole("button", { name: label }).isVisible());
    }
    const wide = await page.evaluate("document.documentElement.scrollWidth > innerWidth").catch(() => false);
    assert.equal(wide, false, "nothing is cut off");
    assert.deepEqual(asked.map((one) => new URL(one.url()).host).filter((host) => host !== new URL(url).host), []);
    if (pictures) await page.screenshot({ path: `${pictures}/confirm-${name}.png` });
    await page.reload();
    await context.close();
  }
  assert.equal((await read(made.id)).status, "pending");
});

check("the button answers, and going back or reloading changes nothing", async () => {
  const made = await make({ confirm: words });
  const { context, page } = await open();
  await page.goto(made.url);
  await page.getByRole("button", { name: "Approve" }).click();
  assert.match(await page.locator("main").innerText(), /received/);
  if (pictures) await page.screenshot({ path: `${pictures}/answered.png` });
  const done = await result(made.id);
  assert.equal(done.status, "completed");
  assert.deepEqual(done.result.form, { confirm: "accept" });
  await page.reload();
  await page.goBack();
  await page.goForward();
  await page.goto(made.url);
  assert.equal(await page.getByRole("button").count(), 0, "there is nothing left to press");
  const fates = (await requests(made.id)).map((one) => one.verdict);
  assert.equal(fates.filter((fate) => fate === "settled").length, 1);
  assert.ok(!fates.includes("conflict") && !fates.includes("late"), fates.join());
  await context.close();
});

check("a page that was open all the time gets the same answer", async () => {
  const made = await make({ confirm: words });
  const [one, two] = [await open(), await open()];
  await one.page.goto(made.url);
  await two.page.goto(made.url);
  await one.page.getByRole("button", { name: "Approve" }).click();
  await two.page.getByRole("button", { name: "Decline" }).click();
  assert.equal((await read(made.id)).status, "completed");
  const posted = (await requests(made.id)).filter((request) => request.method === "POST");
  assert.deepEqual(posted.map((request) => request.verdict).sort(), ["conflict", "settled"]);
  assert.match(await two.page.locator("main").innerText(), /received|cannot be answered/);
  await one.context.close();
  await two.context.close();
});

check("the other button fails it", async () => {
  const made = await make({ confirm: words });
  const { context, page } = await open();
  await page.goto(made.url);
  await page.getByRole("button", { name: "Decline" }).click();
  if (pictures) await page.screenshot({ path: `${pictures}/declined.png` });
  assert.equal((await result(made.id)).status, "failed");
  await context.close();
});

check("scanners, previews and prefetches answer nothing", async () => {
  const made = await make({ confirm: words });
  const headers = [
    { "user-agent": "Mozilla/5.0 (compatible; LinkScanner/1.0)" },
    { "sec-purpose": "prefetch;prerender" },
    { purpose: "prefetch" },
    { "x-moz": "prefetch" },
  ];
  for (const method of ["GET", "HEAD", "OPTIONS"]) {
    for (const one of headers) await fetch(made.url, { method, headers: one, redirect: "manual" });
  }
  const { context, page } = await open();
  await context.route(`${allowed}/**`, (route) =>
    route.fulfill({
      contentType: "text/html",
      body: `<link rel="prefetch" href="${made.url}"><link rel="prerender" href="${made.url}">
        <iframe src="${made.url}"></iframe><img src="${made.url}">`,
    }),
  );
  await page.goto(`${allowed}/mail`);
  await page.waitForLoadState("networkidle");
  assert.equal((await read(made.id)).status, "pending");
  await context.close();
});

check("the page is in no frame, tells no referrer and is kept nowhere", async () => {
  const made = await make({ confirm: words });
  const answer = await fetch(made.url);
  const header = (name) => answer.headers.get(name) ?? "";
  assert.match(header("content-security-policy"), /default-src 'none'.*frame-ancestors 'none'/);
  assert.equal(header("referrer-policy"), "no-referrer");
  assert.equal(header("cache-control"), "no-store");
  const { context, page } = await open();
  await context.route(`${foreign}/**`, (route) =>
    route.fulfill({ contentType: "text/html", body: `<iframe src="${made.url}"></iframe>` }),
  );
  await page.goto(`${foreign}/frame`);
  await page.waitForLoadState("networkidle");
  const framed = page.frames().find((frame) => frame !== page.mainFrame());
  assert.equal(await framed.locator("button").count(), 0);
  await context.close();
});

check("what its owner writes is text on the page", async () => {
  const evil = `<img src=x onerror="document.title='owned'"><script>document.title='owned'</script>`;
  const made = await make({ confirm: { title: evil, text: evil, accept: `<b>"'&` } });
  const { context, page, asked } = await open();
  await page.goto(made.url);
  assert.equal(await page.getByRole("heading").innerText(), evil);
  assert.equal(await page.locator("img, script").count(), 0);
  assert.equal(asked.length, 1);
  await context.close();
});

check("a URL that opens nothing says so to people, too", async () => {
  const { context, page } = await open();
  const answer = await page.goto(`${url}/cb/${"A".repeat(72)}`);
  assert.equal(answer.status(), 404);
  assert.match(await page.locator("main").innerText(), /not valid/);
  if (pictures) await page.screenshot({ path: `${pictures}/unknown.png` });
  await context.close();
});

// --- a page that follows

/** What a page of this origin sees of a callback with `EventSource`. */
async function follow(origin, made, steps) {
  const { context, page } = await open();
  await context.route(`${origin}/**`, (route) =>
    route.fulfill({ contentType: "text/html", body: "<title>app</title>" }),
  );
  await page.goto(`${origin}/`);
  const seen = page.evaluate(async (source) => {
    const names = ["progress", "item", "returned", "completed", "failed", "expired", "canceled"];
    return await new Promise((done) => {
      const events = [];
      const stream = new EventSource(source);
      stream.onopen = () => (document.title = "open");
      stream.onerror = () => {
        stream.close();
        done({ events, error: true });
      };
      for (const name of names) {
        stream.addEventListener(name, (event) => {
          events.push([name, JSON.parse(event.data).status]);
          if (!["progress", "item", "returned"].includes(name)) {
            stream.close();
            done({ events, error: false });
          }
        });
      }
    });
  }, `${url}/wait/${made.waitToken}/events`);
  if (steps) {
    await page.waitForFunction("document.title === 'open'");
    await steps();
  }
  const outcome = await seen;
  await context.close();
  return outcome;
}

check("a page of an allowed origin follows a callback", async () => {
  const made = await make();
  const { events, error } = await follow(allowed, made, async () => {
    assert.equal((await fetch(`${made.url}/progress`, { method: "POST", body: "50 %" })).status, 200);
    assert.equal((await fetch(made.url, { method: "POST", body: "done" })).status, 200);
  });
  assert.equal(error, false);
  assert.deepEqual(events.map(([name]) => name), ["progress", "completed"]);
});

check("a page of another origin sees nothing", async () => {
  const made = await make();
  await fetch(made.url, { method: "POST", body: "done" });
  assert.deepEqual(await follow(foreign, made), { events: [], error: true });
});

check("who may follow may not answer", async () => {
  const made = await make();
  for (const path of [`/cb/${made.waitToken}`, `/wait/${made.waitToken}`]) {
    const answer = await fetch(url + path, { method: "POST", body: "mine" });
    assert.ok([404, 405].includes(answer.status), `${path}: ${answer.status}`);
  }
  assert.equal((await read(made.id)).status, "pending");
});

// --- a service that is handed the URL by its own SDK

/** A stand-in for Replicate's API: takes predictions, and posts what becomes of them. */
async function replicate(secret, story) {
  const posts = [];
  const server = createServer((request, response) => {
    const chunks = [];
    request.on("data", (chunk) => chunks.push(chunk));
    request.on("end", async () => {
      const asked = JSON.parse(Buffer.concat(chunks));
      const prediction = { id: "p1", version: asked.version, input: asked.input, urls: {}, status: "starting" };
      response.writeHead(201, { "content-type": "application/json" });
      response.end(JSON.stringify(prediction));
      for (const [event, change] of story) {
        if (!asked.webhook_events_filter.includes(event)) continue;
        const body = JSON.stringify({ ...prediction, ...change });
        const id = `msg_${posts.length}`;
        const at = new Date();
        const signature = new Webhook(secret).sign(id, at, body);
        const answer = await fetch(asked.webhook, {
          method: "POST",
          headers: {
            "content-type": "application/json",
            "webhook-id": id,
            "webhook-timestamp": String(Math.floor(at / 1000)),
            "webhook-signature": signature,
          },
          body,
        });
        posts.push(answer.status);
      }
    });
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  const client = new Replicate({ auth: "made-up", baseUrl: `http://127.0.0.1:${server.address().port}/v1` });
  return { client, posts, close: () => server.close() };
}

check("a prediction's webhooks are progress and then its answer", async () => {
  const secret = `whsec_${Buffer.from("made-up made-up made-up ").toString("base64")}`;
  const made = await make({
    completer: { provider: "replicate", settings: { secret } },
    successWhen: { body: { status: "succeeded" } },
    failureWhen: { body: { status: { $in: ["failed", "canceled"] } } },
  });
  const { client, posts, close } = await replicate(secret, [
    ["start", { status: "processing" }],
    ["logs", { status: "processing", logs: "10 %" }],
    ["completed", { status: "succeeded", output: ["https://files.example/1.png"] }],
    ["completed", { status: "succeeded", output: ["https://files.example/1.png"] }],
  ]);
  const asked = await client.predictions.create({
    version: "v1",
    input: { prompt: "a lighthouse" },
    webhook: made.url,
    webhook_events_filter: ["start", "completed"],
  });
  assert.equal(asked.status, "starting");
  const done = await result(made.id);
  assert.equal(done.status, "completed");
  assert.deepEqual(done.result.json.output, ["https://files.example/1.png"]);
  await eventually(async () => posts, (all) => all.length === 3);
  assert.deepEqual(posts, [200, 200, 200], "the repeated one is a duplicate");
  const forged = await fetch(made.url, { method: "POST", body: "{}" });
  assert.equal(forged.status, 401);
  close();
});

payments({ call, open, application, pictures });

await run();
