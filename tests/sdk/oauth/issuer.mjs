// Which server an authorization response is from: mix-up, and metadata that is not its issuer's.

import assert from "node:assert/strict";
import { check } from "./harness/cases.mjs";
import { json, response } from "./authority.mjs";
import { Flow, client, page, server, shared, turnedAway } from "./gateway.mjs";
import { changed } from "./state.mjs";

const HOSTILE = "127.0.0.3";

/** A flow at a server that says this of itself as issuer. */
async function answeredWith(change) {
  const as = await server({ host: HOSTILE });
  as.lie("authorize", response(change));
  return Flow.begin(await client({ as }));
}

check("9207-2.4 another iss: refused, no token request (case 13)", async () => {
  const honest = await server();
  for (const iss of [honest.issuer, "https://evil.localhost", ""]) {
    const flow = await answeredWith((params) => params.set("iss", iss));
    turnedAway(await flow.bring(await flow.back()));
    await flow.nothingCame();
  }
});

check("9207-2.4 another iss in an error response: not taken for the provider's word (case 13)", async () => {
  const flow = await answeredWith((params) => params.set("iss", "https://evil.localhost"));
  flow.person.decision = "deny";
  const answer = turnedAway(await flow.bring(await flow.back()));
  assert.notEqual(answer.landed?.searchParams.get("error"), "access_denied");
  await flow.nothingCame();
});

check("9700-4.4 mix-up: a hostile server sends the person to an honest one (case 13)", async () => {
  const application = await shared.application();
  const honest = await Flow.begin(await client({ application }));
  const hostile = await Flow.begin(await client({ application, as: await server({ host: HOSTILE }) }));
  // The hostile server forwards to the honest one, as the client that is registered there.
  hostile.as.lie("authorize", (answer, request) => {
    const to = new URL(`${honest.as.issuer}/auth`);
    to.search = new URLSearchParams({
      ...Object.fromEntries(request.query),
      client_id: honest.registered.client_id,
      redirect_uri: honest.client.redirectUri,
    });
    Object.assign(answer, { status: 303, headers: { location: to.href }, body: Buffer.from("") });
  });
  const stop = (url) => url.startsWith(honest.client.redirectUri);
  const { next } = await hostile.person.go(hostile.authorization.url, { stop });
  assert.ok(next, "the honest server has answered");
  // Its code must go to neither: it arrives where the hostile flow is unknown …
  page(await hostile.bring({ url: next }));
  // … and where that flow is known it is from the wrong issuer.
  turnedAway(
    await hostile.bring({ url: next.replace(honest.client.redirectUri, hostile.client.redirectUri) }),
  );
  await hostile.nothingCame();
  await honest.nothingCame();
});

check("9207-2.4 iss is announced but absent: refused, no token request (case 14)", async () => {
  const flow = await answeredWith((params) => params.delete("iss"));
  turnedAway(await flow.bring(await flow.back()));
  await flow.nothingCame();
});

check("9207-2.4 iss is neither announced nor there: taken (case 14)", async () => {
  const as = await server();
  as.lie(
    "metadata",
    json((document) => void delete document.authorization_response_iss_parameter_supported),
  );
  as.lie(
    "authorize",
    response((params) => params.delete("iss")),
  );
  const flow = await Flow.begin(await client({ as }));
  assert.ok(await flow.connect());
});

check("9207-2.4 iss is compared letter by letter (case 15)", async () => {
  const variants = {
    slash: (iss) => `${iss}/`,
    "upper case": (iss) => iss.replace("http", "HTTP"),
    "percent encoding": (iss) => iss.replace("127", "%3127"),
    space: (iss) => `${iss} `,
    fragment: (iss) => `${iss}#`,
    "another spelling of the address": (iss) => iss.replace("127.0.0.3", "127.0.3"),
  };
  for (const [name, change] of Object.entries(variants)) {
    const flow = await answeredWith((params) => params.set("iss", change(params.get("iss"))));
    const answer = await flow.bring(await flow.back());
    assert.ok(!answer.landed?.searchParams.has("confirmation"), name);
    turnedAway(answer);
    await flow.nothingCame();
  }
});

check("6749-3.1 a parameter that is there twice: refused, no token request (case 16)", async () => {
  for (const name of ["iss", "code", "state"]) {
    for (const second of [(value) => value, () => "another"]) {
      const flow = await Flow.begin();
      const twice = changed(await flow.back(), (fields) => fields.append(name, second(fields.get(name))));
      turnedAway(await flow.bring(twice));
      await flow.nothingCame();
    }
  }
});

check("9700-4.4.2.2 each connection context has a redirect URI of its own (case 17)", async () => {
  const [as, other] = [await server(), await server({ host: HOSTILE })];
  const application = await shared.application();
  const sets = [
    await client({ as, application }),
    await client({ as, application }),
    await client({ as: other, application }),
    await client({ as }),
  ];
  const uris = sets.map((set) => set.client.redirectUri);
  assert.equal(new Set(uris).size, uris.length, uris.join());
  for (const set of sets) {
    assert.ok(set.client.redirectUri.startsWith(`${shared.url}/oauth/callback/`));
    const flow = await Flow.begin(set);
    await flow.back();
    assert.equal(flow.asked.get("redirect_uri"), set.client.redirectUri);
  }
});

check("8414-3.3 metadata of another issuer: nobody is sent there (case 18)", async () => {
  const honest = await server();
  for (const issuer of [honest.issuer, (own) => `${own}/`, (own) => own.replace("http", "HTTP"), undefined]) {
    const as = await server({ host: HOSTILE });
    as.lie(
      "metadata",
      json((document) => void (document.issuer = issuer instanceof Function ? issuer(as.issuer) : issuer)),
    );
    const application = await shared.application();
    const made = await shared.call("POST", "/api/v1/oauth-client", {
      application,
      provider: "openid",
      settings: { issuer: as.issuer },
      clientId: "mixed-up",
      clientSecret: "made-up",
    });
    if (made.status < 300) {
      const wanted = { client: made.body.id, userRef: "ada", returnTo: "http://app.localhost/connected" };
      const flow = await shared.call("POST", "/api/v1/authorization", wanted);
      if (flow.status < 300) {
        const answer = await fetch(flow.body.url, { redirect: "manual" });
        const location = answer.headers.get("location");
        assert.ok(!location || location.startsWith("http://app.localhost/"), location);
        assert.ok(answer.status >= 400 || new URL(location).searchParams.has("error"), String(answer.status));
      }
    }
    assert.deepEqual(as.requests("authorize"), []);
    assert.deepEqual(honest.requests("authorize"), []);
  }
});
