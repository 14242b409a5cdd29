// Who it is: ID tokens that are not what they should be, keys that change, a person of two names.

import assert from "node:assert/strict";
import { check, slow } from "./harness/cases.mjs";
import { confused, idToken, instead, json, keys, sign, unsigned } from "./authority.mjs";
import { Flow, client, connected, server } from "./gateway.mjs";

/** A flow at a server whose ID tokens are what `make` makes of the honest one's claims. */
async function identified(make, wanted) {
  const as = await server({ host: "127.0.0.3" });
  as.lie("token", idToken(make));
  return Flow.begin(await client({ as }), wanted);
}

/** No such ID token opens anything, be it for a connection or for a login. */
async function refused(make) {
  for (const purpose of ["connect", "login"]) {
    const flow = await identified(make, { purpose });
    await flow.land();
    const answer = await flow.confirm();
    assert.ok(answer.status >= 400, `${purpose}: ${answer.text}`);
    assert.equal(answer.body?.claims, undefined);
    await flow.nothingCame(1);
    assert.equal(await flow.status(), "failed");
  }
}

check("OIDC-Core-3.1.3.7 an ID token as it should be: its claims are told (case 27)", async () => {
  const flow = await Flow.begin(undefined, { purpose: "login" });
  await flow.land();
  const { status, body, text } = await flow.confirm();
  assert.equal(status, 200, text);
  assert.equal(body.claims.sub, "ada");
  assert.equal(body.claims.iss, flow.as.issuer);
  assert.equal(body.claims.email, "ada@app.localhost", "of the userinfo endpoint");
  assert.deepEqual(await flow.connections(), [], "a login stores nothing");
  assert.ok(flow.asked.get("nonce"));
  assert.notEqual(flow.asked.get("nonce"), flow.asked.get("state"));
});

check("OIDC-Core-3.1.3.7.11 nonce of another session, or none: refused (case 27)", async () => {
  await refused((claims) => sign({}, { ...claims, nonce: "another" }));
  await refused(({ nonce, ...claims }) => sign({}, claims));
});

const soon = () => Math.floor(Date.now() / 1000);
/** What becomes of the claims of an honest ID token. */
export const LIES = {
  "alg none": (claims) => unsigned(claims),
  "alg None": (claims) => unsigned(claims, "None"),
  "HMAC with the public key as PEM": (claims) => confused(claims, "pem"),
  "HMAC with the public key as JWK": (claims) => confused(claims, "jwk"),
  "a signature of a stranger under the same kid": (claims) => sign({}, claims, keys.stranger),
  "a signature that was cut off": (_, honest) => honest.replace(/\.[^.]*$/, "."),
  "claims that were changed": (claims, honest) => {
    const [header, , signature] = honest.split(".");
    return [
      header,
      Buffer.from(JSON.stringify({ ...claims, sub: "eve" })).toString("base64url"),
      signature,
    ].join(".");
  },
  "another aud": (claims) => sign({}, { ...claims, aud: "another-client" }),
  "no aud": ({ aud, ...claims }) => sign({}, claims),
  "several aud without azp": (claims) => sign({}, { ...claims, aud: [claims.aud, "another-client"] }),
  "another azp": (claims) =>
    sign({}, { ...claims, aud: [claims.aud, "another-client"], azp: "another-client" }),
  "another iss": (claims) => sign({}, { ...claims, iss: "https://evil.localhost" }),
  "iss with a slash": (claims) => sign({}, { ...claims, iss: `${claims.iss}/` }),
  "no sub": ({ sub, ...claims }) => sign({}, claims),
  expired: (claims) => sign({}, { ...claims, iat: soon() - 7200, exp: soon() - 3600 }),
  "no exp": ({ exp, ...claims }) => sign({}, claims),
  "not yet valid": (claims) => sign({}, { ...claims, nbf: soon() + 3600 }),
  "an at_hash of another access token": (claims) =>
    sign({}, { ...claims, at_hash: "AAAAAAAAAAAAAAAAAAAAAA" }),
  "no token at all": () => "not.a.token",
};
for (const [name, make] of Object.entries(LIES)) {
  check(`OIDC-Core-3.1.3.7 ID token with ${name}: refused (case 28)`, () => refused(make));
}

check("OIDC-Core-3.1.3.7 an answer without the ID token that was asked for: refused (case 28)", async () => {
  const as = await server({ host: "127.0.0.3" });
  as.lie(
    "token",
    json((body) => void delete body.id_token),
  );
  const flow = await Flow.begin(await client({ as }), { purpose: "login" });
  await flow.land();
  const answer = await flow.confirm();
  assert.ok(answer.status >= 400, answer.text);
  await flow.nothingCame(1);
});

/** From now on the server signs with a key that it publishes only if `published`. */
function rotate(as, published) {
  as.lie(
    "token",
    idToken((claims) => sign({}, claims, keys.rotated)),
  );
  if (!published) return;
  const { d, p, q, dp, dq, qi, ...open } = keys.rotated;
  as.lie(
    "jwks",
    json((set) => void (set.keys = [open])),
  );
}

slow("OIDC-Core-10.1.1 keys are rotated: fetched once more, and taken (case 29)", async () => {
  const set = await client();
  await connected(set);
  await connected(set);
  assert.equal(set.as.requests("jwks").length, 1, "known keys are not fetched for each token");
  // Keys that were fetched just now are not fetched again, whatever tokens say.
  await new Promise((wake) => setTimeout(wake, 11_000));
  rotate(set.as, true);
  await connected(set);
  await connected(set);
  assert.equal(set.as.requests("jwks").length, 2);
});

check(
  "OIDC-Core-10.1.1 a key that nobody knows: refused, and not asked for each time (case 29)",
  async () => {
    const set = await client();
    await connected(set);
    rotate(set.as, false);
    for (let number = 0; number < 5; number += 1) {
      const flow = await Flow.begin(set);
      await flow.land();
      const answer = await flow.confirm();
      assert.ok(answer.status >= 400, answer.text);
      assert.equal(await flow.status(), "failed");
      assert.deepEqual(await flow.connections(), []);
    }
    assert.ok(set.as.requests("jwks").length <= 2, "a stranger's tokens make nobody fetch");
  },
);

check("OIDC-Core-5.3.2 userinfo about somebody else: refused (case 30)", async () => {
  for (const purpose of ["connect", "login"]) {
    const as = await server({ host: "127.0.0.3" });
    as.lie(
      "userinfo",
      json((body) => void (body.sub = "eve")),
    );
    const flow = await Flow.begin(await client({ as }), { purpose });
    await flow.land();
    const answer = await flow.confirm();
    assert.ok(answer.status >= 400, answer.text);
    assert.doesNotMatch(answer.text, /eve/);
    await flow.nothingCame(1);
    assert.equal(as.requests("userinfo").length, 1);
  }
});

check("OIDC-Core-5.3.2 userinfo that is away: who it is says the ID token (case 30)", async () => {
  const as = await server();
  as.lie("userinfo", instead(503, {}));
  const { connection } = await connected(await client({ as }));
  assert.equal(connection.account, "ada");
});
