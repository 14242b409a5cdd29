// What only a real browser can show: which cookies come along, what frames and openers see, and that a
// person who takes their time arrives.
//
// The gateway and the application share the site 127.0.0.1, as they have to for a binding cookie; the
// authorization servers are at 127.0.0.2, another site.

import assert from "node:assert/strict";
import { createServer } from "node:http";
import { launch } from "./harness/browser.mjs";
import { check, slow } from "./harness/cases.mjs";
import { response } from "./authority.mjs";
import { Flow, client, home, server, shared } from "./gateway.mjs";

/** Longer than a browser sends along cookies that are a bit laxer than they say (two minutes). */
const LONG = 125_000;
const MARKUP = `<script>document.title='owned'</script><img src=x onerror="document.title='owned'">`;

/** The application's pages; what was asked for them, and with which referrer. */
const visits = [];
const app = createServer((request, response) => {
  const url = new URL(request.url, home);
  visits.push({ url, referer: request.headers.referer });
  const cookie = url.searchParams.get("cookie");
  response.writeHead(200, { "content-type": "text/html", ...(cookie && { "set-cookie": cookie }) });
  response.end(`<!doctype html><title>${url.pathname}</title><h1>${url.pathname}</h1>`);
});

let browser;
/** A page in a browser of its own; whatever it asks for is noted. */
export async function open() {
  if (!browser) {
    await new Promise((resolve) => app.listen(0, "127.0.0.1", resolve));
    browser = launch({ "app.localhost": app.address().port });
  }
  const context = await (await browser).newContext();
  const page = await context.newPage();
  const asked = [];
  page.on("request", (request) => asked.push(request));
  return { context, page, asked, close: () => context.close() };
}

export const close = async () => {
  await (await browser)?.close();
  app.close();
};

/** The application, on the gateway's site, gives a browser the cookie that binds it. */
async function bind(page, { name, value, maxAge }, attributes = "Secure; HttpOnly; SameSite=None") {
  const cookie = `${name}=${value}; Path=/oauth; Max-Age=${maxAge}; ${attributes}`;
  await page.goto(`http://127.0.0.1:${app.address().port}/?${new URLSearchParams({ cookie })}`);
}

/** A client of a server that answers with forms. */
async function formPost() {
  const as = await server();
  return client({ as, wanted: { settings: { issuer: as.issuer, responseMode: "form_post" } } });
}

/** The person says yes, and comes home. */
async function allow(page) {
  await page.getByRole("button", { name: "Allow" }).click();
  await page.waitForURL(`${home}?**`);
  return new URL(page.url()).searchParams;
}

check("6749-4.1 a person connects their account in a browser", async () => {
  const flow = await Flow.begin();
  const { page, close } = await open();
  await page.goto(flow.authorization.url);
  const told = await allow(page);
  assert.equal(told.get("authorization"), flow.authorization.id);
  flow.confirmation = told.get("confirmation");
  assert.equal((await flow.confirm()).status, 200);
  // Back and forth: nothing is exchanged again.
  await page.goBack();
  await page.goForward();
  await page.reload();
  assert.equal(flow.exchanges, 1);
  await close();
});

slow("OAuth-form-post-2 form_post after more than two minutes, bound by confirmation (case 31)", async () => {
  const flow = await Flow.begin(await formPost());
  const { page, close } = await open();
  await page.goto(flow.authorization.url);
  await new Promise((wake) => setTimeout(wake, LONG));
  flow.confirmation = (await allow(page)).get("confirmation");
  const answer = await flow.confirm();
  assert.equal(answer.status, 200, answer.text);
  assert.equal(flow.exchanges, 1);
  await close();
});

slow("OAuth-form-post-2 form_post after more than two minutes, bound by a cookie (case 31)", async () => {
  const flow = await Flow.begin(await formPost(), { binding: "cookie" });
  const { page, close } = await open();
  await bind(page, flow.authorization.cookie);
  await page.goto(flow.authorization.url);
  await new Promise((wake) => setTimeout(wake, LONG));
  const told = await allow(page);
  assert.equal(told.get("error"), null);
  assert.equal(told.get("authorization"), flow.authorization.id);
  assert.equal(await flow.status(), "completed");
  assert.equal(flow.exchanges, 1);
  await close();
});

check("OAuth-form-post-2 a form brings no cookie that is SameSite=Lax: refused (case 31)", async () => {
  const flow = await Flow.begin(await formPost(), { binding: "cookie" });
  const { page, close } = await open();
  await bind(page, flow.authorization.cookie, "Secure; HttpOnly; SameSite=Lax");
  await page.goto(flow.authorization.url);
  await page.getByRole("button", { name: "Allow" }).click();
  await page.waitForURL(flow.client.redirectUri);
  assert.match(await page.locator("main").innerText(), /another browser/);
  await flow.nothingCame();
  await close();
});

check("9700-4.7.1 completed in another browser, which has no cookie: refused (case 8)", async () => {
  for (const set of [await client(), await formPost()]) {
    const flow = await Flow.begin(set, { binding: "cookie" });
    const [one, other] = [await open(), await open()];
    await bind(one.page, flow.authorization.cookie);
    await one.page.goto(flow.authorization.url);
    // What is in the first one's address bar, in the second.
    const { next } = await flow.person.go(flow.authorization.url, {
      stop: (url) => url.startsWith(flow.as.issuer),
    });
    await other.page.goto(next);
    await other.page.getByRole("button", { name: "Allow" }).click();
    await other.page.waitForURL(
      (url) => url.href.startsWith(home) || url.href.startsWith(flow.client.redirectUri),
    );
    await other.page.waitForLoadState("networkidle");
    const at = new URL(other.page.url());
    assert.equal(at.searchParams.get("confirmation"), null);
    await flow.nothingCame();
    await one.close();
    await other.close();
  }
});

check(
  "update-2.3 completed in another browser, without a cookie: the application refuses (case 9)",
  async () => {
    const flow = await Flow.begin();
    const victim = await open();
    await victim.page.goto(flow.authorization.url);
    const confirmation = (await allow(victim.page)).get("confirmation");
    const answer = await flow.confirm({ userRef: "the victim", confirmation });
    assert.equal(answer.status, 403, answer.text);
    await flow.nothingCame();
    await victim.close();
  },
);

check("9700-4.2.4 the application hears nothing of the code from the browser (case 39)", async () => {
  const flow = await Flow.begin();
  const { page, asked, close } = await open();
  await page.goto(flow.authorization.url);
  await allow(page);
  const arrived = visits.findLast(
    ({ url }) => url.searchParams.get("authorization") === flow.authorization.id,
  );
  assert.ok(!arrived.referer?.includes("/oauth/callback"), arrived.referer);
  assert.ok(!arrived.url.searchParams.has("code") && !arrived.url.searchParams.has("state"));
  const hosts = new Set(asked.map((request) => new URL(request.url()).host));
  const expected = [shared.url, flow.as.issuer, home].map((url) => new URL(url).host);
  assert.deepEqual(
    [...hosts].filter((host) => !expected.includes(host)),
    [],
    "nobody else is asked",
  );
  await close();
});

check("6749-10.14 markup in an error response does nothing in a browser (case 24)", async () => {
  const as = await server();
  as.lie(
    "authorize",
    response((params) => {
      params.set("state", "unknown");
      params.set("error", MARKUP);
      params.set("error_description", MARKUP);
    }),
  );
  const flow = await Flow.begin(await client({ as }));
  const { page, asked, close } = await open();
  await page.goto(flow.authorization.url);
  await page.getByRole("button", { name: "Deny" }).click();
  await page.waitForURL(`${flow.client.redirectUri}**`);
  await page.waitForLoadState("networkidle");
  assert.notEqual(await page.title(), "owned");
  assert.equal(await page.locator("main img, main script").count(), 0);
  assert.ok((await page.locator("main").innerText()).length > 0, "it says something");
  const own = new URL(shared.url).host;
  const after = asked.slice(asked.findIndex((request) => request.url().startsWith(flow.client.redirectUri)));
  assert.deepEqual(
    after.map((request) => new URL(request.url()).host).filter((host) => host !== own),
    [],
  );
  await close();
});

check("9700-4.16 a page in a frame shows nothing (case 40)", async () => {
  const { client: made } = await client();
  const { context, page, close } = await open();
  const body = `<iframe src="${made.redirectUri}"></iframe>`;
  await context.route("http://evil.localhost/**", (route) =>
    route.fulfill({ contentType: "text/html", body }),
  );
  await page.goto("http://evil.localhost/frame");
  await page.waitForLoadState("networkidle");
  const framed = page.frames().find((frame) => frame !== page.mainFrame());
  assert.equal(await framed.locator("main").count(), 0);
  await close();
});

check("9700-4.17 a page that opened the flow is told nothing by the gateway's pages (case 41)", async () => {
  const flow = await Flow.begin();
  const { context, page, close } = await open();
  const body = `<title>opener</title><script>window.told = []; onmessage = (event) => told.push(event.data)</script>`;
  await context.route("http://evil.localhost/**", (route) =>
    route.fulfill({ contentType: "text/html", body }),
  );
  await page.goto("http://evil.localhost/");
  for (const url of [
    flow.client.redirectUri,
    `${flow.client.redirectUri}?code=made-up&state=made-up`,
    flow.authorization.url,
  ]) {
    const [opened] = await Promise.all([
      context.waitForEvent("page"),
      page.evaluate((url) => void window.open(url), url),
    ]);
    await opened.waitForLoadState("networkidle");
    if (url === flow.authorization.url) await allow(opened);
    else assert.doesNotMatch(await opened.content(), /postMessage|opener/);
    await opened.close();
  }
  assert.deepEqual(await page.evaluate("told"), []);
  await close();
});
