// Endpoints that are opened by tokens which another's server gives out.

import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http";
import { createRemoteJWKSet, jwtVerify } from "jose";
import { Events, OAuth2Server } from "oauth2-mock-server";
import { check } from "./harness/cases.mjs";
import { shared } from "./gateway.mjs";

/** A receiver that lets those in whose token the issuer has signed; what it let in, and whom not. */
async function receiver(issuer) {
  const keys = createRemoteJWKSet(new URL(`${issuer}/jwks`));
  const made = { in: [], out: 0, over: new Set() };
  const server = createServer(async (request, response) => {
    const token = request.headers.authorization?.replace("Bearer ", "") ?? "";
    try {
      const { payload } = await jwtVerify(token, keys, { issuer });
      assert.ok(!made.over.has(token));
      made.in.push({ token, payload });
      response.writeHead(204).end();
      server.emit("let in");
    } catch {
      made.out += 1;
      response.writeHead(401).end();
    }
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.2", resolve));
  const until = async (count) => {
    while (made.in.length < count) await once(server, "let in", { signal: AbortSignal.timeout(30_000) });
    return made.in;
  };
  const url = `http://127.0.0.2:${server.address().port}/`;
  return Object.assign(made, { url, until, close: () => server.close() });
}

for (const authMethod of ["clientSecretBasic", "clientSecretPost"]) {
  check(`6749-4.4 an endpoint is opened by oauth2-mock-server's token, by ${authMethod}`, async () => {
    const as = new OAuth2Server();
    await as.issuer.keys.generate("RS256");
    await as.start(0, "127.0.0.2");
    as.issuer.url = `http://127.0.0.2:${as.address().port}`;
    const asked = [];
    as.service.on(Events.BeforeTokenSigning, (token, request) => {
      // Two tokens of one second would be the same.
      token.payload.number = asked.length;
      asked.push({ body: request.body, authorization: request.headers.authorization });
    });
    const there = await receiver(as.issuer.url);
    const application = await shared.application();
    await shared.ask("POST", `/api/v1/app/${application}/endpoint`, {
      url: there.url,
      access: {
        type: "oauth2",
        tokenUrl: `${as.issuer.url}/token`,
        clientId: "shop",
        clientSecret: "made up: secret",
        authMethod,
        scopes: ["events.write", "more"],
        extraParams: { resource: "made-up" },
      },
    });
    const send = () =>
      shared.ask("POST", `/api/v1/app/${application}/msg`, { eventType: "a", payload: {} });
    for (let count = 0; count < 10; count += 1) await send();
    const [{ token, payload }] = await there.until(10);
    assert.equal(new Set(there.in.map((one) => one.token)).size, 1);
    assert.equal(payload.scope, "events.write more");
    assert.equal(asked.length, 1);
    const { body, authorization } = asked[0];
    assert.equal(body.grant_type, "client_credentials");
    assert.equal(body.resource, "made-up");
    if (authMethod === "clientSecretPost") {
      assert.deepEqual([body.client_id, body.client_secret], ["shop", "made up: secret"]);
      assert.equal(authorization, undefined);
    } else {
      const pair = Buffer.from(authorization.replace("Basic ", ""), "base64").toString();
      assert.deepEqual(pair.split(":").map(decodeURIComponent), ["shop", "made up: secret"]);
      assert.equal(body.client_secret, undefined);
    }
    // What is over is renewed where the endpoint says so, and nobody notices.
    there.over.add(token);
    await send();
    assert.notEqual((await there.until(11))[10].token, token);
    assert.deepEqual([asked.length, there.out], [2, 1]);
    assert.ok(!shared.log.includes(token) && !shared.log.includes("made up: secret"));
    there.close();
    await as.stop();
  });
}
