// Who may bring which authorization response: state, sessions, and the person who confirms.

import assert from "node:assert/strict";
import { check, slow } from "./harness/cases.mjs";
import { Flow, client, page, server, shared, turnedAway } from "./gateway.mjs";
import { Person } from "./person.mjs";

/** The same authorization response with other parameters. */
export function changed({ url, form }, change) {
  const to = new URL(url);
  const fields = form ? new URLSearchParams(form) : to.searchParams;
  change(fields);
  return { url: to.href, form: form && fields };
}

check("6749-10.12 missing state: 400 page, no token request (case 1)", async () => {
  const flow = await Flow.begin();
  const response = await flow.back();
  for (const change of [(fields) => fields.delete("state"), (fields) => fields.set("state", "")]) {
    page(await flow.bring(changed(response, change)));
  }
  await flow.nothingCame();
  assert.ok((await flow.bring(response)).landed, "the right one is still taken");
});

check("6749-10.12 unknown state: 400 page, no token request (case 2)", async () => {
  const flow = await Flow.begin();
  const response = await flow.back();
  const { length } = flow.asked.get("state");
  for (const state of ["x", "A".repeat(length), "A".repeat(10_000), "%00", "é", flow.authorization.id]) {
    page(await flow.bring(changed(response, (fields) => fields.set("state", state))));
  }
  await flow.nothingCame();
});

check("6749-4.1.2 state replayed after success: nothing is exchanged again (case 3)", async () => {
  const flow = await Flow.begin();
  const response = await flow.back();
  const { landed } = await flow.bring(response);
  flow.confirmation = landed.searchParams.get("confirmation");
  const before = await flow.bring(response, new Person());
  assert.equal(
    before.landed?.searchParams.get("confirmation") ?? null,
    null,
    "another browser is told nothing",
  );
  assert.equal((await flow.confirm()).status, 200);
  const [connection] = await flow.connections();
  for (const person of [flow.person, new Person()]) {
    const again = await flow.bring(response, person);
    assert.equal(again.landed?.searchParams.get("confirmation") ?? null, null);
  }
  // An application that asks again is told the same.
  assert.equal((await flow.confirm()).body.granted.id, connection.id);
  assert.equal(flow.exchanges, 1);
  assert.deepEqual(await flow.connections(), [connection], "nothing has changed");
});

check("6749-4.1.2 two callbacks at once with one state: exactly one token request (case 4)", async () => {
  const flow = await Flow.begin();
  const response = await flow.back();
  const all = await Promise.all(Array.from({ length: 20 }, () => flow.bring(response, new Person())));
  const told = all.map(({ landed }) => landed?.searchParams.get("confirmation")).filter(Boolean);
  assert.equal(told.length, 1, "one browser is told");
  [flow.confirmation] = told;
  const answers = await Promise.all(Array.from({ length: 20 }, () => flow.confirm()));
  const statuses = answers.map(({ status }) => status);
  assert.ok(statuses.includes(200), statuses.join());
  assert.ok(
    statuses.every((status) => status === 200 || status === 409),
    statuses.join(),
  );
  const ids = answers.filter(({ status }) => status === 200).map(({ body }) => body.granted.id);
  assert.equal(new Set(ids).size, 1, "whoever asks again is told the same");
  assert.equal(flow.exchanges, 1);
  assert.equal((await flow.connections()).length, 1);
});

slow("6749-10.12 expired state: refused, no token request (case 5)", async () => {
  const flow = await Flow.begin(undefined, { expiresIn: 60 });
  const response = await flow.back();
  const left = new Date(flow.authorization.expiresAt) - Date.now();
  assert.ok(left <= 60_000, `it expires in ${left} ms`);
  await new Promise((wake) => setTimeout(wake, left + 100));
  turnedAway(await flow.bring(response));
  await flow.nothingCame();
  assert.equal(await flow.status(), "expired");
});

check("update-2.2 state of one provider at another's redirect URI: refused (case 6)", async () => {
  const application = await shared.application();
  const one = await Flow.begin(await client({ application }));
  const two = await Flow.begin(await client({ application, as: await server({ host: "127.0.0.3" }) }));
  const response = await one.back();
  page(await one.bring({ url: response.url.replace(one.client.redirectUri, two.client.redirectUri) }));
  // What the attacker's server answers, brought where the honest one's is expected.
  const other = await two.back();
  page(await two.bring({ url: other.url.replace(two.client.redirectUri, one.client.redirectUri) }));
  await one.nothingCame();
  await two.nothingCame();
  assert.ok((await one.bring(response)).landed, "nothing was used up");
});

check("update-2.2 state of one tenant at another's redirect URI: refused (case 7)", async () => {
  const as = await server();
  const one = await Flow.begin(await client({ as }));
  const two = await Flow.begin(await client({ as }));
  assert.notEqual(one.client.application, two.client.application);
  const response = await one.back();
  page(await two.bring({ url: response.url.replace(one.client.redirectUri, two.client.redirectUri) }));
  await one.nothingCame();
  await two.nothingCame();
});

check("9700-4.7.1 callback in a browser without the binding cookie: refused (case 8)", async () => {
  const flow = await Flow.begin(undefined, { binding: "cookie" });
  const { name, value } = flow.authorization.cookie;
  const response = await flow.back();
  turnedAway(await flow.bring(response, new Person()));
  const stranger = new Person();
  stranger.keep(
    shared.url,
    name,
    value.replace(/.$/, (last) => (last === "A" ? "B" : "A")),
  );
  turnedAway(await flow.bring(response, stranger));
  await flow.nothingCame();
});

check("9700-4.7.1 callback in the browser with the binding cookie: completed (case 8)", async () => {
  const flow = await Flow.begin(undefined, { binding: "cookie" });
  flow.person.keep(shared.url, flow.authorization.cookie.name, flow.authorization.cookie.value);
  const { landed } = await flow.bring(await flow.back());
  assert.ok(landed);
  if (landed.searchParams.get("confirmation")) {
    flow.confirmation = landed.searchParams.get("confirmation");
    assert.equal((await flow.confirm()).status, 200);
  }
  assert.equal(await flow.status(), "completed");
  assert.equal(flow.exchanges, 1);
});

/** The victim's application says that the victim has finished what the attacker began. */
async function refusedForVictim(flow, landed) {
  const confirmation = landed.searchParams.get("confirmation");
  const answer = await flow.confirm({ userRef: `victim of ${flow.userRef}`, confirmation });
  assert.equal(answer.status, 403, answer.text);
  assert.match(answer.text, /wrong_user/);
  // It is over for the attacker, too, who may guess but was told nothing.
  for (const guess of ["", confirmation.replace(/./, (first) => (first === "A" ? "B" : "A"))]) {
    const { status } = await flow.confirm({ confirmation: guess });
    assert.ok(status >= 400 && status < 500, String(status));
  }
  const late = await flow.confirm({ confirmation });
  assert.notEqual(late.status, 200, "nor with what the victim's browser was told");
  await flow.nothingCame();
}

check("update-2.3 a flow of an attacker, finished by the victim: no code is exchanged (case 9)", async () => {
  const flow = await Flow.begin();
  const victim = new Person();
  const { landed } = await victim.go(flow.authorization.url);
  await refusedForVictim(flow, landed);
});

check(
  "update-2.3 a link into a flow that an attacker has begun: no code is exchanged (case 10)",
  async () => {
    // The attacker has been sent to the server, and hands the victim the server's URL.
    const begun = await Flow.begin();
    const attacker = new Person();
    const { next } = await attacker.go(begun.authorization.url, {
      stop: (url) => url.startsWith(begun.as.issuer),
    });
    const { landed } = await new Person().go(next);
    await refusedForVictim(begun, landed);

    // The attacker has consented, and hands the victim the way back: the victim would use the attacker's account.
    const consented = await Flow.begin();
    const response = await consented.back(attacker);
    const arrived = await consented.bring(response, new Person());
    await refusedForVictim(consented, arrived.landed);
  },
);

check("6749-10.10 state has 128 bits at least, and says nothing about time (case 11)", async () => {
  const set = await client();
  const states = [];
  for (let number = 0; number < 40; number += 1) {
    const flow = await Flow.begin(set);
    await flow.back();
    states.push(flow.asked.get("state"));
    assert.ok(!states.at(-1).includes(flow.authorization.id));
  }
  assert.equal(new Set(states).size, states.length);
  assert.ok(
    states.every((state) => /^[\w-]{22,}$/.test(state)),
    states[0],
  );
  assert.notDeepEqual(states, states.toSorted());
  assert.notDeepEqual(states, states.toSorted().reverse());
  // However they are made up, 128 of their bits differ as if thrown: no place keeps its letter.
  const places = Array.from(
    { length: states[0].length },
    (_, place) => new Set(states.map((state) => state[place])).size,
  );
  const free = places.filter((letters) => letters > 16).length;
  assert.ok(free * 6 >= 128, `${free} places of ${places.length} are free`);
});

check("9700-4.7.1 tampered state: 400 page, no token request (case 12)", async () => {
  const flow = await Flow.begin();
  const response = await flow.back();
  const state = flow.asked.get("state");
  for (let place = 0; place < state.length; place += 1) {
    const letter = state[place] === "A" ? "B" : "A";
    const other = state.slice(0, place) + letter + state.slice(place + 1);
    page(await flow.bring(changed(response, (fields) => fields.set("state", other))));
  }
  // Bits at the end that decode to nothing, and what only looks alike.
  const last = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  const beside = last[last.indexOf(state.at(-1)) ^ 1];
  for (const other of [
    state.slice(0, -1) + beside,
    `${state}=`,
    ` ${state}`,
    `${state}\n`,
    state.toUpperCase(),
    state.slice(0, -1),
  ]) {
    page(await flow.bring(changed(response, (fields) => fields.set("state", other))));
  }
  await flow.nothingCame();
  assert.ok((await flow.bring(response)).landed);
});
