// What is shown of each kind of destination with its vendor's library.

import assert from "node:assert/strict";
import { readFileSync, readdirSync } from "node:fs";
import { check, eventually } from "./harness/cases.mjs";
import { receive } from "./receiver.mjs";

const { RINGBACK_URL: url, RINGBACK_TOKEN: token } = process.env;

/** The event that every destination is sent, unless a case has a payload of its own. */
export const event = { email: "Ada@Example.com", name: "Zoë 🚀 & <co>", amount: 1250 };

/** What is claimed of each kind in its file. The suite runs in the root of the repository. */
const proofs = new Map(
  readdirSync("destinations")
    .filter((name) => name.endsWith(".toml"))
    .map((name) => [name.slice(0, -".toml".length), readFileSync(`destinations/${name}`, "utf8")])
    .map(([kind, text]) => [kind, text.match(/^proof = "(.*)"$/m)[1]]),
);
const shown = new Map();

async function call(method, path, body) {
  const headers = { authorization: `Bearer ${token}`, "content-type": "application/json" };
  const answer = await fetch(url + path, { method, headers, body: body && JSON.stringify(body) });
  const text = await answer.text();
  assert.ok(answer.ok, `${method} ${path}: ${answer.status} ${text}`);
  return JSON.parse(text);
}

/** A destination of this kind in an application of its own, which is sent one message. */
async function send(type, config, payload = event) {
  const app = `/api/v1/app/${(await call("POST", "/api/v1/app", { name: type })).id}`;
  const { id } = await call("POST", `${app}/destination`, { type, config });
  const message = await call("POST", `${app}/msg`, { eventType: "order.paid", payload });
  const explain = async () => {
    const { endpoints } = await call("GET", `${app}/msg/${message.id}/explain`);
    return endpoints.find((line) => line.endpointId === id);
  };
  /** What became of it, once it is settled. */
  const settled = async () => {
    const line = await eventually(explain, ({ state }) => state !== "pending");
    const { data } = await call("GET", `${app}/attempt/msg/${message.id}`);
    return { ...line, responses: data.map((one) => one.response).reverse() };
  };
  return { id: message.id, settled };
}

/** What a request says: of JSON and forms the values, whatever their order; and the query. */
async function said({ path, headers, body }, { merged }) {
  const [place, query = ""] = path.split("?");
  const type = headers["content-type"] ?? "";
  const named = Object.fromEntries(new URLSearchParams(query));
  const fields = type.includes("json")
    ? JSON.parse(body)
    : body &&
      Object.fromEntries(
        await new Response(body, { headers: { "content-type": type } }).formData(),
      );
  return merged ? { place, fields: { ...named, ...fields } } : { place, query: named, fields };
}

/** Without what says nothing: a library writes out every default. */
function meant(value) {
  if (Array.isArray(value)) return value.map(meant);
  if (value === null || typeof value !== "object") return value;
  const says = ([, one]) => one !== null && one !== undefined && one !== false;
  return Object.fromEntries(
    Object.entries(value)
      .filter(says)
      .map(([k, v]) => [k, meant(v)]),
  );
}

/**
 * One kind.
 *
 * - `config(receiver)`: what a destination there is given, with `fields` of the event.
 * - `good`: the answer that means it is done, as the vendor's library reads it.
 * - `client(receiver, message)`: the vendor's library sends the same to a receiver of its own.
 * - `headers`: those that have to be the same, each with what is compared of it.
 * - `merged`: the vendor reads a field in the query and in any kind of form alike.
 * - `accepts(request)`: the vendor's library takes what arrived; it throws if not.
 * - `unsaid`: what only the library says.
 * - `large`: by name, what is too large: a payload, and what is sent of it (`sent`), or why it is not
 *   sent (`refused`), or what the vendor answers (`answer`), after which it is not tried again.
 * - `busy`: by name, how the vendor says when to come again, and the seconds that it means.
 */
export function vendor(kind, of) {
  const { config, good, client, headers = {}, accepts, unsaid = [], large = {}, busy = {} } = of;
  const claim = of.independent ? "contract" : "vendor-sdk";
  shown.set(kind, claim);

  check(`${kind}: what is sent is what the library sends`, async () => {
    assert.equal(proofs.get(kind), claim, "the file claims something else");
    const [here, there] = [await receive(good), await receive(good)];
    const message = await send(kind, config(here));
    const [ours] = await here.wait();
    assert.equal((await message.settled()).state, "delivered");
    await client(there, { ...message, request: ours });
    const [theirs] = await there.wait();
    const compared = of.merged ? headers : { "content-type": mediaType, ...headers };
    const spoken = async (request, { host }) => {
      // What they were reached at is the only difference.
      const all = await said({ ...request, body: request.body.replaceAll(host, "HOST") }, of);
      for (const name of unsaid) delete all.fields[name];
      const kept = Object.entries(compared).map(([name, part]) =>
        part(request.headers[name] ?? ""),
      );
      return { method: request.method, ...meant(all), headers: kept };
    };
    assert.deepEqual(await spoken(ours, here), await spoken(theirs, there));
    await accepts?.(ours, here);
  });

  for (const [what, { payload, fields, sent, refused, answer }] of Object.entries(large)) {
    check(`${kind}: ${what}`, async () => {
      const here = await receive(answer ?? good);
      const given = config(here);
      const message = await send(kind, fields ? { ...given, fields } : given, payload);
      const { state, reason, attempts, responses } = await message.settled();
      if (sent) {
        assert.equal(state, "delivered");
        sent(JSON.parse(here.requests[0].body));
      } else if (answer) {
        assert.deepEqual(
          [state, reason, attempts, here.requests.length],
          ["failed", "exhausted", 1, 1],
        );
        const { body } = answer;
        const kept = typeof body === "object" ? JSON.stringify(body) : body;
        assert.equal(responses[0], kept, "what the vendor said is kept");
      } else {
        assert.deepEqual([state, reason, here.requests.length], ["failed", "event_unfit", 0]);
        assert.match(responses[0], refused);
      }
    });
  }

  for (const [what, { answer, wait }] of Object.entries(busy)) {
    // All of them wait at the same time.
    const waited = waits(kind, config, good, answer, wait);
    waited.catch(() => {});
    check(`${kind}: ${what}`, () => waited);
  }
}

/** Longer than the schedule of the suites has it, and neither before nor long after. */
async function waits(kind, config, good, answer, wait) {
  const here = await receive(() => answer(Math.floor(Date.now() / 1000)), good);
  const message = await send(kind, config(here));
  const [first, second] = await here.wait(2);
  const waited = (second.at - first.at) / 1000;
  assert.ok(waited >= wait - 0.05 && waited < wait + 4, `${waited} s instead of ${wait} s`);
  assert.equal((await message.settled()).state, "delivered");
}

/** A content type without its parameters. */
const mediaType = (value) => value.split(";")[0];

/** Every kind that claims to be proven by its vendor is. */
export function complete() {
  check("what files claim is shown here", () => {
    const claimed = [...proofs].filter(([, proof]) => proof === "vendor-sdk").map(([kind]) => kind);
    const proven = [...shown].filter(([, claim]) => claim === "vendor-sdk").map(([kind]) => kind);
    assert.deepEqual(claimed.sort(), proven.sort());
    assert.ok(proven.length >= 8, proven.join(" "));
  });
}
