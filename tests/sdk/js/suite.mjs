// The essential journey through the current official JavaScript SDK, on the Node.js it needs.
//
// Signatures are checked with `svix`, with `standardwebhooks`, and (Ed25519) with Node's own
// crypto. Run by `cargo xtask test --only js`, which starts the server.

import assert from "node:assert/strict";
import { createPublicKey, generateKeyPairSync, verify as verifySignature } from "node:crypto";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { ApiException, Svix, Webhook, messageInRaw } from "svix";
import { Webhook as StandardWebhook } from "standardwebhooks";
import { check, eventually, run } from "./harness/cases.mjs";
import { place } from "./harness/receiver.mjs";
import { destinations } from "./destinations.mjs";
import { matrix } from "./matrix.mjs";

const { RINGBACK_URL: url, RINGBACK_TOKEN: token } = process.env;
const api = new Svix(token, { serverUrl: url });

let unique = 0;
const name = () => `js-${(unique += 1)}`;
const application = async () => (await api.application.create({ name: "JS", uid: name() })).id;

function verify(delivery, secret) {
  const family = (prefix) =>
    Object.fromEntries(
      Object.entries(delivery.headers).filter(([header]) => header.startsWith(prefix)),
    );
  new StandardWebhook(secret).verify(delivery.body, family("webhook-"), { jsonParse: false });
  new Webhook(secret).verify(delivery.body, family("svix-"));
}

async function refused(call, code, more = () => {}) {
  await assert.rejects(call, (error) => {
    assert.ok(error instanceof ApiException, String(error));
    assert.equal(error.code, code);
    more(error.body);
    return true;
  });
}

// --- the journey

check("the pinned versions are the ones that run", () => {
  assert.ok(Number(process.versions.node.split(".")[0]) >= 22, process.version);
  const resolve = createRequire(import.meta.url).resolve;
  const version = (path) => JSON.parse(readFileSync(path, "utf8")).version;
  assert.equal(version(resolve("svix/package.json")), "2.5.0");
  const standard = resolve("standardwebhooks").replace(/dist.*$/, "package.json");
  assert.equal(version(standard), "1.1.1");
});

check("health", async () => {
  await api.health.get();
});

check("applications", async () => {
  const uid = name();
  const made = await api.application.create({ name: "A", uid, metadata: { k: "ü" } });
  assert.deepEqual(await api.application.get(uid), made);
  assert.equal((await api.application.getOrCreate({ name: "B", uid })).id, made.id);
  assert.equal((await api.application.upsert(uid, { name: "C", uid })).name, "C");
  assert.equal((await api.application.patch(made.id, { uid: null })).uid ?? null, null);
  const listed = await api.application.list({ limit: 250 });
  assert.ok(listed.data.some((app) => app.id === made.id));
  await api.application.delete(made.id);
  await refused(api.application.get(made.id), 404, (body) => assert.equal(body.code, "not_found"));
});

check("endpoints and their headers", async () => {
  const app = await application();
  const made = await api.endpoint.create(app, { url: place().url, uid: "e", channels: ["c"] });
  assert.deepEqual(await api.endpoint.get(app, "e"), made);
  const patched = await api.endpoint.patch(app, "e", { channels: null, description: "d" });
  assert.deepEqual([patched.channels ?? null, patched.description], [null, "d"]);
  const next = place().url;
  assert.equal((await api.endpoint.upsert(app, "e", { url: next, uid: "e" })).url, next);
  await api.endpoint.setHeaders(app, "e", { headers: { "x-one": "1", authorization: "made-up" } });
  await api.endpoint.patchHeaders(app, "e", { headers: { "x-two": "2" }, deleteHeaders: ["x-one"] });
  const { headers, sensitive } = await api.endpoint.getHeaders(app, "e");
  assert.deepEqual([headers, sensitive], [{ "x-two": "2" }, ["authorization"]]);
  assert.equal((await api.endpoint.list(app, { limit: 1 })).done, true);
  await api.endpoint.delete(app, "e");
  await refused(api.endpoint.get(app, "e"), 404);
});

check("event types", async () => {
  const type = "js.type";
  const schemas = { 1: { type: "object" } };
  await api.eventType.create({ name: type, description: "x", schemas });
  assert.deepEqual((await api.eventType.get(type)).schemas, schemas);
  assert.equal((await api.eventType.upsert(type, { description: "y" })).description, "y");
  assert.equal((await api.eventType.patch(type, { deprecated: true })).deprecated, true);
  const listed = await api.eventType.list({ limit: 250 });
  assert.ok(listed.data.some((item) => item.name === type));
  await api.eventType.delete(type);
  assert.equal((await api.eventType.get(type)).archived, true);
  await api.eventType.delete(type, { expunge: true });
  await refused(api.eventType.get(type), 404);
});

check("a message is delivered, recorded, listed and sent again", async () => {
  const app = await application();
  const here = place(500);
  const { id: endpoint } = await api.endpoint.create(app, { url: here.url });
  const secret = (await api.endpoint.getSecret(app, endpoint)).key;
  const message = await api.message.create(app, {
    eventType: "order.paid",
    eventId: "e-1",
    payload: { z: 1, a: "é" },
    channels: ["c"],
    tags: ["t"],
  });
  const [failed, delivered] = await here.wait(2);
  for (const delivery of [failed, delivered]) {
    assert.equal(delivery.headers["webhook-id"], message.id);
    assert.equal(delivery.body.toString(), '{"z":1,"a":"é"}');
    verify(delivery, secret);
  }
  assert.notEqual(failed.headers["webhook-timestamp"], delivered.headers["webhook-timestamp"]);

  const attempts = () => api.messageAttempt.listByMsg(app, message.id);
  const { data } = await eventually(attempts, (page) => page.data.length === 2);
  assert.deepEqual(data.map((item) => item.responseStatusCode), [200, 500]);
  assert.deepEqual(data.map((item) => item.statusText), ["success", "fail"]);
  const attempt = await api.messageAttempt.get(app, message.id, data[1].id);
  assert.match(attempt.response, /^answer of /);

  await api.messageAttempt.resend(app, message.id, endpoint);
  const [, , again] = await here.wait(3);
  assert.equal(again.headers["webhook-id"], message.id);
  const byEndpoint = () => api.messageAttempt.listByEndpoint(app, endpoint, { withMsg: true });
  const page = await eventually(byEndpoint, (page) => page.data.length === 3);
  assert.deepEqual(page.data.map((item) => item.triggerType), [1, 0, 0]);
  assert.equal(page.data[0].msg.id, message.id);

  const ids = async (options) => (await api.message.list(app, options)).data.map((item) => item.id);
  assert.deepEqual(await ids({ eventTypes: ["other", "order.paid"], tag: "t" }), [message.id]);
  assert.deepEqual(await ids({ channel: "other" }), []);
  assert.deepEqual(await ids({ before: new Date(Date.now() - 3_600_000) }), []);
  assert.deepEqual((await api.message.get(app, message.id)).payload, {});
  const full = await api.message.get(app, message.id, { withContent: true });
  assert.deepEqual(full.payload, { z: 1, a: "é" });
});

check("a message that is not JSON", async () => {
  const app = await application();
  const here = place();
  const { id } = await api.endpoint.create(app, { url: here.url });
  await api.message.create(app, messageInRaw("raw.text", "plain é", "text/plain"));
  const [delivery] = await here.wait();
  assert.equal(delivery.body.toString(), "plain é");
  assert.equal(delivery.headers["content-type"], "text/plain");
  verify(delivery, (await api.endpoint.getSecret(app, id)).key);
});

check("a rotation keeps the old secret valid", async () => {
  const app = await application();
  const here = place();
  const { id } = await api.endpoint.create(app, { url: here.url });
  const old = (await api.endpoint.getSecret(app, id)).key;
  // This SDK drops what the rotation answers.
  await api.endpoint.rotateSecret(app, id, {});
  const { key } = await api.endpoint.getSecret(app, id);
  assert.notEqual(key, old);
  await api.message.create(app, { eventType: "a", payload: {} });
  const [delivery] = await here.wait();
  verify(delivery, old);
  verify(delivery, key);
});

check("what was changed or is old is refused by every library", async () => {
  const app = await application();
  const here = place();
  const { id } = await api.endpoint.create(app, { url: here.url });
  const old = (await api.endpoint.getSecret(app, id)).key;
  await api.endpoint.rotateSecret(app, id, {});
  const { key } = await api.endpoint.getSecret(app, id);
  await api.message.create(app, { eventType: "a", payload: { n: 1 } });
  const [{ headers, body }] = await here.wait();
  assert.equal(headers["webhook-signature"].split(" ").length, 2);
  for (const secret of [old, key]) attacked(headers, body.toString(), secret);
});

/** Every library takes the delivery, and nothing that was made of it. */
function attacked(headers, body, secret) {
  for (const [library, family] of [
    [StandardWebhook, "webhook-"],
    [Webhook, "webhook-"],
    [Webhook, "svix-"],
  ]) {
    const webhook = new library(secret);
    const parts = ["id", "timestamp", "signature"];
    const whole = Object.fromEntries(parts.map((part) => [family + part, headers[family + part]]));
    webhook.verify(body, whole);
    const refuses = (text, changes = {}) => {
      const forged = { ...whole };
      for (const [part, value] of Object.entries(changes)) forged[family + part] = value;
      assert.throws(() => webhook.verify(text, forged), { name: /Error$/ });
    };
    const { [`${family}id`]: msgId, [`${family}timestamp`]: time } = whole;
    refuses(body.replace("1", "2"));
    refuses(body, { id: `${msgId}x` });
    refuses(body, { timestamp: String(Number(time) + 1) });
    // Signed well, but too long ago: somebody sends it once more.
    for (const minutes of [-6, 6]) {
      const then = new Date(Date.now() + minutes * 60_000);
      const timestamp = String(Math.floor(then.getTime() / 1_000));
      refuses(body, { timestamp, signature: webhook.sign(msgId, then, body) });
    }
  }
}

check("Ed25519 verifies with Node's crypto", async () => {
  const app = await application();
  const here = place();
  const pair = generateKeyPairSync("ed25519");
  const raw = (key, part) => Buffer.from(key.export({ format: "jwk" })[part], "base64url");
  const seed = raw(pair.privateKey, "d");
  const secret = Buffer.concat([seed, raw(pair.publicKey, "x")]).toString("base64");
  const { id } = await api.endpoint.create(app, { url: here.url, secret: `whsk_${secret}` });
  const shown = (await api.endpoint.getSecret(app, id)).key;
  assert.equal(shown, `whpk_${raw(pair.publicKey, "x").toString("base64")}`);
  const key = createPublicKey({
    format: "jwk",
    key: {
      kty: "OKP",
      crv: "Ed25519",
      x: Buffer.from(shown.slice("whpk_".length), "base64").toString("base64url"),
    },
  });

  await api.message.create(app, { eventType: "a", payload: { signed: "ü" } });
  const [{ headers, body }] = await here.wait();
  const signature = headers["webhook-signature"].match(/^v1a,(\S+)$/)[1];
  const signed = Buffer.concat([
    Buffer.from(`${headers["webhook-id"]}.${headers["webhook-timestamp"]}.`),
    body,
  ]);
  const accepted = (message) =>
    verifySignature(null, message, key, Buffer.from(signature, "base64"));
  assert.ok(accepted(signed));
  const earlier = Number(headers["webhook-timestamp"]) - 301;
  for (const prefix of [
    `${headers["webhook-id"]}x.${headers["webhook-timestamp"]}.`,
    `${headers["webhook-id"]}.${earlier}.`,
  ]) {
    assert.ok(!accepted(Buffer.concat([Buffer.from(prefix), body])), prefix);
  }
  assert.ok(!accepted(Buffer.concat([signed, Buffer.from(" ")])));
});

check("pages in both directions", async () => {
  const app = await application();
  const made = [];
  for (let n = 0; n < 3; n += 1) {
    made.unshift((await api.message.create(app, { eventType: "a", payload: { n } })).id);
  }
  const list = async (options) => {
    const page = await api.message.list(app, { limit: 2, ...options });
    return { ...page, ids: page.data.map((item) => item.id) };
  };
  const first = await list();
  const second = await list({ iterator: first.iterator });
  assert.deepEqual([...first.ids, ...second.ids], made);
  assert.deepEqual([first.done, second.done], [false, true]);
  assert.deepEqual((await list({ iterator: second.prevIterator })).ids, first.ids);
});

check("errors are read", async () => {
  const app = await application();
  await refused(api.endpoint.create(app, { url: "no url" }), 422, (body) =>
    assert.deepEqual(body.detail[0].loc, ["body", "url"]),
  );
  const { uid } = await api.application.get(app);
  await refused(api.application.create({ name: "x", uid }), 409, (body) =>
    assert.equal(body.code, "conflict"),
  );
  const stranger = new Svix("made-up-but-not-valid-token", { serverUrl: url });
  await refused(stranger.application.list(), 401);
});

check("an idempotency key replays", async () => {
  const app = await application();
  const key = { idempotencyKey: name() };
  const message = { eventType: "once", payload: { n: 1 } };
  const first = await api.message.create(app, message, key);
  assert.deepEqual(await api.message.create(app, message, key), first);
  await refused(
    api.message.create(app, { eventType: "once", payload: { n: 2 } }, key),
    409,
    (body) => assert.equal(body.code, "idempotency_conflict"),
  );
});

// --- destinations, and every operation that the SDK has

destinations({ api, url, token, application, refused, name });

for (const operation of await matrix({ api, url, token, Svix, place, name, eventually })) {
  check(`matrix.${operation.name}`, operation.run);
}

await run();
