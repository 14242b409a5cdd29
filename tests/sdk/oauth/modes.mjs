// How authorization requests and responses travel: forms, signed responses, pushed and signed requests.

import assert from "node:assert/strict";
import { check } from "./harness/cases.mjs";
import { instead, keys, opened, response, sign, unsigned } from "./authority.mjs";
import { Flow, client, connected, page, server, shared, turnedAway } from "./gateway.mjs";
import { changed } from "./state.mjs";

/** A client whose server answers in this way. */
const answering = (responseMode, as) =>
  client({ as, wanted: { settings: { issuer: as.issuer, responseMode } } });

check("OAuth-form-post-2 the response comes as a form (case 31)", async () => {
  const flow = await Flow.begin(await answering("form_post", await server()));
  const response = await flow.back();
  assert.equal(flow.asked.get("response_mode"), "form_post");
  assert.ok(response.form.get("code"), "the form has the code");
  assert.equal(new URL(response.url).search, "");
  const { landed } = await flow.bring(response);
  flow.confirmation = landed.searchParams.get("confirmation");
  assert.equal((await flow.confirm()).status, 200);
  assert.equal(flow.exchanges, 1);
});

check("9110-9.3 GET and POST alone, and no prefetch uses anything up (case 32)", async () => {
  const flow = await Flow.begin();
  for (const headers of [
    { "sec-purpose": "prefetch" },
    { "sec-purpose": "prefetch;prerender" },
    { purpose: "prefetch" },
    { "x-moz": "prefetch" },
  ]) {
    const answer = await fetch(flow.authorization.url, { headers, redirect: "manual" });
    assert.equal(answer.headers.get("location"), null, "nobody is sent to the server");
  }
  await fetch(flow.authorization.url, { method: "HEAD", redirect: "manual" });
  const response = await flow.back();
  for (const method of ["HEAD", "OPTIONS", "PUT", "DELETE", "PATCH"]) {
    const answer = await fetch(response.url, { method, redirect: "manual" });
    assert.ok(method === "OPTIONS" || answer.status !== 303, `${method}: ${answer.status}`);
    assert.equal(answer.headers.get("location"), null, method);
    if (["PUT", "DELETE", "PATCH"].includes(method)) assert.equal(answer.status, 405, method);
  }
  for (const headers of [
    { "sec-purpose": "prefetch;prerender" },
    { purpose: "prefetch" },
    { "x-moz": "prefetch" },
  ]) {
    const answer = await fetch(response.url, { headers, redirect: "manual" });
    assert.equal(answer.headers.get("location"), null, JSON.stringify(headers));
  }
  assert.equal(await flow.status(), "pending");
  await flow.nothingCame();
  assert.ok((await flow.bring(response)).landed, "the person themselves");
});

check("JARM-2.4 a signed response is taken (case 33)", async () => {
  const flow = await Flow.begin(await answering("query.jwt", await server()));
  const response = await flow.back();
  assert.match(flow.asked.get("response_mode"), /jwt$/);
  assert.deepEqual([...new URL(response.url).searchParams.keys()], ["response"]);
  assert.ok(await flow.connect());
});

const soon = () => Math.floor(Date.now() / 1000);
const FORGED = {
  "another aud": (claims) => sign({}, { ...claims, aud: "another-client" }),
  "no aud": ({ aud, ...claims }) => sign({}, claims),
  "another iss": (claims) => sign({}, { ...claims, iss: "https://evil.localhost" }),
  expired: (claims) => sign({}, { ...claims, exp: soon() - 3600 }),
  "no exp": ({ exp, ...claims }) => sign({}, claims),
  "a stranger's signature": (claims) => sign({}, claims, keys.stranger),
  "no signature": (claims) => unsigned(claims),
  "another code": (claims, honest) => {
    const [header, , signature] = honest.split(".");
    return [
      header,
      Buffer.from(JSON.stringify({ ...claims, code: "another" })).toString("base64url"),
      signature,
    ].join(".");
  },
};
for (const [name, make] of Object.entries(FORGED)) {
  check(`JARM-2.4 a signed response with ${name}: refused, no token request (case 33)`, async () => {
    const as = await server({ host: "127.0.0.3" });
    as.lie(
      "authorize",
      response(async (params) => {
        const honest = params.get("response");
        if (honest) params.set("response", await make(opened(honest).claims, honest));
      }),
    );
    const flow = await Flow.begin(await answering("query.jwt", as));
    turnedAway(await flow.bring(await flow.back()));
    await flow.nothingCame();
  });
}

check("JARM-2.4 a plain response where a signed one was asked for: refused (case 33)", async () => {
  const flow = await Flow.begin(await answering("query.jwt", await server()));
  const honest = await flow.back();
  const plain = changed(honest, (fields) => {
    const { code, state, iss } = opened(fields.get("response")).claims;
    fields.delete("response");
    for (const [name, value] of Object.entries({ code, state, iss })) fields.set(name, value);
  });
  turnedAway(await flow.bring(plain));
  await flow.nothingCame();
});

const PUSHED = { pushedAuthorizationRequests: { enabled: true, requirePushedAuthorizationRequests: true } };

check("9126-4 a pushed request: its request_uri is used once, with the client's id (case 34)", async () => {
  const set = await client({ as: await server({ features: PUSHED }) });
  const flow = await Flow.begin(set);
  const first = await flow.person.ask(flow.authorization.url);
  const second = await flow.person.ask(flow.authorization.url);
  const uris = [first, second].map(({ headers }) => new URL(headers.get("location")).searchParams);
  for (const params of uris) {
    assert.deepEqual([...params.keys()].sort(), ["client_id", "request_uri"]);
    assert.equal(params.get("client_id"), set.registered.client_id);
  }
  assert.notEqual(uris[0].get("request_uri"), uris[1].get("request_uri"), "each is used once");
  assert.ok(await flow.connect());
  for (const push of set.as.requests("push")) {
    assert.equal(push.client, set.registered.client_id);
    assert.ok(push.headers.authorization || push.form.get("client_secret"), "the client proves itself");
    assert.equal(push.form.get("code_challenge_method"), "S256");
  }
});

check("9126-2.3 a server that takes no pushed request: nobody is sent anywhere (case 34)", async () => {
  const as = await server({ features: PUSHED });
  as.lie("push", instead(400, { error: "invalid_request" }));
  const flow = await Flow.begin(await client({ as }));
  const answer = await flow.person.ask(flow.authorization.url);
  const location = answer.headers.get("location");
  assert.ok(!location?.startsWith(as.issuer), "and not to the server with the request in the open");
  assert.deepEqual(as.requests("authorize"), []);
});

const SIGNED = { requestObjects: { enabled: true, requireSignedRequestObject: true } };

/** A client that signs, at a server that wants it. */
async function signing(as) {
  const { d, p, q, dp, dq, qi, ...open } = keys.rotated;
  return client({
    as,
    wanted: {
      clientSecret: undefined,
      clientAuth: "private_key_jwt",
      signingKey: JSON.stringify(keys.rotated),
    },
    metadata: {
      client_secret: undefined,
      token_endpoint_auth_method: "private_key_jwt",
      token_endpoint_auth_signing_alg: "RS256",
      request_object_signing_alg: "RS256",
      jwks: { keys: [open] },
    },
  });
}

check("9101-6.2 a signed request, which the server verifies (case 35)", async () => {
  const set = await signing(await server({ features: SIGNED }));
  const flow = await Flow.begin(set);
  assert.ok(await flow.connect());
  const request = set.as.requests("authorize").find(({ query }) => query.get("request"));
  const { header, claims } = opened(request.query.get("request"));
  assert.equal(header.typ, "oauth-authz-req+jwt");
  assert.equal(claims.iss, set.registered.client_id);
  assert.equal(claims.aud, set.as.issuer);
  assert.ok(claims.exp - soon() <= 600);
  assert.equal(request.query.get("state"), null, "what is signed is not said in the open, too");
});

check(
  "9101-10.8 what proves the client is no signed request, and the other way round (case 35)",
  async () => {
    const set = await signing(await server({ features: SIGNED }));
    const flow = await Flow.begin(set);
    await flow.connect();
    const assertion = set.as.tokenRequests()[0].form.get("client_assertion");
    const object = set.as
      .requests("authorize")
      .find(({ query }) => query.get("request"))
      .query.get("request");
    assert.notEqual(opened(assertion).header.typ, opened(object).header.typ);
    assert.equal(
      opened(object).claims.sub,
      undefined,
      "a request object with sub would prove the client (9101-10.8)",
    );
    assert.ok(opened(assertion).claims.jti);
    // The server takes neither for the other.
    const { client_id } = set.registered;
    const asked = await fetch(
      `${set.as.issuer}/auth?${new URLSearchParams({ client_id, request: assertion })}`,
      { redirect: "manual" },
    );
    assert.ok(asked.status >= 400, String(asked.status));
    const form = new URLSearchParams({
      grant_type: "client_credentials",
      client_assertion_type: "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
      client_assertion: object,
    });
    const proved = await fetch(`${set.as.issuer}/token`, { method: "POST", body: form });
    assert.ok(proved.status >= 400, String(proved.status));
  },
);

check("7523-3 private_key_jwt proves the client, each assertion once", async () => {
  const set = await signing(await server());
  const flow = await connected(set);
  const refreshed = await shared.call("POST", `/api/v1/connection/${flow.connection.id}/refresh`);
  assert.equal(refreshed.status, 200, refreshed.text);
  const assertions = set.as.requests("token").map(({ form }) => opened(form.get("client_assertion")).claims);
  assert.equal(assertions.length, 2);
  assert.notEqual(assertions[0].jti, assertions[1].jti);
  for (const { iss, sub, aud, exp } of assertions) {
    assert.deepEqual([iss, sub], [set.registered.client_id, set.registered.client_id]);
    assert.ok([set.as.issuer, `${set.as.issuer}/token`].includes(String(aud)), String(aud));
    assert.ok(exp - soon() <= 300);
  }
});

check("OAuth-form-post-2 a form that is no authorization response: 400 page (case 31)", async () => {
  const flow = await Flow.begin(await answering("form_post", await server()));
  await flow.back();
  const url = flow.client.redirectUri;
  for (const body of ["", "x".repeat(200_000), '{"code": "made-up"}', "\u0000\u0001"]) {
    const answer = await fetch(url, {
      method: "POST",
      body,
      headers: { "content-type": "application/x-www-form-urlencoded" },
      redirect: "manual",
    });
    assert.ok(answer.status === 400 || answer.status === 413, String(answer.status));
  }
  const json = await fetch(url, {
    method: "POST",
    body: JSON.stringify({ state: flow.asked.get("state"), code: "made-up" }),
    headers: { "content-type": "application/json" },
    redirect: "manual",
  });
  assert.ok(json.status >= 400 && json.status < 500, String(json.status));
  await flow.nothingCame();
});
