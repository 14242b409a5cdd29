// The shared scenarios over each way in, and the examples as they stand.
// Run by `cargo xtask test --only client-typescript`.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { createHmac } from "node:crypto";
import { createServer, request as startRequest } from "node:http";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import app from "express";
import { fastify as fastifyServer } from "fastify";
import { express } from "../dist/express.js";
import { fastify } from "../dist/fastify.js";
import { MemoryDedupe, Receiver } from "../dist/index.js";
import { Server, live, playLive, playScripted, scripted, ways as waits } from "./callbacks.mjs";
import { play, scenarios } from "./scenarios.mjs";

const cases = [];
const check = (name, run) => cases.push({ name, run });

// --- ways in

const answer = ({ status, headers, body }) => ({
  status,
  retryAfter: headers["retry-after"],
  text: body,
});

const over = async (url, { method = "POST", headers, body }) => {
  const response = await fetch(url, { method, headers, ...(method === "POST" && { body }) });
  const retryAfter = response.headers.get("retry-after") ?? undefined;
  return { status: response.status, retryAfter, text: await response.text() };
};

const listening = (server) =>
  new Promise((resolve) => {
    const started = server.listen(0, "127.0.0.1", () => resolve(started));
  });

/** A server of `node:http` that is running. */
const served = (server) => {
  const url = `http://127.0.0.1:${server.address().port}/hooks`;
  const end = () => {
    server.closeAllConnections();
    return new Promise((resolve) => server.close(resolve));
  };
  return { url, send: (request) => over(url, request), end };
};

const ways = {
  handle: (receiver) => ({
    async send({ method = "POST", headers, body }) {
      return answer(await receiver.handle({ method, headers, body: Buffer.from(body) }));
    },
    end: () => {},
  }),
  fetch: (receiver) => ({
    async send({ method = "POST", headers, body }) {
      const init = { method, headers, ...(method === "POST" && { body }) };
      const response = await receiver.fetch(new Request("https://example.com/hooks", init));
      const retryAfter = response.headers.get("retry-after") ?? undefined;
      return { status: response.status, retryAfter, text: await response.text() };
    },
    end: () => {},
  }),
  http: async (receiver) => served(await listening(createServer(express(receiver)))),
  express: async (receiver) => served(await listening(app().all("/hooks", express(receiver)))),
  "express after raw": async (receiver) => {
    const raw = app.raw({ type: "*/*" });
    return served(await listening(app().use(raw).all("/hooks", express(receiver))));
  },
  fastify: async (receiver) => {
    const server = fastifyServer({ forceCloseConnections: true });
    server.register(fastify(receiver), { prefix: "/hooks" });
    await server.listen({ port: 0, host: "127.0.0.1" });
    return { ...served(server.server), end: () => server.close() };
  },
};

for (const [way, connect] of Object.entries(ways)) {
  for (const scenario of scenarios) {
    check(`${way}: ${scenario.name}`, () => play(scenario, connect));
  }
}

// --- callbacks

for (const scenario of scripted) {
  check(`callbacks: ${scenario.name}`, () => playScripted(scenario));
}

const server = new Server();
for (const [way, through] of Object.entries(waits)) {
  for (const scenario of live) {
    check(`callbacks, ${way}: ${scenario.name}`, () => playLive(scenario, server, through));
  }
}

check("examples/approve.mjs", async () => {
  await server.gateway();
  const post = async (url, body) => {
    const headers = { "content-type": "application/json" };
    return (await fetch(url, { method: "POST", headers, body: JSON.stringify(body) })).status;
  };
  for (const [path, body, told] of [
    ["", { approved: true }, "approved"],
    ["", { approved: false }, "not approved"],
    ["/fail", "on holiday", "failed on holiday"],
  ]) {
    const script = fileURLToPath(new URL("../examples/approve.mjs", import.meta.url));
    const reach = { RINGBACK_URL: server.url, RINGBACK_TOKEN: server.token };
    const child = spawn(process.execPath, [script], {
      env: { ...process.env, ...reach },
      stdio: ["ignore", "pipe", "inherit"],
    });
    const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
    const url = (await lines.next()).value.replace("waiting at ", "");
    assert.equal(await post(`${url}/progress`, 50), 200);
    assert.equal((await lines.next()).value, "progress 50");
    assert.equal(await post(url, { approved: "perhaps" }), 422);
    assert.equal(await post(url + path, body), 200);
    assert.equal((await lines.next()).value, told);
  }
});

// --- what only this library has

const SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

function signed(id, payload) {
  const body = JSON.stringify(payload);
  const timestamp = Math.floor(Date.now() / 1000);
  const key = Buffer.from(SECRET.slice("whsec_".length), "base64");
  const mac = createHmac("sha256", key).update(`${id}.${timestamp}.${body}`).digest("base64");
  const headers = {
    "content-type": "application/json",
    "webhook-id": id,
    "webhook-timestamp": String(timestamp),
    "webhook-signature": `v1,${mac}`,
  };
  return { headers, body };
}

check("keys that cannot be right are refused, and not repeated", () => {
  const secret = "whsec_c2hvcnQ=";
  for (const keys of ["", [], secret, "whsec_%%%", "whpk_c2hvcnQ=", "whsk_c2hvcnQ="]) {
    assert.throws(
      () => new Receiver(keys),
      (error) => error instanceof TypeError && !error.message.includes("c2hvcnQ"),
    );
  }
});

check("types that cannot be right are refused", () => {
  const receiver = new Receiver(SECRET).on("invoice.paid", () => {});
  for (const type of ["", "*.paid", "inv*", "a.*.*", "**", "invoice.paid"]) {
    assert.throws(() => receiver.on(type, () => {}), TypeError, type);
  }
});

check("what goes wrong is told with its event", async () => {
  const told = [];
  const receiver = new Receiver(SECRET, {
    onError: (error, event) => told.push([error.name, event?.id]),
  }).on("*", () => {
    throw new RangeError("a mistake of the handler");
  });
  const { headers, body } = signed("msg_1", { type: "a" });
  const send = (text) => receiver.handle({ method: "POST", headers, body: Buffer.from(text) });
  await send(body);
  await send(`${body} `);
  assert.deepEqual(told, [["RangeError", "msg_1"], ["VerificationError", undefined]]);
});

check("a failing onError changes no answer", async () => {
  const onError = () => {
    throw new Error("the log is full");
  };
  const receiver = new Receiver(SECRET, { onError });
  const refused = await receiver.handle({ method: "POST", headers: {}, body: Buffer.from("") });
  assert.equal(refused.status, 401);
});

check("the memory forgets the oldest", () => {
  const memory = new MemoryDedupe(2);
  for (const id of ["a", "b", "c"]) {
    assert.equal(memory.begin(id), "new");
    memory.done(id);
  }
  assert.deepEqual(["a", "b", "c"].map((id) => memory.begin(id)), ["new", "done", "done"]);
});

check("express: a body that was parsed is a mistake of the program, not a forgery", async () => {
  const server = app()
    .use(app.json())
    .post("/hooks", express(new Receiver(SECRET)))
    .use((error, _request, response, _next) => response.status(500).send(error.message));
  const { send, end } = served(await listening(server));
  const { status, text } = await send(signed("msg_1", { type: "a" }));
  await end();
  assert.equal(status, 500);
  assert.match(text, /before parsers/);
});

check("a long body of unknown length is answered before its end", async () => {
  for (const connect of [ways.http, ways.express, ways.fastify]) {
    const receiver = new Receiver(SECRET, { bodyLimit: 16 });
    const { url, end } = await connect(receiver);
    const request = startRequest(url, { method: "POST", headers: { "content-type": "text/plain" } });
    const arrived = new Promise((resolve) => request.once("response", resolve));
    // Never ended: the answer must not wait for more.
    request.write("longer than sixteen bytes");
    const response = await arrived;
    request.destroy();
    await end();
    assert.equal(response.statusCode, 413);
  }
});

for (const example of ["express", "fastify"]) {
  check(`examples/${example}.mjs`, async () => {
    const script = fileURLToPath(new URL(`../examples/${example}.mjs`, import.meta.url));
    const child = spawn(process.execPath, [script], {
      env: { ...process.env, SECRET, PORT: "0" },
      stdio: ["ignore", "pipe", "inherit"],
    });
    const exited = new Promise((resolve) => child.once("exit", resolve));
    try {
      const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
      const { value } = await lines.next();
      const url = value.replace("listening on ", "");
      const paid = signed("msg_1", { type: "invoice.paid", data: { invoice: "inv_1001" } });
      assert.equal((await over(url, paid)).status, 204);
      assert.equal((await lines.next()).value, "paid inv_1001 msg_1");
      assert.equal((await over(url, paid)).status, 204);
      assert.equal((await over(url, { ...paid, body: `${paid.body} ` })).status, 401);
      const unnumbered = await over(url, signed("msg_2", { type: "invoice.paid", data: {} }));
      assert.deepEqual([unnumbered.status, unnumbered.text], [422, "an invoice without a number"]);
      const voided = await over(url, signed("msg_3", { type: "invoice.voided" }));
      assert.deepEqual([voided.status, voided.retryAfter], [503, "3600"]);
      assert.equal((await over(url, signed("msg_4", { type: "user.created" }))).status, 204);
    } finally {
      child.kill("SIGTERM");
    }
    assert.equal(await exited, 0);
  });
}

// --- run

let failed = 0;
const wanted = process.argv.slice(2);
const chosen = cases.filter(({ name }) => wanted.every((word) => name.includes(word)));
for (const { name, run } of chosen) {
  try {
    await run();
    console.log("ok    ", name);
  } catch (error) {
    failed += 1;
    console.log("FAILED", name);
    console.log(error);
  }
}
await server.end();
console.log(`${chosen.length - failed} passed, ${failed} failed`);
process.exit(failed || !chosen.length ? 1 : 0);
