// Where a browser may be sent, and what it sees on the way.

import assert from "node:assert/strict";
import { check } from "./harness/cases.mjs";
import { Flow, client, home, page, server, shared } from "./gateway.mjs";
import { changed } from "./state.mjs";

const EVIL = [
  "//evil.localhost",
  "/\\evil.localhost",
  "\\\\evil.localhost",
  "https:evil.localhost",
  "http://evil.localhost/connected",
  "http://app.localhost@evil.localhost/connected",
  "http://app.localhost\\@evil.localhost/",
  "http://app.localhost.evil.localhost/connected",
  "http://evil.localhost/connected#http://app.localhost/connected",
  "http://app.localhost/connected/../evil",
  "http://app.localhost/connected%0d%0alocation:%20http://evil.localhost",
  "http://app.localhost/connected\r\nlocation: http://evil.localhost",
  "http://аpp.localhost/connected",
  "http://app.localhost/Connected",
  "http://app.localhost/connected/",
  "http://app.localhost:81/connected",
  "HTTP://app.localhost/connected",
  "javascript:alert(1)",
  "data:text/html,x",
  "",
];

check("9700-4.11.1 people are sent on to listed targets, and to no other (case 36)", async () => {
  const set = await client();
  for (const returnTo of EVIL) {
    const wanted = { client: set.client.id, userRef: "ada", returnTo };
    const answer = await shared.call("POST", "/api/v1/authorization", wanted);
    assert.equal(answer.status, 422, `${JSON.stringify(returnTo)}: ${answer.text}`);
  }
  for (const returnTo of EVIL) {
    const elsewhere = {
      returnTo,
      return_to: returnTo,
      redirect_uri: returnTo,
      next: returnTo,
      url: returnTo,
    };
    const flow = await Flow.begin(set);
    const start = new URL(flow.authorization.url);
    start.search = new URLSearchParams(elsewhere);
    const response = await flow.back(flow.person, start.href);
    assert.equal(flow.asked.get("redirect_uri"), set.client.redirectUri);
    const brought = changed(response, (fields) => {
      for (const [name, value] of Object.entries(elsewhere)) fields.set(name, value);
    });
    const { landed } = await flow.bring(brought);
    assert.equal(landed.origin + landed.pathname, home);
    assert.deepEqual([...landed.searchParams.keys()].sort(), ["authorization", "confirmation"]);
  }
});

check("9700-4.11.1 a path beside the redirect URI leads nowhere (case 36)", async () => {
  const { client: made } = await client();
  for (const tail of [
    "/..%2f..%2fevil",
    "/%0d%0alocation:%20http://evil.localhost",
    "//evil.localhost",
    "/@evil.localhost",
    "%00",
    "x",
  ]) {
    const answer = await fetch(made.redirectUri + tail, { redirect: "manual" });
    assert.equal(answer.headers.get("location"), null, tail);
    assert.ok(answer.status >= 400, tail);
  }
});

check("9700-4.11 nobody is sent where they came from (case 37)", async () => {
  const flow = await Flow.begin();
  const response = await flow.back();
  const headers = { referer: "http://evil.localhost/", origin: "http://evil.localhost" };
  const nameless = changed(response, (fields) => fields.delete("state"));
  page(await flow.person.ask(nameless.url, { headers }));
  page(await flow.person.ask(flow.client.redirectUri, { headers }));
  const answer = await flow.person.ask(response.url, { headers });
  assert.ok(answer.headers.get("location").startsWith(`${home}?`), "only home");
});

check("9700-4.12 after a form the browser goes on with GET: 303 (case 38)", async () => {
  const as = await server();
  const set = await client({ as, wanted: { settings: { issuer: as.issuer, responseMode: "form_post" } } });
  const flow = await Flow.begin(set);
  const started = await flow.person.ask(flow.authorization.url);
  assert.equal(started.status, 303);
  const response = await flow.back();
  const answer = await flow.person.ask(response.url, { form: response.form });
  assert.equal(answer.status, 303);
  assert.ok(answer.headers.get("location").startsWith(home));
});

check("9700-4.2.4 no page and no redirect tells or keeps its URL (case 39)", async () => {
  const flow = await Flow.begin();
  const start = await flow.person.ask(flow.authorization.url);
  const response = await flow.back();
  const nowhere = await flow.person.ask(flow.client.redirectUri);
  const unknown = await flow.person.ask(`${shared.url}/oauth/start/unknown`);
  const back = await flow.person.ask(response.url);
  for (const { headers, status, text } of [start, nowhere, unknown, back]) {
    assert.equal(headers.get("referrer-policy"), "no-referrer", String(status));
    assert.match(headers.get("cache-control"), /no-store/);
    assert.equal(headers.get("x-content-type-options"), "nosniff");
    assert.doesNotMatch(text, /(?:src|href)="(?:https?:)?\/\//, "nothing of a third party");
  }
  // What goes on is clean: neither the code nor the state.
  const landed = back.headers.get("location");
  for (const name of ["code", "state"])
    assert.ok(!landed.includes(new URL(response.url).searchParams.get(name)));
});

check("9700-4.16 no page is shown in a frame (case 40)", async () => {
  const { client: made } = await client();
  for (const url of [made.redirectUri, `${shared.url}/oauth/start/unknown`]) {
    const { headers } = await fetch(url);
    assert.match(headers.get("content-security-policy"), /default-src 'none'/);
    assert.match(headers.get("content-security-policy"), /frame-ancestors 'none'/);
  }
});
