// `ringback listen --forward`: the bytes, and the provider's own signature.

import assert from "node:assert/strict";
import { Webhooks, createNodeMiddleware } from "@octokit/webhooks";
import octokit from "@octokit/webhooks-examples" with { type: "json" };
import bolt from "@slack/bolt";
import { listen, send, source } from "./gateway.mjs";
import { check } from "./harness/cases.mjs";
import { place } from "./harness/receiver.mjs";
import {
  application,
  github,
  githubTakes,
  odd,
  secret,
  slack,
  stripeEvent,
  stripeTakes,
} from "./providers.mjs";

/** What arrives at localhost of everything that was sent to the source. */
async function arrived(uid, count, ...words) {
  const to = place();
  const statuses = await listen(uid, count, to.url, ...words);
  assert.deepEqual(statuses, Array(count).fill(200));
  return to.wait(count);
}

check("stripe: the library takes each event", async () => {
  const of = await source("stripe", "stripe", secret);
  const plain = JSON.stringify({ id: "evt_1", type: "charge.succeeded", amount: 1000 });
  const sent = [plain, JSON.stringify({ id: "evt_2", name: "Zoë 🚀" }, null, 2), odd];
  for (const text of sent) await stripeEvent(of, text);
  const deliveries = await arrived("stripe", sent.length);
  assert.deepEqual(deliveries.map(({ body }) => body.toString()), sent);
  const events = deliveries.map((delivery) => stripeTakes(delivery));
  assert.deepEqual(events, sent.map((text) => JSON.parse(text)));
  assert.throws(() => stripeTakes(deliveries[0], "whsec_of_another"), /No signatures found matching/);
});

check("github: the library's middleware takes an example of each event", async () => {
  const of = await source("github", "github", secret);
  const sent = octokit.map(({ name, examples: [example] }, number) => ({
    name,
    // In three ways to write it, as it is the bytes that count and not what they mean.
    text: JSON.stringify(example, null, [0, 2, "\t"][number % 3]),
  }));
  sent.push({ name: "push", text: odd });
  assert.ok(sent.length > 50);
  for (const { name, text } of sent) await github(of, text, name);

  const taken = [];
  const quiet = () => {};
  const log = { debug: quiet, info: quiet, warn: quiet, error: quiet };
  const webhooks = new Webhooks({ secret, log });
  webhooks.onAny(({ name, payload }) => taken.push({ name, payload }));
  const app = await application(createNodeMiddleware(webhooks, { path: "/webhooks" }));
  const statuses = await listen("github", sent.length, `${app}/webhooks`, "--name", "octokit");
  assert.deepEqual(statuses, sent.map(() => 200));
  assert.deepEqual(taken, sent.map(({ name, text }) => ({ name, payload: JSON.parse(text) })));

  const deliveries = await arrived("github", sent.length, "--name", "bytes");
  for (const [at, { name, text }] of sent.entries()) {
    assert.ok(deliveries[at].body.equals(Buffer.from(text)), name);
    await githubTakes(deliveries[at]);
  }
});

check("slack: bolt takes an event", async () => {
  const of = await source("slack", "slack", secret);
  const mention = { type: "app_mention", user: "U1", text: "Zoë 🚀", ts: "1.1", channel: "C1" };
  const event = { type: "event_callback", team_id: "T1", event_id: "Ev1", event: mention };
  await slack(of, JSON.stringify(event, null, 2));
  const heard = [];
  const receiver = new bolt.HTTPReceiver({ signingSecret: secret, logLevel: "error" });
  const app = new bolt.App({ receiver, authorize: async () => ({ botId: "B1" }) });
  app.event("app_mention", async ({ event }) => void heard.push(event.text));
  const to = await application((request, response) => receiver.requestListener(request, response));
  assert.deepEqual(await listen("slack", 1, `${to}/slack/events`, "--name", "bolt"), [200]);
  assert.deepEqual(heard, ["Zoë 🚀"]);
});

check("slack: white space, escapes and the order of keys stay", async () => {
  const of = await source("slack-odd", "slack", secret);
  await slack(of, odd);
  const [{ headers, body }] = await arrived("slack-odd", 1);
  assert.equal(body.toString(), odd);
  const request = { signingSecret: secret, headers, body: body.toString() };
  bolt.verifySlackRequest(request);
  const anew = JSON.stringify(JSON.parse(odd));
  assert.throws(() => bolt.verifySlackRequest({ ...request, body: anew }), /signature mismatch/);
});

check("gitlab: its token arrives", async () => {
  const of = await source("gitlab", "gitlab", secret);
  await send(of, { "x-gitlab-event": "Push Hook", "x-gitlab-token": secret }, odd);
  const [{ headers, body }] = await arrived("gitlab", 1);
  assert.equal(headers["x-gitlab-token"], secret);
  assert.equal(headers["x-gitlab-event"], "Push Hook");
  assert.equal(body.toString(), odd);
});

check("--re-sign: what waited too long is taken, with another secret", async () => {
  const hours = 3600;
  const of = await source("stripe-old", "stripe", secret, { tolerance: 48 * hours });
  await stripeEvent(of, odd, Math.floor(Date.now() / 1000) - 24 * hours);
  const [old] = await arrived("stripe-old", 1, "--name", "as-it-came");
  assert.throws(() => stripeTakes(old), /outside the tolerance zone/);
  const other = "whsec_of_another";
  const [anew] = await arrived("stripe-old", 1, "--name", "re-signed", "--re-sign", other);
  assert.equal(anew.body.toString(), odd);
  assert.equal(stripeTakes(anew, other).id, "evt_odd");
  assert.throws(() => stripeTakes(anew), /No signatures found matching/);
});

check("--re-sign: github", async () => {
  const of = await source("github-other", "github", secret);
  await github(of, odd);
  const [anew] = await arrived("github-other", 1, "--re-sign", "whsec_of_another");
  assert.equal(anew.body.toString(), odd);
  await githubTakes(anew, "whsec_of_another");
  await assert.rejects(() => githubTakes(anew), /it refuses/);
});
