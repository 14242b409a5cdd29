// The authorization servers are what the other checks take them for: an independent client
// (`openid-client`) gets on with the honest ones, and is not taken in by the lies.

import assert from "node:assert/strict";
import * as oidc from "openid-client";
import { check } from "./harness/cases.mjs";
import { authority, idToken, json, keys, response } from "./authority.mjs";
import { LIES } from "./identity.mjs";
import { Person } from "./person.mjs";

const redirect_uri = "http://127.0.0.1:9/oauth/callback/fixture";
const signing = {
  key: await crypto.subtle.importKey(
    "jwk",
    keys.rotated,
    { name: "RSASSA-PKCS1-v1_5", hash: "SHA-256" },
    false,
    ["sign"],
  ),
  kid: keys.rotated.kid,
};

/** An independent client at a server. */
async function independent(as, metadata = {}, auth) {
  const registered = await as.register({ redirect_uris: [redirect_uri], ...metadata });
  const options = { execute: [oidc.allowInsecureRequests] };
  return oidc.discovery(
    new URL(as.issuer),
    registered.client_id,
    metadata.jwks ? undefined : registered.client_secret,
    auth,
    options,
  );
}

/** The tokens that it gets. */
async function tokens(config, { mode, url = oidc.buildAuthorizationUrl } = {}) {
  const pkceCodeVerifier = oidc.randomPKCECodeVerifier();
  const expected = {
    pkceCodeVerifier,
    expectedState: oidc.randomState(),
    expectedNonce: oidc.randomNonce(),
    idTokenExpected: true,
  };
  const asked = await url(config, {
    redirect_uri,
    scope: "openid email",
    state: expected.expectedState,
    nonce: expected.expectedNonce,
    code_challenge: await oidc.calculatePKCECodeChallenge(pkceCodeVerifier),
    code_challenge_method: "S256",
    ...(mode && { response_mode: mode }),
  });
  const back = await new Person().go(asked.href, { stop: (url) => url.startsWith(redirect_uri) });
  assert.ok(back.next, back.text);
  const brought = back.form
    ? new Request(back.next, { method: "POST", body: back.form })
    : new URL(back.next);
  return oidc.authorizationCodeGrant(config, brought, expected);
}

/** A check with a server of its own. */
const fixture = (name, run, options) =>
  check(`fixture: ${name}`, async () => {
    const as = await authority(options);
    try {
      await run(as);
    } finally {
      as.close();
    }
  });

fixture("code, userinfo, refresh with rotation, revocation", async (as) => {
  const config = await independent(as);
  const first = await tokens(config);
  assert.equal((await oidc.fetchUserInfo(config, first.access_token, "ada")).email, "ada@app.localhost");
  const second = await oidc.refreshTokenGrant(config, first.refresh_token);
  assert.notEqual(second.refresh_token, first.refresh_token);
  await assert.rejects(
    oidc.refreshTokenGrant(config, first.refresh_token),
    { error: "invalid_grant" },
    "it was rotated",
  );
  await assert.rejects(
    oidc.refreshTokenGrant(config, second.refresh_token),
    { error: "invalid_grant" },
    "and its reuse ends the grant",
  );
  const third = await tokens(config);
  await oidc.tokenRevocation(config, third.refresh_token);
  await assert.rejects(oidc.refreshTokenGrant(config, third.refresh_token), { error: "invalid_grant" });
  await oidc.tokenRevocation(config, "unknown");
});

fixture("form_post", async (as) => {
  assert.ok(await tokens(await independent(as), { mode: "form_post" }));
});

const pushed = { features: { pushedAuthorizationRequests: { enabled: true } } };
fixture(
  "pushed requests",
  async (as) => {
    assert.ok(await tokens(await independent(as), { url: oidc.buildAuthorizationUrlWithPAR }));
    assert.equal(as.requests("push").length, 1);
  },
  pushed,
);

fixture("signed responses", async (as) => {
  const config = await independent(as);
  oidc.useJwtResponseMode(config);
  assert.ok(await tokens(config));
});

fixture("signed requests, private_key_jwt", async (as) => {
  const { d, p, q, dp, dq, qi, ...open } = keys.rotated;
  const metadata = {
    token_endpoint_auth_method: "private_key_jwt",
    request_object_signing_alg: "RS256",
    client_secret: undefined,
    jwks: { keys: [open] },
  };
  const config = await independent(as, metadata, oidc.PrivateKeyJwt(signing));
  assert.ok(
    await tokens(config, {
      url: (config, params) => oidc.buildAuthorizationUrlWithJAR(config, params, signing),
    }),
  );
});

fixture("client credentials, dynamic registration", async (as) => {
  assert.ok((await oidc.clientCredentialsGrant(await independent(as))).access_token);
  const options = { execute: [oidc.allowInsecureRequests] };
  const config = await oidc.dynamicClientRegistration(
    new URL(as.issuer),
    { redirect_uris: [redirect_uri] },
    undefined,
    options,
  );
  assert.ok(await tokens(config));
});

fixture("device flow", async (as) => {
  const config = await independent(as);
  const begun = await oidc.initiateDeviceAuthorization(config, { scope: "openid email" });
  await new Person().go(begun.verification_uri_complete);
  assert.ok((await oidc.pollDeviceAuthorizationGrant(config, { ...begun, interval: 0.01 })).access_token);
});

fixture(
  "fewer scopes are granted than were asked for",
  async (as) => {
    assert.equal((await tokens(await independent(as))).scope, "openid");
  },
  { granted: ["openid"] },
);

// What nobody checks but who uses the access token as proof (OpenID Connect Core, section 3.1.3.8).
const UNSEEN = ["an at_hash of another access token"];
for (const [name, make] of Object.entries(LIES)) {
  if (UNSEEN.includes(name)) continue;
  fixture(`an independent client refuses an ID token with ${name}`, async (as) => {
    as.lie("token", idToken(make));
    const config = await independent(as);
    // Over plain HTTP the signature, too, is all there is.
    oidc.enableNonRepudiationChecks(config);
    await assert.rejects(tokens(config));
  });
}

fixture("an independent client refuses another iss, or none, and other metadata", async (as) => {
  const config = await independent(as);
  as.lie(
    "authorize",
    response((params) => params.set("iss", "https://evil.localhost")),
  );
  await assert.rejects(tokens(config), ({ cause }) => /iss/.test(cause.message));
  as.lie(
    "authorize",
    response((params) => params.delete("iss")),
  );
  await assert.rejects(tokens(config), ({ cause }) => /iss/.test(cause.message));
  as.lie(
    "metadata",
    json((document) => void (document.issuer = "https://evil.localhost")),
  );
  await assert.rejects(independent(as));
});
