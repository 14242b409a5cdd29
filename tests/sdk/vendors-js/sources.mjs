// Sources with an endpoint, and what is shown of each provider with its library.

import assert from "node:assert/strict";
import { Svix } from "svix";
import { check } from "./harness/cases.mjs";
import { place } from "./harness/receiver.mjs";

const { RINGBACK_URL: url, RINGBACK_TOKEN: token } = process.env;
// The sources get their endpoints by the official client of the ingest API.
const { ingest } = new Svix(token, { serverUrl: url });

export const secret = "it is a secret";

/** Providers by what was shown with their libraries. */
export const shown = { signs: new Set(), verifies: new Set(), verifiesResigned: new Set() };

async function call(method, path, body) {
  const headers = { authorization: `Bearer ${token}`, "content-type": "application/json" };
  const answer = await fetch(url + path, { method, headers, body: body && JSON.stringify(body) });
  const text = await answer.text();
  assert.ok(answer.ok, `${method} ${path}: ${answer.status} ${text}`);
  return JSON.parse(text);
}

/** A source of this provider with one endpoint, registered under a URL that is not where it runs. */
export async function source(provider, config = { secret }) {
  const publicUrl = `https://hooks.example.com/in/${provider}`;
  const wanted = { name: provider, type: provider, config, options: { publicUrl } };
  const made = await call("POST", "/ingest/api/v1/source", wanted);
  const to = place();
  const endpoint = await ingest.endpoint.create(made.id, { url: to.url });
  const { key } = await ingest.endpoint.getSecret(made.id, endpoint.id);
  return { ...made, publicUrl, place: to, endpointSecret: key };
}

/** The status that a request is answered with. */
export async function post(source, { headers, body }) {
  const answer = await fetch(source.ingestUrl, { method: "POST", headers, body });
  await answer.arrayBuffer();
  return answer.status;
}

/** What became of the requests, the newest first. */
export async function requests(source) {
  return (await call("GET", `/ingest/api/v1/source/${source.id}/request`)).data;
}

/**
 * One provider. Its library signs (`sign`), or we do as it is documented (`make`): both get the
 * text and the source, and answer headers and, if it is not the text, the body. What arrives at
 * the endpoint is shown to the library that verifies (`verify`: with the provider's own headers;
 * `resigned`: the provider's headers are those that Ringback signs anew with, so that the library
 * is asked about what was sent, and about what arrived).
 */
export function vendor(provider, { config, text, type, sign, make, verify, resigned }) {
  check(provider, async () => {
    const of = await source(provider, config);
    assert.notEqual(of.proof, "derived", "its file claims less than is shown here");
    const { headers, body = text } = await (sign ?? make)(text, of);
    const sent = { headers: { "content-type": type ?? "application/json", ...headers }, body };
    const status = await post(of, sent);
    const [{ status: fate, reason }] = await requests(of);
    assert.equal(fate, "accepted", `answered ${status}: ${reason}`);
    assert.ok(status >= 200 && status < 300, `answered ${status}`);

    const [delivery] = await of.place.wait();
    assert.ok(delivery.body.equals(Buffer.from(body)), "other bytes");
    if (verify) {
      await convinces((request) => verify(request, of), delivery);
      shown.verifies.add(provider);
    }
    if (resigned) {
      const whole = { headers: sent.headers, body: Buffer.from(body) };
      await convinces((request) => resigned(request, config.secret), whole);
      await convinces((request) => resigned(request, of.endpointSecret), delivery);
      shown.verifiesResigned.add(provider);
    }

    assert.ok((await post(of, { ...sent, body: forged(body) })) >= 400, "forged and accepted");
    assert.deepEqual(
      (await requests(of)).map((one) => one.status),
      ["unverified", "accepted"],
    );
    assert.equal(of.place.deliveries.length, 1);
    if (sign) shown.signs.add(provider);
  });
}

/** The library takes the request, and not a forgery of it; it throws, or answers false. */
async function convinces(verify, { headers, body }) {
  const verdict = async (body) => verify({ headers, body, text: body.toString() });
  assert.notEqual(await verdict(body), false, "the library refuses");
  const taken = await verdict(Buffer.from(forged(body.toString()))).catch(() => false);
  assert.equal(taken, false, "the library takes anything");
}

/** One digit of the amount changes; in a form whose payload is base64, one letter. */
export function forged(body) {
  const changed = body.includes("1000")
    ? body.replace("1000", "1001")
    : body.replace(/(bt_payload=.{80})(.)/, (_, all, one) => all + (one === "A" ? "B" : "A"));
  assert.notEqual(changed, body);
  return changed;
}
