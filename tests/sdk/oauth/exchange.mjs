// The token endpoint: an adversary at worst, and of many dialects at best.

import assert from "node:assert/strict";
import { createServer } from "node:http";
import { Events, OAuth2Server } from "oauth2-mock-server";
import { check, slow } from "./harness/cases.mjs";
import { instead, json } from "./authority.mjs";
import { Flow, client, connected, server, shared } from "./gateway.mjs";

/** Whoever comes here was led astray. */
async function trap(host = "127.0.0.3") {
  const made = { asked: 0 };
  const server = createServer((request, response) => {
    made.asked += 1;
    response.end("{}");
  });
  await new Promise((resolve) => server.listen(0, host, resolve));
  return Object.assign(made, {
    url: `http://${host}:${server.address().port}/token`,
    close: () => server.close(),
  });
}

/** A flow whose code is exchanged at a server that answers like this; what the application is told. */
async function exchanged(lie) {
  const as = await server({ host: "127.0.0.3" });
  as.lie("token", lie);
  const flow = await Flow.begin(await client({ as }));
  await flow.land();
  const started = performance.now();
  const answer = await flow.confirm();
  return { as, flow, answer, took: performance.now() - started };
}

async function refused(lie) {
  const { as, flow, answer, took } = await exchanged(lie);
  assert.ok(answer.status >= 400, answer.text);
  await flow.nothingCame(1);
  assert.equal(await flow.status(), "failed");
  return { as, flow, answer, took };
}

check("6749-3.2 a token endpoint that redirects is not followed (case 43)", async () => {
  for (const status of [301, 302, 303, 307, 308]) {
    const elsewhere = await trap();
    await refused(instead(status, "", { location: elsewhere.url }));
    assert.equal(elsewhere.asked, 0);
    elsewhere.close();
  }
});

check("6749-3.2 an answer without end is not read to its end (case 43)", async () => {
  let sent = 0;
  async function* flood() {
    yield `{"access_token": "`;
    for (; sent < 1 << 28; sent += 1 << 16) yield "a".repeat(1 << 16);
  }
  const { answer } = await refused((answer) => {
    delete answer.headers["content-length"];
    answer.body = flood();
  });
  assert.ok(sent < 16 << 20, `${sent} bytes were taken`);
  assert.ok(answer.text.length < 4096);
});

slow("6749-3.2 an answer that trickles is not waited for (case 43)", async () => {
  async function* trickle() {
    for (let second = 0; second < 120; second += 1) {
      yield " ";
      await new Promise((wake) => setTimeout(wake, 1000));
    }
  }
  const { took } = await refused((answer) => {
    answer.body = trickle();
  });
  assert.ok(took < 60_000, `it took ${took} ms`);
});

check("9700-4.11 endpoints are dialled only where the policy allows it (case 43)", async () => {
  const inside = await trap("127.0.0.66");
  const as = await server();
  const set = await client({ as });
  // Metadata of an honest host may name any endpoint.
  as.lie(
    "metadata",
    json((document) => {
      for (const name of ["token_endpoint", "jwks_uri", "userinfo_endpoint"]) document[name] = inside.url;
    }),
  );
  const flow = await shared.call("POST", "/api/v1/authorization", {
    client: set.client.id,
    userRef: "ada",
    scopes: ["openid"],
    returnTo: "http://app.localhost/connected",
  });
  if (flow.status < 300) {
    const begun = new Flow({ ...set, userRef: "ada", authorization: flow.body });
    const answer = await begun.person.go(flow.body.url);
    begun.confirmation = answer.landed?.searchParams.get("confirmation");
    if (begun.confirmation) assert.ok((await begun.confirm()).status >= 400);
    assert.deepEqual(await begun.connections(), []);
  }
  // Nor is an issuer inside asked for its metadata.
  const application = await shared.application();
  const issuer = new URL(inside.url).origin;
  const made = await shared.call("POST", "/api/v1/oauth-client", {
    application,
    provider: "openid",
    settings: { issuer },
    clientId: "x",
    clientSecret: "y",
  });
  if (made.status < 300) {
    const wanted = { client: made.body.id, userRef: "ada", returnTo: "http://app.localhost/connected" };
    const begun = await shared.call("POST", "/api/v1/authorization", wanted);
    if (begun.status < 300) await fetch(begun.body.url, { redirect: "manual" });
  }
  assert.equal(inside.asked, 0, "something inside was asked");
  inside.close();
});

check("6749-2.3.1 the id and the secret are form-urlencoded before Basic (case 44)", async () => {
  const odd = {
    // All that the RFC lets them be made of (appendix A): visible ASCII and blanks.
    client_id: `a client: 100% "x" +&=?/\\~${Date.now()}`,
    secret: "made up: s%cret+with/=~ and : and %2B",
  };
  const as = await server();
  const set = await client({
    as,
    wanted: { clientId: odd.client_id, clientSecret: odd.secret, clientAuth: "client_secret_basic" },
    metadata: {
      client_id: odd.client_id,
      client_secret: odd.secret,
      token_endpoint_auth_method: "client_secret_basic",
    },
  });
  const flow = await connected(set);
  assert.ok(flow.connection);
  const [{ headers, form }] = as.tokenRequests();
  assert.match(headers.authorization, /^Basic /);
  assert.equal(form.get("client_secret"), null, "one way at a time");
});

check("6749-2.3.1 the secret in the body, where the server wants it there (case 44)", async () => {
  const set = await client({
    wanted: { clientAuth: "client_secret_post" },
    metadata: { token_endpoint_auth_method: "client_secret_post" },
  });
  await connected(set);
  const [{ headers, form }] = set.as.tokenRequests();
  assert.equal(headers.authorization, undefined);
  assert.equal(form.get("client_secret"), set.registered.client_secret);
});

/** The access token of a connection, as an application is given it. */
const told = async ({ connection }) => await shared.ask("GET", `/api/v1/connection/${connection.id}/token`);

check("6749-5.1 an answer in form encoding, as GitHub's (case 45)", async () => {
  const as = await server();
  as.lie("token", (answer) => {
    const { access_token, scope } = JSON.parse(answer.body);
    answer.headers = { "content-type": "application/x-www-form-urlencoded; charset=utf-8" };
    answer.body = Buffer.from(String(new URLSearchParams({ access_token, scope, token_type: "bearer" })));
  });
  const set = await plain(as);
  const flow = await connected(set, { scopes: ["email"] });
  const { accessToken } = await told(flow);
  assert.equal(accessToken, opaque(as));
});

/** A client that knows its server by its endpoints alone. */
const plain = (as, settings = {}) =>
  client({
    as,
    wanted: {
      provider: "oauth2",
      settings: { authorizationUrl: `${as.issuer}/auth`, tokenUrl: `${as.issuer}/token`, ...settings },
    },
  });

/** The access token that the server itself has issued last. */
const opaque = (as) => JSON.parse(as.tokenRequests().at(-1).answer.body).access_token;

/** A mock that answers with whatever it is told. */
async function mock(change) {
  const as = new OAuth2Server();
  await as.issuer.keys.generate("RS256");
  await as.start(0, "127.0.0.2");
  as.issuer.url = `http://127.0.0.2:${as.address().port}`;
  as.service.on(Events.BeforeResponse, (response, request) => change(response.body, request));
  const requests = [];
  as.service.on(Events.BeforeTokenSigning, (_, request) => requests.push(request.body));
  return {
    issuer: as.issuer.url,
    requests: () => [],
    tokenRequests: () => requests,
    register: async (metadata) => metadata,
    close: () => as.stop(),
  };
}

for (const [name, change, within] of [
  ["expires_in as a string", (body) => void (body.expires_in = "1800"), 1800],
  ["expires_in as a fraction", (body) => void (body.expires_in = 1800.5), 1800],
  ["no token_type", (body) => void delete body.token_type, 3600],
  ["token_type in capitals", (body) => void (body.token_type = "BEARER"), 3600],
  [
    "an empty refresh_token and null scope",
    (body) => Object.assign(body, { refresh_token: "", scope: null }),
    3600,
  ],
  ["no expires_in", (body) => void delete body.expires_in, undefined],
  ["expires_in null", (body) => void (body.expires_in = null), undefined],
]) {
  check(`6749-5.1 an answer with ${name} (case 45)`, async () => {
    const as = await mock(change);
    const { connection } = await connected(await client({ as }));
    const { accessToken, tokenType, expiresAt } = await told({ connection });
    assert.match(accessToken, /^[\w-]+\.[\w-]+\.[\w-]+$/);
    assert.equal(tokenType.toLowerCase(), "bearer");
    if (within === undefined) assert.equal(expiresAt ?? null, null);
    else assert.ok(Math.abs(new Date(expiresAt) - Date.now() - within * 1000) < 30_000, expiresAt);
    await as.close();
  });
}

for (const [name, lie] of [
  ["no access_token", json((body) => void delete body.access_token)],
  ["an access_token that is no text", json((body) => void (body.access_token = { a: 1 }))],
  [
    "an error in a 200",
    instead(200, { error: "bad_verification_code", error_description: "The code is incorrect" }),
  ],
  ["a page", instead(200, "<!doctype html><h1>Maintenance</h1>", { "content-type": "text/html" })],
  ["half of its JSON", (answer) => void (answer.body = answer.body.subarray(0, answer.body.length / 2))],
  ["nothing", instead(200, "")],
  ["a closed connection", (answer) => void (answer.body = undefined)],
  ["nonsense about expiry", json((body) => void (body.expires_in = "soon"))],
]) {
  check(`6749-5.2 a token response with ${name} (case 45)`, async () => {
    if (name === "nonsense about expiry") {
      // No reason to lose a grant: it is as if nothing was said.
      const { answer } = await exchanged(lie);
      assert.equal(answer.status, 200, answer.text);
    } else {
      await refused(lie);
    }
  });
}

check("6749-5.1 fewer scopes than were asked for are shown (case 46)", async () => {
  const as = await server({ granted: ["openid", "files:read"] });
  const flow = await connected(await client({ as }), { scopes: ["openid", "files:read", "files:write"] });
  const connection = await shared.connection(flow.connection.id);
  assert.deepEqual([...connection.scopes].sort(), ["files:read", "openid"]);
  assert.deepEqual([...(await told(flow)).scopes].sort(), ["files:read", "openid"]);
  const { scopes } = await shared.authorization(flow.authorization.id);
  assert.ok(scopes.includes("files:write"), "what was asked for is still known");
});

check("6749-5.1 no scope in the answer: what was asked for is granted (case 46)", async () => {
  const as = await server();
  as.lie(
    "token",
    json((body) => void delete body.scope),
  );
  const flow = await connected(await client({ as }), { scopes: ["openid", "email"] });
  assert.deepEqual([...(await shared.connection(flow.connection.id)).scopes].sort(), ["email", "openid"]);
});
