// What must be found nowhere: neither in what is stored, nor in what is told, nor in what is logged.

import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { join } from "node:path";
import { check, eventually, last, slow } from "./harness/cases.mjs";
import { place } from "./harness/receiver.mjs";
import { Gateway, authorities, client, connected, flows, gateways, server, shared } from "./gateway.mjs";

/** Everything secret that went over the wire during the suite, by what it is. */
function everySecret() {
  const found = new Map();
  const note = (kind, value) => {
    if (typeof value === "string" && value.length >= 16) found.set(value, kind);
  };
  const said = (kind, fields) => {
    for (const name of ["code", "state", "confirmation", "nonce"]) note(name, fields.get(name));
    note(kind, fields.get("response"));
  };
  for (const { seen } of authorities) {
    for (const { form, query, headers, answer } of seen) {
      for (const name of [
        "code",
        "code_verifier",
        "refresh_token",
        "client_secret",
        "client_assertion",
        "token",
        "device_code",
        "state",
        "nonce",
      ])
        note(name, form.get(name));
      for (const name of ["state", "nonce", "request"]) note(name, query.get(name));
      note("bearer token", headers.authorization?.match(/^Bearer (.+)$/)?.[1]);
      note("basic credentials", headers.authorization?.match(/^Basic (.+)$/)?.[1]);
      const location = URL.parse(answer?.headers.location ?? "");
      if (location) said("signed response", location.searchParams);
      if (!answer?.headers["content-type"]?.includes("json") || !answer.body?.length) continue;
      const body = JSON.parse(answer.body);
      for (const name of [
        "access_token",
        "refresh_token",
        "id_token",
        "device_code",
        "client_secret",
        "registration_access_token",
      ])
        note(name, body[name]);
    }
  }
  for (const { authorization, confirmation, registered, person } of flows) {
    note("confirmation", confirmation);
    note("client_secret", registered?.client_secret);
    note("ticket", authorization?.url?.split("/").at(-1));
    note("binding cookie", authorization?.cookie?.value);
    for (const { url } of person.trail) said("signed response", new URL(url).searchParams);
  }
  // What was brought as a state to see it refused is no secret.
  for (const { authorization } of flows) found.delete(authorization?.id);
  return found;
}

/** None of them is in there. */
function holdsNone(where, bytes, secrets) {
  const text = bytes.toString("latin1");
  const kinds = new Map();
  for (const [secret, kind] of secrets) {
    if (text.includes(secret))
      kinds.set(kind, text.slice(Math.max(0, text.indexOf(secret) - 300), text.indexOf(secret) + 20));
  }
  assert.equal(kinds.size, 0, `${where} has ${JSON.stringify([...kinds])}`);
}

last("6749-10.3 no code, state, verifier or token in logs and metrics (case 42)", async () => {
  const secrets = everySecret();
  const kinds = new Set(secrets.values());
  for (const kind of [
    "code",
    "state",
    "code_verifier",
    "access_token",
    "refresh_token",
    "id_token",
    "client_secret",
    "confirmation",
    "ticket",
  ]) {
    assert.ok(kinds.has(kind), `no ${kind} was seen at all: this proves nothing`);
  }
  assert.ok(shared.log.length > 10_000, "it logs");
  for (const gateway of gateways) {
    holdsNone("a log", Buffer.from(gateway.log), secrets);
  }
  holdsNone("metrics", Buffer.from((await shared.call("GET", "/metrics")).text), secrets);
});

last("6749-10.3 no code, state, verifier or token in messages and in the API (case 42)", async () => {
  const secrets = everySecret();
  const applications = new Set(
    flows.filter(({ gateway }) => gateway === shared).map(({ application }) => application),
  );
  assert.ok(applications.size > 10);
  let messages = 0;
  for (const application of applications) {
    for (const path of [
      `/api/v1/app/${application}/msg?limit=250&with_content=true`,
      `/api/v1/connection?application=${application}&limit=250`,
      `/api/v1/authorization?application=${application}&limit=250`,
      `/api/v1/oauth-client?application=${application}&limit=250`,
    ]) {
      const { data } = await shared.ask("GET", path);
      if (path.includes("/msg")) messages += data.length;
      holdsNone(path, Buffer.from(JSON.stringify(data)), secrets);
    }
  }
  assert.ok(messages > 10, "something was told");
});

last("6749-10.3 no code, state, verifier or token in the store (case 54)", () => {
  const secrets = everySecret();
  for (const gateway of gateways) {
    const { stored } = gateway;
    assert.ok(stored.includes("oauth_connection"), "this is the store");
    holdsNone("the store", stored, secrets);
  }
});

check("6749-10.3 applications are told of connections, without a token (case 42)", async () => {
  const set = await client();
  const inbox = place();
  await shared.ask("POST", `/api/v1/app/${set.application}/endpoint`, { url: inbox.url });
  const flow = await connected(set);
  await shared.ask("POST", `/api/v1/connection/${flow.connection.id}/refresh`);
  await shared.ask("POST", `/api/v1/connection/${flow.connection.id}/revoke`);
  const told = (await inbox.wait(3)).map(({ body }) => JSON.parse(body));
  const types = told.map(({ type }) => type).sort();
  assert.deepEqual(types, ["connection.created", "connection.refreshed", "connection.revoked"]);
  for (const { data } of told) {
    assert.equal(data.id, flow.connection.id);
    assert.equal(data.userRef, flow.userRef);
  }
  holdsNone("a message", Buffer.from(JSON.stringify(told)), everySecret());
});

check("6749-10.3 tokens that are put into another row are of no use (case 54)", async () => {
  const gateway = await new Gateway().start();
  const as = await server();
  const [one, two] = [
    await connected(await client({ gateway, as })),
    await connected(await client({ gateway, as })),
  ];
  await gateway.stop();
  const store = new DatabaseSync(join(gateway.data, "ringback.sqlite"));
  const rows = store
    .prepare("SELECT CAST(rowid AS TEXT) AS id, sealed FROM oauth_connection ORDER BY rowid")
    .all();
  assert.equal(rows.length, 2);
  const put = store.prepare("UPDATE oauth_connection SET sealed = ? WHERE rowid = CAST(? AS INTEGER)");
  put.run(rows[1].sealed, rows[0].id);
  put.run(rows[0].sealed, rows[1].id);
  store.close();
  await gateway.start();
  const { length } = as.requests("token");
  for (const { connection } of [one, two]) {
    const answer = await gateway.token(connection.id);
    assert.ok(answer.status >= 400, answer.text);
    assert.ok(!answer.body?.accessToken);
    const refreshed = await gateway.call("POST", `/api/v1/connection/${connection.id}/refresh`);
    assert.ok(refreshed.status >= 400, refreshed.text);
  }
  assert.equal(as.requests("token").length, length, "nor was it sent to the server");
  await gateway.stop();
});

slow("6749-10.3 keys are rotated while the server runs (case 55)", async () => {
  const gateway = await new Gateway().start();
  const flow = await connected(await client({ gateway }));
  const before = await gateway.token(flow.connection.id);
  const sealed = () => {
    const store = new DatabaseSync(join(gateway.data, "ringback.sqlite"), { readOnly: true });
    const { sealed } = store.prepare("SELECT sealed FROM oauth_connection").get();
    store.close();
    return Buffer.from(sealed).toString("hex");
  };
  const old = sealed();
  const keys = (...words) => JSON.parse(gateway.command("keys", ...words, "--json"));
  keys("rotate");
  const listed = await eventually(
    () => keys("list"),
    (all) => all.every(({ seals, values }) => seals || values === 0),
    60_000,
  );
  assert.equal(listed.length, 2);
  assert.notEqual(sealed(), old, "it is sealed anew");
  // What was under way when the key changed may need the old one, so it stays for a minute.
  assert.throws(() => keys("retire"), /less than 60 s ago/);
  // One question after that minute: each holds up whatever else this process serves.
  await new Promise((wake) => setTimeout(wake, 61_000));
  keys("retire");
  const after = await gateway.token(flow.connection.id);
  assert.equal(after.status, 200, after.text);
  assert.equal(after.body.accessToken, before.body.accessToken);
  await gateway.stop();
  await gateway.start();
  assert.equal((await gateway.token(flow.connection.id)).body?.accessToken, before.body.accessToken);
  await gateway.ask("POST", `/api/v1/connection/${flow.connection.id}/refresh`);
  await gateway.stop();
});
