// Payments whose outcome comes by two ways: with the person's browser, and as a webhook.
//
// The gateway is localstripe, a stateful stand-in of Stripe's API that signs webhooks as Stripe does,
// used through Stripe's own SDK. It has no page to pay at, so there is one here. Which way comes first
// is chosen by when it is paid: once the browser is back, or so early that the webhook has arrived before
// it is sent.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { createServer } from "node:http";
import Stripe from "stripe";
import { check, eventually } from "./harness/cases.mjs";

const targets = Object.fromEntries(
  ["success", "failure", "pending"].map((name) => [name, `http://app.localhost/${name}`]),
);
const secret = "whsec_made_up";
const key = "sk_test_12345";

/** A port that nobody listens on. */
async function freePort() {
  const server = createServer();
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address();
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** A running localstripe, and the SDK that speaks to it. */
async function localstripe() {
  const port = await freePort();
  const origin = `http://127.0.0.1:${port}`;
  const process = spawn(globalThis.process.env.LOCALSTRIPE, ["--port", port, "--from-scratch"], { stdio: "ignore" });
  globalThis.process.on("exit", () => process.kill());
  await eventually(() => fetch(origin).then(() => true, () => false), (up) => up);
  const stripe = new Stripe(key, { host: "127.0.0.1", port, protocol: "http", telemetry: false });
  return { origin, stripe, close: () => process.kill() };
}

/** A page to pay at; `pay` is what its button does before it sends the browser back. */
async function payAt(backTo, pay) {
  const server = createServer(async (request, response) => {
    if (request.method === "POST") {
      await pay();
      response.writeHead(303, { location: backTo });
      response.end();
    } else {
      response.writeHead(200, { "content-type": "text/html" });
      response.end(`<form method="post"><button>Pay</button></form>`);
    }
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  return { url: `http://127.0.0.1:${server.address().port}/`, close: () => server.close() };
}

/** Registers the checks; `call` speaks to the server, `open` gives a browser's page. */
export function payments({ call, open, application, pictures }) {
  let gateway;

  /** A source that localstripe calls, an intent to pay, and the callback that waits for both ways. */
  async function order(reference, verify, wanted = {}) {
    gateway ??= await localstripe();
    const { origin, stripe } = gateway;
    const when = (type) => ({ body: { type } });
    const rule = {
      reference: "{json.data.object.metadata.order}",
      amount: "{json.data.object.amount}",
      currency: "{json.data.object.currency}",
    };
    const source = await call("POST", "/ingest/api/v1/source", {
      name: reference,
      type: "stripe",
      config: { secret },
      options: {
        correlations: [
          { ...rule, name: "paid", when: when("payment_intent.succeeded") },
          { ...rule, name: "failed", when: when("payment_intent.payment_failed"), outcome: "fail" },
        ],
      },
    });
    const hook = { url: source.ingestUrl, secret };
    const registered = await fetch(`${origin}/_config/webhooks/shop`, { method: "POST", body: JSON.stringify(hook) });
    assert.equal(registered.status, 200);
    const made = await call("POST", "/api/v1/callback", {
      application,
      kind: "redirect",
      source: source.id,
      reference,
      redirect: {
        ...targets,
        verify,
        settings: verify.some((one) => one.lookup) ? { key } : undefined,
        expect: { amount: "1250", currency: "eur" },
        ...wanted,
      },
    });
    const card = { number: "4242424242424242", exp_month: 12, exp_year: 2030, cvc: "123" };
    const method = await stripe.paymentMethods.create({ type: "card", card });
    const intent = await stripe.paymentIntents.create({
      amount: 1250,
      currency: "eur",
      payment_method: method.id,
      metadata: { order: reference },
    });
    return { ...made, intent, confirm: () => stripe.paymentIntents.confirm(intent.id) };
  }

  const webhook = { webhook: true };
  const lookup = () => ({
    lookup: {
      url: `${gateway.origin}/v1/payment_intents/{query.payment_intent}`,
      headers: { authorization: "Bearer {setting.key}" },
    },
    reference: "{json.metadata.order}",
    amount: "{json.amount}",
    currency: "{json.currency}",
    complete: { status: "succeeded" },
  });
  const ended = (id) => call("GET", `/api/v1/callback/${id}/result`, undefined, { prefer: "wait=20" });
  const requests = async (id) => (await call("GET", `/api/v1/callback/${id}/request?order=ascending`)).data;

  /** A person who pays and comes back; where they end up. */
  async function buy(made, pay, options = {}) {
    const { context, page } = await open();
    const shop = await payAt(`${made.url}?payment_intent=${made.intent.id}`, pay);
    await page.goto(shop.url);
    // The click is over when the browser has gone wherever it goes at once.
    const clicked = page.getByRole("button").click();
    await options.meanwhile?.(page);
    await clicked;
    await page.waitForURL("http://app.localhost/**");
    return { page, landed: new URL(page.url()), close: () => (shop.close(), context.close()) };
  }

  check("the browser comes first, is held, and goes on when the webhook says how it is", async () => {
    const made = await order("order-1", [webhook], { hold: 15 });
    const { page, landed, close } = await buy(made, async () => {}, {
      meanwhile: async (page) => {
        await page.waitForURL(`${made.url}**`, { waitUntil: "commit" });
        await page.getByRole("heading").waitFor();
        if (pictures) await page.screenshot({ path: `${pictures}/hold.png` });
        assert.equal((await call("GET", `/api/v1/callback/${made.id}`)).status, "returned");
        await made.confirm();
      },
    });
    assert.equal(landed.pathname, "/success");
    assert.equal(landed.searchParams.get("status"), "completed");
    const done = await ended(made.id);
    assert.equal(done.result.json.data.object.id, made.intent.id, "the webhook is the answer");
    const seen = (await requests(made.id)).map(({ by, verdict }) => `${by}: ${verdict}`);
    assert.deepEqual(seen.filter((one) => one.startsWith("source")), ["source: settled"]);

    // Whoever comes again, or goes back, is sent to the same page, and nothing changes.
    await page.goBack();
    await page.goto(`${made.url}?payment_intent=${made.intent.id}`);
    assert.equal(new URL(page.url()).pathname, "/success");
    await page.reload();
    assert.equal((await ended(made.id)).settledBy, done.settledBy);
    await close();
  });

  check("the webhook comes first, and the browser goes straight on", async () => {
    const made = await order("order-2", [webhook]);
    const { landed, close } = await buy(made, async () => {
      await made.confirm();
      assert.equal((await ended(made.id)).status, "completed");
    });
    assert.equal(landed.pathname, "/success");
    await close();
  });

  check("asking the gateway and its webhook agree, and one of them is the answer", async () => {
    await order("order-3-warm", [webhook]);
    const made = await order("order-3", [lookup(), webhook], { hold: 15 });
    const { landed, close } = await buy(made, made.confirm);
    assert.equal(landed.pathname, "/success");
    const fates = await eventually(
      async () => (await requests(made.id)).map(({ by, verdict }) => `${by}: ${verdict}`).sort(),
      (all) => all.some((one) => one.startsWith("source")),
    );
    assert.equal(fates.filter((one) => one.endsWith("settled")).length, 1, fates.join());
    assert.ok(fates.includes("lookup: settled") && fates.includes("source: duplicate"), fates.join());
    await close();
  });

  check("a browser that only says that it has paid has not", async () => {
    const made = await order("order-4", [lookup(), webhook]);
    const { landed, close } = await buy(made, async () => {});
    assert.equal(landed.pathname, "/pending");
    assert.equal((await call("GET", `/api/v1/callback/${made.id}`)).status, "returned");
    await close();
  });

  check("the receipt of another order pays nothing", async () => {
    const [paid, open_] = [await order("order-5", [lookup()]), await order("order-6", [lookup()])];
    await paid.confirm();
    const { landed, close } = await buy({ ...open_, intent: paid.intent }, async () => {}, {});
    assert.equal(landed.pathname, "/pending");
    const refused = await eventually(
      async () => (await requests(open_.id)).filter(({ verdict }) => verdict === "refused"),
      (all) => all.length > 0,
    );
    assert.match(refused[0].reason, /reference/);
    await close();
  });

  check("a browser goes to listed targets and to no other", async () => {
    const evil = [
      "//evil.localhost", "https:evil.localhost", "http://app.localhost@evil.localhost/success",
      "http://app.localhost/success/../../evil", "http://app.localhost\\@evil.localhost/",
      "http://app.localhost/success%0d%0alocation:%20http://evil.localhost", "/\\evil.localhost",
      "http://аpp.localhost/success", "javascript:alert(1)", "data:text/html,x", "http://app.localhost/success#@evil",
      "http://app.localhost/Success", "http://app.localhost/success/", "http://app.localhost:81/success",
    ];
    const { origin } = gateway;
    const verify = [{ lookup: { url: `${origin}/v1/payment_intents/none` }, reference: "{json.id}", complete: { status: "succeeded" } }];
    const wanted = (success) => ({ application, kind: "redirect", reference: `evil ${success}`, redirect: { ...targets, success, verify } });
    for (const target of evil) {
      await assert.rejects(call("POST", "/api/v1/callback", wanted(target)), /422/, target);
    }
    const made = await call("POST", "/api/v1/callback", wanted(targets.success));
    // What a browser brings moves nobody elsewhere.
    for (const query of evil.map((target) => new URLSearchParams({ success: target, return_to: target, next: target, url: target }))) {
      const { context, page } = await open();
      await page.goto(`${made.url}?${query}`);
      assert.equal(new URL(page.url()).origin + new URL(page.url()).pathname, targets.pending);
      await context.close();
    }
    for (const tail of ["/..%2f..%2fevil", "/%0d%0alocation:%20http://evil.localhost", "//evil.localhost", "/@evil.localhost"]) {
      const answer = await fetch(made.url + tail, { redirect: "manual" });
      assert.equal(answer.headers.get("location"), null, tail);
    }
  });

  return () => gateway?.close();
}
