// The code: bound to its session, exchanged as it was asked for, and refused if anything is odd.

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { check } from "./harness/cases.mjs";
import { json, response } from "./authority.mjs";
import { Flow, KEEPING, client, connected, page, server, shared, turnedAway } from "./gateway.mjs";
import { changed } from "./state.mjs";

const MARKUP = `<script>document.title='owned'</script><img src=x onerror=alert(1)>"'&`;

check(
  "9700-4.5.3.1 a code injected from another session: the server refuses its verifier (case 19)",
  async () => {
    const set = await client();
    const [victim, attacker] = [await Flow.begin(set), await Flow.begin(set)];
    const stolen = new URL((await victim.back()).url).searchParams.get("code");
    const injected = changed(await attacker.back(), (fields) => fields.set("code", stolen));
    const { landed } = await attacker.bring(injected);
    attacker.confirmation = landed.searchParams.get("confirmation");
    const answer = await attacker.confirm();
    assert.ok(answer.status >= 400, answer.text);
    await attacker.nothingCame(1);
    const [refused] = set.as.tokenRequests();
    assert.equal(refused.answer.status, 400, "the server itself has said no");
    assert.match(refused.answer.body.toString(), /invalid_grant/);
    assert.equal(await attacker.status(), "failed");
  },
);

check("7636-4.2 S256 always, a verifier of 43 to 128 characters (case 20)", async () => {
  const set = await client();
  const verifiers = [];
  for (let number = 0; number < 5; number += 1) {
    const flow = await Flow.begin(set);
    await flow.connect();
    const verifier = set.as.tokenRequests().at(-1).form.get("code_verifier");
    assert.match(verifier, /^[A-Za-z0-9._~-]{43,128}$/);
    assert.equal(flow.asked.get("code_challenge_method"), "S256");
    assert.equal(flow.asked.get("code_challenge"), createHash("sha256").update(verifier).digest("base64url"));
    assert.notEqual(flow.asked.get("state"), verifier);
    verifiers.push(verifier);
  }
  assert.equal(new Set(verifiers).size, verifiers.length);
});

check("9700-4.8.2 a server that offers no PKCE, or only plain, is asked for S256 (case 21)", async () => {
  for (const offered of [undefined, [], ["plain"], ["plain", "S256"]]) {
    const as = await server();
    as.lie(
      "metadata",
      json((document) => void (document.code_challenge_methods_supported = offered)),
    );
    const flow = await Flow.begin(await client({ as }));
    assert.ok(await flow.connect());
    assert.equal(flow.asked.get("code_challenge_method"), "S256");
    assert.ok(as.tokenRequests()[0].form.get("code_verifier"));
  }
});

check(
  "6749-4.1.3 redirect_uri of the token request is that of the authorization request (case 22)",
  async () => {
    const flow = await Flow.begin();
    await flow.connect();
    const [exchange] = flow.as.tokenRequests();
    assert.equal(exchange.form.get("redirect_uri"), flow.asked.get("redirect_uri"));
    assert.equal(exchange.form.get("redirect_uri"), flow.client.redirectUri);
    assert.match(
      exchange.body.toString(),
      new RegExp(`redirect_uri=${encodeURIComponent(flow.client.redirectUri)}(&|$)`),
    );
  },
);

check("6749-4.1.2 unknown parameters are ignored, and kept (case 23)", async () => {
  const as = await server();
  as.lie(
    "authorize",
    response((params) => {
      params.set("realmId", "4620816365");
      params.set("odd", MARKUP);
    }),
  );
  assert.ok(await connected(await client({ as })));
  // What the provider's file names of them is told with the token.
  const { connection } = await connected(await client({ as, wanted: { provider: KEEPING } }));
  const { extra } = await shared.ask("GET", `/api/v1/connection/${connection.id}/token`);
  assert.deepEqual(extra, { realmId: "4620816365" });
});

check("6749-4.1.2.1 an error response ends the attempt (case 24)", async () => {
  const flow = await Flow.begin();
  flow.person.decision = "deny";
  const response = await flow.back();
  const { landed } = await flow.bring(response);
  assert.equal(landed.searchParams.get("error"), "access_denied");
  assert.equal(landed.searchParams.get("authorization"), flow.authorization.id);
  assert.equal(landed.searchParams.get("confirmation"), null);
  assert.equal(await flow.status(), "failed");
  const answer = await flow.confirm({ confirmation: "made-up" });
  assert.ok(answer.status >= 400);
  // The state is spent: a code that comes later is none.
  const later = changed(response, (fields) => {
    for (const name of ["error", "error_description"]) fields.delete(name);
    fields.set("code", "late");
  });
  const again = await flow.bring(later);
  assert.equal(again.landed?.searchParams.get("confirmation") ?? null, null);
  await flow.nothingCame();
});

check("6749-10.14 what an error response says is text (case 24)", async () => {
  const as = await server();
  as.lie(
    "authorize",
    response((params) => {
      params.set("error", MARKUP);
      params.set("error_description", MARKUP);
      params.set("error_uri", "javascript:alert(1)");
    }),
  );
  const flow = await Flow.begin(await client({ as }));
  flow.person.decision = "deny";
  const denied = await flow.back();
  const nowhere = changed(denied, (fields) => fields.set("state", "unknown"));
  for (const answer of [await flow.bring(nowhere), await flow.bring(denied)]) {
    if (answer.landed) {
      assert.equal(answer.landed.origin, "http://app.localhost");
      assert.match(answer.landed.searchParams.get("error"), /^[\w.-]+$/, "a code is of the RFC's letters");
    } else {
      assert.doesNotMatch(answer.text, /<script>document|<img src=x|javascript:/);
    }
  }
});

check("6749-4.1.2 both code and error: refused, no token request (case 25)", async () => {
  const flow = await Flow.begin();
  const both = changed(await flow.back(), (fields) => fields.set("error", "access_denied"));
  turnedAway(await flow.bring(both));
  await flow.nothingCame();
});

check(
  "9700-2.1.2 tokens in the authorization response: refused, and only codes are asked for (case 26)",
  async () => {
    for (const name of ["access_token", "id_token"]) {
      for (const form of [false, true]) {
        const flow = await Flow.begin();
        assert.equal((await flow.back(), flow.asked.get("response_type")), "code");
        const fields = new URLSearchParams({
          state: flow.asked.get("state"),
          iss: flow.as.issuer,
          [name]: "made-up",
        });
        const url = flow.client.redirectUri;
        const answer = await flow.bring(form ? { url, form: fields } : { url: `${url}?${fields}` });
        turnedAway(answer);
        await flow.nothingCame();
      }
    }
    const flow = await Flow.begin();
    page(await flow.bring({ url: flow.client.redirectUri }));
  },
);
