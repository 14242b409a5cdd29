// `ringback trigger`: what it signs is what the provider's library takes.

import assert from "node:assert/strict";
import { command, done, listening, source } from "./gateway.mjs";
import { check } from "./harness/cases.mjs";
import { place } from "./harness/receiver.mjs";
import { githubTakes, secret, stripeTakes } from "./providers.mjs";

check("trigger: through a source to whoever listens", async () => {
  await source("github-trigger", "github", secret);
  const to = place();
  const running = await listening("triggered", "github-trigger", "--forward", to.url, "--once", "1");
  await done(command("trigger", "github", "push", "--source", "github-trigger"));
  const [delivery] = await to.wait();
  assert.equal(delivery.headers["x-github-event"], "push");
  await githubTakes(delivery);
  await done(running);
});

check("trigger: to localhost, with a field set", async () => {
  const to = place();
  const words = ["trigger", "stripe", "payment_intent.succeeded", "--set", "amount=5000"];
  await done(command(...words, "--to", to.url, "--secret", secret));
  const event = stripeTakes(to.deliveries[0]);
  assert.equal(event.type, "payment_intent.succeeded");
  assert.equal(event.data.object.amount, 5000);
  await assert.rejects(
    done(command(...words, "--to", place(500).url, "--secret", secret)),
    /exit code 1/,
  );
});
