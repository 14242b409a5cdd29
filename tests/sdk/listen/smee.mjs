// smee-client, unmodified, as its command line starts it.

import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { call, serve, source, start, stop } from "./gateway.mjs";
import { check, eventually } from "./harness/cases.mjs";
import { place } from "./harness/receiver.mjs";
import { github, githubTakes, secret } from "./providers.mjs";

const program = fileURLToPath(new URL("bin/smee.js", import.meta.resolve("smee-client")));

const stream = (uid) => `/ingest/api/v1/source/${uid}/event-stream/token`;

/** The client, following a source of its own, connected. */
async function following(uid) {
  const of = await source(uid, "github", secret);
  const { url } = await call("PUT", stream(uid));
  const to = place();
  const client = start(process.execPath, [program, "--url", url, "--target", to.url]);
  const connected = (times) =>
    eventually(() => client.told.out, (out) => out.split("Connected to").length > times);
  await connected(1);
  return { ...of, url, to, client, connected };
}

/** An event as GitHub writes JSON: no white space, keys in an order of its own. */
const written = (number) =>
  JSON.stringify({ zen: "Zoë 🚀", action: "opened", number, issue: { title: "<b>&", id: 1 } });

check("smee-client: the signature that GitHub made holds", async () => {
  const { to, client, ...of } = await following("smee");
  await github(of, written(1));
  const [delivery] = await to.wait();
  assert.equal(delivery.body.toString(), written(1));
  assert.equal(delivery.headers["x-github-event"], "push");
  await githubTakes(delivery);
  client.child.kill();
});

/** The server is gone for a moment, and an event comes before the client is there again. */
async function missed(of, number) {
  await stop();
  await serve();
  await github(of, written(number));
}

check("smee-client: it gets what came while it was away", async () => {
  const { to, client, connected, ...of } = await following("smee-away");
  await missed(of, 1);
  await connected(2);
  await to.wait(1);
  await missed(of, 2);
  await connected(3);
  await github(of, written(3));
  const deliveries = await to.wait(3);
  assert.deepEqual(deliveries.map(({ body }) => JSON.parse(body).number), [1, 2, 3]);
  for (const delivery of deliveries) await githubTakes(delivery);
  client.child.kill();
});

check("an event stream without Last-Event-ID begins now", async () => {
  const of = await source("smee-new", "github", secret);
  const { url } = await call("PUT", stream("smee-new"));
  await github(of, written(1));
  const answer = await fetch(url, { headers: { accept: "text/event-stream" } });
  const text = answer.body.pipeThrough(new TextDecoderStream());
  await github(of, written(2));
  let told = "";
  for await (const part of text) {
    told += part;
    if (/"number":2.*\n\n/.test(told)) break;
  }
  assert.match(told, /^id: msg_\w+\nevent: ready\ndata: {}\n\nid: msg_\w+\ndata: {.*"number":2/);
});

check("smee-client: revoking the URL ends it", async () => {
  const { to, client, ...of } = await following("smee-revoked");
  await call("DELETE", stream("smee-revoked"));
  await github(of, written(1));
  // Nothing keeps it running once it is told that there is no such stream.
  const { code, err } = await client.ended;
  assert.equal(code, 0);
  assert.match(err, /Connection closed/);
  assert.equal(to.deliveries.length, 0);
});
