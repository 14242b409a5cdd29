// Every example of @octokit/webhooks-examples through one source of GitHub.

import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import octokit from "@octokit/webhooks-examples" with { type: "json" };
import { sign, verify } from "@octokit/webhooks-methods";
import { check } from "./harness/cases.mjs";
import { post, secret, source } from "./sources.mjs";

/** Requests under way at once. */
const SENDERS = 4;

check("every example of GitHub arrives byte for byte", async () => {
  const of = await source("github");
  const all = octokit.flatMap(({ name, examples }) =>
    examples.map((example, number) => {
      // In three ways to write it, as it is the bytes that count and not what they mean.
      const text = JSON.stringify(example, null, [0, 2, "\t"][number % 3]);
      return { name, text, delivery: randomUUID() };
    }),
  );
  assert.equal(all.length, 329);
  const waiting = [...all];
  const send = async () => {
    for (let one = waiting.pop(); one; one = waiting.pop()) {
      const headers = {
        "content-type": "application/json",
        "x-github-event": one.name,
        "x-github-delivery": one.delivery,
        "x-hub-signature-256": await sign(secret, one.text),
      };
      assert.equal(await post(of, { headers, body: one.text }), 200, one.name);
    }
  };
  await Promise.all(Array.from({ length: SENDERS }, send));

  await of.place.wait(all.length, 60_000);
  assert.equal(of.place.deliveries.length, all.length);
  const arrived = new Map(
    of.place.deliveries.map((one) => [one.headers["x-github-delivery"], one]),
  );
  for (const { name, text, delivery } of all) {
    const { headers, body } = arrived.get(delivery);
    assert.ok(body.equals(Buffer.from(text)), name);
    assert.equal(headers["x-github-event"], name);
    assert.equal(headers["ringback-event-id"], delivery);
    assert.ok(await verify(secret, body.toString(), headers["x-hub-signature-256"]), name);
  }
});
