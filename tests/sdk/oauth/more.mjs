// Flows without a browser of the person's at the gateway, and registration.

import assert from "node:assert/strict";
import { check, eventually } from "./harness/cases.mjs";
import { Flow, client, connected, page, server, shared } from "./gateway.mjs";
import { Person } from "./person.mjs";

check("8628-3 a device flow: the person types the code elsewhere", async () => {
  const set = await client();
  const userRef = "device of ada";
  const begun = await shared.ask("POST", "/api/v1/authorization/device", {
    client: set.client.id,
    userRef,
    scopes: ["openid", "email"],
  });
  assert.ok(begun.userCode && begun.verificationUri.startsWith(set.as.issuer));
  const poll = () => shared.call("POST", `/api/v1/authorization/${begun.id}/poll`);
  const early = await poll();
  assert.equal(early.status, 202, early.text);
  assert.ok(Number(early.headers.get("retry-after")) > 0);
  const { length } = set.as.requests("token");
  assert.equal((await poll()).status, 202);
  assert.equal(set.as.requests("token").length, length, "the server is asked no sooner than it said");
  await new Person().go(begun.verificationUriComplete);
  const done = await eventually(poll, ({ status }) => status !== 202, 30_000);
  assert.equal(done.status, 200, done.text);
  const token = await shared.ask("GET", `/api/v1/connection/${done.body.granted.id}/token`);
  assert.equal(
    (await fetch(`${set.as.issuer}/me`, { headers: { authorization: `Bearer ${token.accessToken}` } }))
      .status,
    200,
  );
});

check("8628-3.5 a device flow that the person denies ends", async () => {
  const set = await client();
  const begun = await shared.ask("POST", "/api/v1/authorization/device", {
    client: set.client.id,
    userRef: "no",
    scopes: ["openid"],
  });
  const over = ({ text }) => text.includes("interrupted");
  await new Person({ decision: "deny" }).go(begun.verificationUriComplete, { over });
  const poll = () => shared.call("POST", `/api/v1/authorization/${begun.id}/poll`);
  const done = await eventually(poll, ({ status }) => status !== 202, 30_000);
  assert.ok(done.status >= 400, done.text);
  assert.equal((await shared.authorization(begun.id)).status, "failed");
});

check(
  "6749-4.4 client credentials: a connection of nobody, which is fresh again when it was too old",
  async () => {
    const set = await client();
    set.as.life = 1;
    const made = await shared.ask("POST", "/api/v1/connection", {
      client: set.client.id,
      scopes: [],
    });
    set.as.life = 3600;
    await new Promise((wake) => setTimeout(wake, new Date(made.expiresAt) - Date.now()));
    const answers = await Promise.all(Array.from({ length: 20 }, () => shared.token(made.id)));
    assert.ok(
      answers.every(({ status }) => status === 200),
      answers[0].text,
    );
    assert.equal(new Set(answers.map(({ body }) => body.accessToken)).size, 1);
    assert.equal(set.as.tokenRequests("client_credentials").length, 2);
  },
);

check("7591-3 a client registers itself", async () => {
  const as = await server();
  const application = await shared.application();
  const made = await shared.ask("POST", "/api/v1/oauth-client", {
    application,
    provider: "openid",
    settings: { issuer: as.issuer },
    name: "Self-made",
    register: true,
  });
  const [registration] = as.requests("register");
  assert.deepEqual(JSON.parse(registration.body).redirect_uris, [made.redirectUri]);
  const { client_id, client_secret } = JSON.parse(registration.answer.body);
  assert.equal(made.clientId, client_id);
  assert.ok(!JSON.stringify(made).includes(client_secret));
  const set = { gateway: shared, as, application, client: made, registered: { client_id, client_secret } };
  await connected(set);
});

check("a flow that is canceled is over: nothing is exchanged", async () => {
  const flow = await Flow.begin();
  const response = await flow.back();
  await shared.ask("POST", `/api/v1/authorization/${flow.authorization.id}/cancel`);
  const answer = await flow.bring(response);
  assert.equal(answer.landed?.searchParams.get("confirmation") ?? null, null);
  await flow.nothingCame();
});
