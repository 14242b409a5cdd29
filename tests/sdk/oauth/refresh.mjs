// Tokens that stay fresh: one refresh at a time, none lost, and nobody is asked again without need.

import assert from "node:assert/strict";
import { check, slow } from "./harness/cases.mjs";
import { instead, json } from "./authority.mjs";
import { Flow, Gateway, client, connected, home, server, shared } from "./gateway.mjs";

/** A connection whose access token has been good for nothing since it was made, at a server that rotates. */
async function stale(options = {}) {
  const as = await server();
  as.life = 1;
  const flow = await connected(await client({ as, ...options }));
  as.life = 3600;
  await new Promise((wake) => setTimeout(wake, new Date(flow.connection.expiresAt) - Date.now()));
  flow.refreshes = () => as.tokenRequests("refresh_token");
  flow.token = () => flow.gateway.token(flow.connection.id);
  flow.state = async () => (await flow.gateway.connection(flow.connection.id)).status;
  /** What the server says of an access token. */
  flow.isGood = async (token) => {
    const answer = await fetch(`${as.issuer}/me`, { headers: { authorization: `Bearer ${token}` } });
    return answer.status === 200;
  };
  return flow;
}

/** Asks for the token until the gateway no longer says that the server is away; what it says then. */
async function patiently(flow, within = 60_000) {
  for (const deadline = Date.now() + within; ;) {
    const answer = await flow.token();
    if (answer.status !== 503 || Date.now() > deadline) return answer;
    const after = Number(answer.headers.get("retry-after"));
    await new Promise((wake) => setTimeout(wake, after * 1000));
  }
}

/** A promise, and what fulfils it. */
function signal() {
  const made = {};
  made.promise = new Promise((resolve) => (made.resolve = resolve));
  return made;
}

/** All of them have the one token that the server has issued last, and it is good. */
async function oneToken(flow, answers) {
  const statuses = answers.map(({ status }) => status);
  assert.ok(
    statuses.every((status) => status === 200),
    statuses.join(),
  );
  const tokens = new Set(answers.map(({ body }) => body.accessToken));
  assert.equal(tokens.size, 1, "all have the same");
  const [token] = tokens;
  assert.equal(token, JSON.parse(flow.refreshes().at(-1).answer.body).access_token);
  assert.ok(await flow.isGood(token));
}

check("9700-4.14.2 100 reads at once with rotation: one refresh (case 47)", async () => {
  const flow = await stale();
  const answers = await Promise.all(Array.from({ length: 100 }, flow.token));
  await oneToken(flow, answers);
  assert.equal(flow.refreshes().length, 1);
  await oneToken(flow, await Promise.all(Array.from({ length: 20 }, flow.token)));
  assert.equal(flow.refreshes().length, 1, "it is fresh now");
  assert.equal((await shared.connection(flow.connection.id)).version, 2);
});

check("6749-6 rotated refresh tokens are used in turn, each once (case 47)", async () => {
  const flow = await stale();
  for (let turn = 0; turn < 5; turn += 1) {
    const answer = await shared.call("POST", `/api/v1/connection/${flow.connection.id}/refresh`);
    assert.equal(answer.status, 200, answer.text);
  }
  const used = flow.refreshes().map(({ form }) => form.get("refresh_token"));
  assert.equal(used.length, 5);
  assert.equal(new Set(used).size, 5);
  const issued = flow.as.requests("token").map(({ answer }) => JSON.parse(answer.body).refresh_token);
  assert.deepEqual(used, issued.slice(0, 5), "always the one that was issued last");
  await oneToken(flow, [await flow.token()]);
});

slow("9700-4.14.2 a token endpoint that is slower than the lease: still one refresh (case 48)", async () => {
  const gateway = await new Gateway({ RINGBACK_OAUTH_REFRESH_LEASE: "3" }).start();
  const flow = await stale({ gateway });
  const [asked, answered] = [signal(), signal()];
  flow.as.lie("token", () => (asked.resolve(), answered.promise));
  const first = Array.from({ length: 20 }, flow.token);
  await asked.promise;
  const lease = new Promise((wake) => setTimeout(wake, 4000));
  await lease;
  const second = Array.from({ length: 20 }, flow.token);
  // Those had their time to take the lease, if it can be taken.
  await new Promise((wake) => setTimeout(wake, 1000));
  answered.resolve();
  await oneToken(flow, await Promise.all([...first, ...second]));
  assert.equal(flow.refreshes().length, 1);
  await gateway.stop();
});

slow(
  "6749-6 killed after the server has answered: found out, and the person is asked again (case 49)",
  async () => {
    const gateway = await new Gateway({ RINGBACK_OAUTH_REFRESH_LEASE: "2" }).start();
    const flow = await stale({ gateway });
    // The server has rotated; the gateway dies before it hears of it.
    flow.as.lie("token", async (answer) => {
      await gateway.kill();
      answer.body = undefined;
    });
    await assert.rejects(flow.token());
    assert.equal(flow.refreshes().length, 1);
    assert.equal(flow.refreshes()[0].answer.status, 200);
    flow.as.relent();
    await gateway.start();
    const answer = await patiently(flow);
    assert.equal(answer.status, 409, answer.text);
    assert.match(answer.text, /reauthorization_required/);
    assert.equal(await flow.state(), "reauthorization_required");
    assert.ok(flow.refreshes().length <= 2, "the doubtful one is tried once");
    for (let turn = 0; turn < 5; turn += 1) assert.equal((await flow.token()).status, 409);
    assert.ok(flow.refreshes().length <= 2, "and then no more");
    // It becomes good again in place.
    const again = await reauthorize(flow);
    assert.equal(again.id, flow.connection.id);
    assert.equal((await flow.token()).status, 200);
    await gateway.stop();
  },
);

slow("6749-6 killed before the server was asked: nothing is lost (case 49)", async () => {
  const gateway = await new Gateway({ RINGBACK_OAUTH_REFRESH_LEASE: "2" }).start();
  const flow = await stale({ gateway });
  // The request arrives, but does nothing there.
  flow.as.lie("before token", gateway.kill);
  await assert.rejects(flow.token());
  flow.as.relent();
  await gateway.start();
  const answer = await patiently(flow);
  await oneToken(flow, [answer]);
  assert.equal(flow.refreshes().length, 2, "the one that came to nothing, and the one that did not");
  await gateway.stop();
});

/** The person consents once more to the same connection. */
async function reauthorize(flow) {
  const { gateway, as, application, client, registered, userRef } = flow;
  const again = new Flow({ gateway, as, application, client, registered, userRef });
  again.authorization = await gateway.ask("POST", `/api/v1/connection/${flow.connection.id}/reauthorize`, {
    userRef,
    returnTo: home,
  });
  return again.connect();
}

check(
  "9700-4.14.2 invalid_grant for a token that is no longer the stored one: the stored one is told (case 50)",
  async () => {
    const flow = await stale();
    const [asked, answered] = [signal(), signal()];
    flow.as.lie("token", async (answer, { form }) => {
      if (form.get("grant_type") !== "refresh_token") return;
      asked.resolve();
      await answered.promise;
      instead(400, { error: "invalid_grant" })(answer);
    });
    const read = flow.token();
    await asked.promise;
    // Meanwhile somebody else has stored newer ones.
    await reauthorize(flow);
    answered.resolve();
    const answer = await read;
    assert.equal(answer.status, 200, answer.text);
    assert.ok(await flow.isGood(answer.body.accessToken));
    assert.equal(await flow.state(), "active");
  },
);

check("6749-5.2 invalid_grant for the stored token: the person has to be asked again (case 50)", async () => {
  const flow = await stale();
  flow.as.forget();
  const answer = await flow.token();
  assert.equal(answer.status, 409, answer.text);
  assert.match(answer.text, /reauthorization_required/);
  assert.equal(await flow.state(), "reauthorization_required");
  await Promise.all(Array.from({ length: 10 }, flow.token));
  assert.equal(flow.refreshes().length, 1, "the server is left alone");
});

for (const [name, lie] of [
  ["500", instead(500, { error: "server_error" })],
  ["502 with a page", instead(502, "<h1>Bad gateway</h1>", { "content-type": "text/html" })],
  ["503", instead(503, { error: "temporarily_unavailable" }, { "retry-after": "1" })],
  ["429", instead(429, { error: "slow_down" }, { "retry-after": "1" })],
  ["a closed connection", (answer) => void (answer.body = undefined)],
  ["500 that says invalid_grant", instead(500, { error: "invalid_grant" })],
]) {
  check(`6749-5.2 ${name} is no revocation (case 51)`, async () => {
    const flow = await stale();
    flow.as.lie("token", lie);
    const answer = await flow.token();
    assert.equal(answer.status, 503, answer.text);
    assert.ok(Number(answer.headers.get("retry-after")) > 0, "it says when to come again");
    assert.equal(await flow.state(), "active");
    const { length } = flow.refreshes();
    assert.ok(length >= 1 && length <= 3, `${length} refreshes`);
  });
}

slow("6749-5.2 after an outage tokens are fresh again (case 51)", async () => {
  const flow = await stale();
  // It fails before the server has rotated anything.
  flow.as.lie("before token", instead(503, { error: "temporarily_unavailable" }, { "retry-after": "1" }));
  assert.equal((await flow.token()).status, 503);
  flow.as.relent();
  await oneToken(flow, [await patiently(flow)]);
});

check("6749-5.2 while the server is away, a token that is still good is told (case 51)", async () => {
  const as = await server();
  const flow = await connected(await client({ as }));
  as.lie("token", instead(503, { error: "temporarily_unavailable" }));
  const forced = await shared.call("POST", `/api/v1/connection/${flow.connection.id}/refresh`);
  assert.ok(forced.status >= 500, forced.text);
  const answer = await shared.token(flow.connection.id);
  assert.equal(answer.status, 200, answer.text);
  assert.equal(answer.body.accessToken, JSON.parse(as.tokenRequests()[0].answer.body).access_token);
});

check("6749-6 a response without refresh_token keeps the old one (case 52)", async () => {
  const as = await server({ configuration: { rotateRefreshToken: () => false } });
  as.lie(
    "token",
    json((body, { form }) => {
      if (form.get("grant_type") === "refresh_token") delete body.refresh_token;
    }),
  );
  const { connection } = await connected(await client({ as }));
  for (let turn = 0; turn < 3; turn += 1) {
    assert.equal((await shared.call("POST", `/api/v1/connection/${connection.id}/refresh`)).status, 200);
  }
  const used = as.tokenRequests("refresh_token").map(({ form }) => form.get("refresh_token"));
  const issued = JSON.parse(as.tokenRequests()[0].answer.body).refresh_token;
  assert.deepEqual(used, [issued, issued, issued]);
});

check("7009-2.1 revoking ends the refresh token and the access token (case 53)", async () => {
  const flow = await connected(await client());
  const { body } = await shared.token(flow.connection.id);
  const issued = JSON.parse(flow.as.tokenRequests()[0].answer.body);
  const answer = await shared.call("POST", `/api/v1/connection/${flow.connection.id}/revoke`);
  assert.ok(answer.status < 300, answer.text);
  const revoked = flow.as.requests("revoke").map(({ form }) => form.get("token"));
  assert.deepEqual(new Set(revoked), new Set([issued.refresh_token, issued.access_token]));
  const me = await fetch(`${flow.as.issuer}/me`, {
    headers: { authorization: `Bearer ${body.accessToken}` },
  });
  assert.equal(me.status, 401, "it is good for nothing");
  const read = await shared.token(flow.connection.id);
  assert.equal(read.status, 409);
  assert.match(read.text, /connection_revoked/);
});

check("7009-2.2 a token that the server does not know is revoked, too (case 53)", async () => {
  const flow = await connected(await client());
  flow.as.forget();
  const answer = await shared.call("POST", `/api/v1/connection/${flow.connection.id}/revoke`);
  assert.ok(answer.status < 300, answer.text);
  assert.ok(flow.as.requests("revoke").every((request) => request.answer.status === 200));
  assert.equal((await shared.connection(flow.connection.id)).status, "revoked");
});

check(
  "7009-2.2.1 a server that cannot revoke now: the connection is over all the same (case 53)",
  async () => {
    const flow = await connected(await client());
    flow.as.lie("revoke", instead(503, { error: "temporarily_unavailable" }));
    await shared.call("POST", `/api/v1/connection/${flow.connection.id}/revoke`);
    assert.equal((await shared.token(flow.connection.id)).status, 409);
  },
);
