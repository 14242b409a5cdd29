// Whoever sends, and whoever verifies on localhost.

import assert from "node:assert/strict";
import { createHmac, randomUUID } from "node:crypto";
import { createServer } from "node:http";
import { sign, verify } from "@octokit/webhooks-methods";
import Stripe from "stripe";
import { send } from "./gateway.mjs";

/** Of every source; Stripe's begin like this. */
export const secret = "whsec_made_up";
export const stripe = new Stripe("sk_test_made_up");

/** JSON with white space, escapes, numbers and an order of keys that writing it anew would change. */
export const odd =
  '{ "z":1.0,\r\n\t"type":"order.paid", "amount":1e3, "id":"evt_odd", "10":"\\u0041\\/\\u00eb\\ud83d\\ude80",' +
  ' "2":12345678901234567890, "zero":-0, "text":"ë\u2028🚀\\u0000" }\n';
assert.notEqual(JSON.stringify(JSON.parse(odd)), odd);

/** An event as GitHub sends it. */
export async function github(source, text, event = "push", id = randomUUID()) {
  const headers = {
    "x-github-event": event,
    "x-github-delivery": id,
    "x-hub-signature-256": await sign(secret, text),
  };
  return send(source, headers, text);
}

/** GitHub's library takes it. */
export async function githubTakes({ headers, body }, of = secret) {
  const signature = headers["x-hub-signature-256"];
  assert.ok(await verify(of, body.toString(), signature), `it refuses ${body}`);
  assert.ok(!(await verify("whsec_of_nobody", body.toString(), signature)), "it takes anything");
}

/** An event as Stripe sends it; `timestamp` in seconds. */
export async function stripeEvent(source, payload, timestamp) {
  const signature = stripe.webhooks.generateTestHeaderString({ payload, secret, timestamp });
  return send(source, { "stripe-signature": signature }, payload);
}

/** The event that Stripe's library takes it for. */
export const stripeTakes = ({ headers, body }, of = secret) =>
  stripe.webhooks.constructEvent(body, headers["stripe-signature"], of);

/** A request as Slack signs it: https://docs.slack.dev/authentication/verifying-requests-from-slack/ */
export async function slack(source, body, type = "application/json") {
  const time = `${Math.floor(Date.now() / 1000)}`;
  const mac = createHmac("sha256", secret).update(`v0:${time}:${body}`).digest("hex");
  const headers = {
    "content-type": type,
    "x-slack-request-timestamp": time,
    "x-slack-signature": `v0=${mac}`,
  };
  return send(source, headers, body);
}

/** An application on localhost, with its own HTTP handling. */
export async function application(handle) {
  const server = createServer(handle);
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  server.unref();
  return `http://127.0.0.1:${server.address().port}`;
}
