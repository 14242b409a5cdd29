// Applications that are not on the web: on this machine, or behind a scheme of their own.

import assert from "node:assert/strict";
import { check } from "./harness/cases.mjs";
import { Flow, client, shared } from "./gateway.mjs";

/** A flow that ends at a native application; where the browser is sent on to. */
async function comesHomeTo(set, returnTo) {
  const flow = await Flow.begin(set, { returnTo });
  const response = await flow.back();
  const answer = await flow.person.ask(response.url);
  assert.equal(answer.status, 303, answer.text);
  const location = answer.headers.get("location");
  assert.ok(location.startsWith(`${returnTo}?`), location);
  flow.confirmation = new URL(location).searchParams.get("confirmation");
  assert.equal((await flow.confirm()).status, 200);
}

check("8252-7.3 an application on loopback may have any port (case 56)", async () => {
  const set = await client();
  for (const port of [1024, 49_152, 65_535]) await comesHomeTo(set, `http://127.0.0.1:${port}/native`);
  for (const returnTo of [
    "http://127.0.0.1:49152/other",
    "http://127.0.0.2:49152/native",
    "https://127.0.0.1:49152/native",
    "http://localhost:49152/native",
    "http://127.0.0.1:49152/native/",
    "http://127.0.0.1:49152@evil.localhost/native",
    "http://127.0.0.1:99999/native",
    "http://app.localhost:49152/connected",
  ]) {
    const answer = await shared.call("POST", "/api/v1/authorization", {
      client: set.client.id,
      userRef: "ada",
      returnTo,
    });
    assert.equal(answer.status, 422, `${returnTo}: ${answer.text}`);
  }
});

check("8252-7.1 an application may have a scheme of its own (case 56)", async () => {
  const set = await client();
  await comesHomeTo(set, "com.example.app:/connected");
  for (const returnTo of [
    "com.example.app:/other",
    "com.example.app://connected",
    "com.example.other:/connected",
    "javascript:/connected",
  ]) {
    const answer = await shared.call("POST", "/api/v1/authorization", {
      client: set.client.id,
      userRef: "ada",
      returnTo,
    });
    assert.equal(answer.status, 422, `${returnTo}: ${answer.text}`);
  }
});
