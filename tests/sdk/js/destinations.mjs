// The destination operations of the SDK, for the kinds that it and Ringback both know.

import assert from "node:assert/strict";
import { check } from "./harness/cases.mjs";
import { place } from "./harness/receiver.mjs";

const secret = "made-up-secret-of-a-destination";

// What a destination of each kind is given, without what it is reached at; and a change of it. What
// is the secret is never shown again.
export const kinds = {
  sqs: [
    {
      queueUrl: "https://sqs.eu-central-1.amazonaws.com/1/orders.fifo",
      accessKeyId: "AKIDEXAMPLE",
      secretAccessKey: secret,
    },
    { region: "eu-west-1" },
  ],
  rabbitMq: [
    { uri: `amqp://shop:${secret}@127.0.0.1:5672/%2F`, routingKey: "orders" },
    { routingKey: "payments" },
  ],
  postgres: [
    { url: "postgres://shop@127.0.0.1/shop", password: secret, tableName: "app.orders" },
    { tableName: "app.payments" },
  ],
};

/** What is there of an object: the SDK makes a key of every setting that it knows. */
const present = (object) =>
  Object.fromEntries(Object.entries(object).filter(([, value]) => value != null));

/** The checks, with what the suite has. */
export function destinations({ api, url, token, application, refused, name }) {
  /** A destination of which nobody was told the secret. */
  const inSecret = (made) => {
    assert.ok(!JSON.stringify(made).includes(secret), "a secret is shown");
    return made;
  };

  for (const [type, [config, change]] of Object.entries(kinds)) {
    check(`a destination of kind ${type}`, async () => {
      const app = await application();
      const uid = name();
      const rest = { uid, eventTypes: ["order.paid"], channels: ["shop"], metadata: { team: "x" } };
      const made = inSecret(await api.destination.create(app, { type, config, ...rest }));
      assert.deepEqual(
        [made.type, made.uid, made.status, made.eventTypes, made.channels, made.metadata],
        [type, uid, "enabled", ["order.paid"], ["shop"], { team: "x" }],
      );
      assert.deepEqual([made.batchSize, made.maxWaitSecs, made.currentIterator], [1, 0, ""]);
      for (const [setting, value] of Object.entries(config)) {
        if (!value.includes(secret)) assert.equal(made.config[setting], value, setting);
      }
      assert.deepEqual(await api.destination.get(app, uid), made);
      const { data } = await api.destination.list(app, { order: "ascending" });
      assert.deepEqual(data, [made]);

      // What was shown, sent back, changes nothing, and the secret stays.
      const shown = present(made.config);
      const put = { type, config: shown, ...rest };
      const { updatedAt } = await api.destination.upsert(app, uid, put);
      assert.deepEqual(await api.destination.get(app, uid), { ...made, updatedAt });
      const patch = { type, config: change, status: "disabled", eventTypes: null };
      const patched = inSecret(await api.destination.patch(app, made.id, patch));
      assert.deepEqual([patched.status, patched.eventTypes], ["disabled", null]);
      assert.deepEqual(present(patched.config), { ...shown, ...change });
      await api.destination.delete(app, uid);
      await refused(api.destination.get(app, uid), 404, ({ code }) => {
        assert.equal(code, "not_found");
      });
      const again = await api.destination.upsert(app, uid, { type, config });
      assert.deepEqual([again.uid, again.id === made.id], [uid, false]);
    });
  }

  check("a message reaches a destination", async () => {
    const app = await application();
    const here = place();
    const config = { ...kinds.sqs[0], endpointUrl: here.url };
    await api.destination.create(app, { type: "sqs", config });
    const { id } = await api.message.create(app, { eventType: "order.paid", payload: { n: 7 } });
    const [{ headers, body }] = await here.wait();
    assert.equal(headers["x-amz-target"], "AmazonSQS.SendMessage");
    const sent = JSON.parse(body);
    assert.deepEqual([sent.MessageBody, sent.MessageDeduplicationId], ['{"n":7}', id]);
  });

  check("wrong destinations are named", async () => {
    const app = await application();
    const [whole] = kinds.sqs;
    for (const [type, config, loc] of [
      ["sqs", { ...whole, queueUrl: "orders" }, ["config", "queueUrl"]],
      ["sqs", { ...whole, secretAccessKey: undefined }, ["config", "secretAccessKey"]],
      ["sqs", { ...whole, roleArn: "arn:aws:iam::1:role/made-up" }, ["config", "roleArn"]],
      ["snowflake", { accountIdentifier: "a-b", userId: "ada", privateKey: secret }, ["type"]],
    ]) {
      await refused(api.destination.create(app, { type, config }), 422, ({ detail }) => {
        assert.deepEqual(
          detail.map((one) => one.loc),
          [["body", ...loc]],
        );
        assert.ok(detail[0].msg && !detail[0].msg.includes(secret));
      });
    }
    assert.deepEqual((await api.destination.list(app)).data, []);
  });

  check("a kind that the SDK does not know has the same shape", async () => {
    const app = await application();
    const here = place();
    const slack = { type: "slack", config: { url: here.url, fields: { text: "{{ body.n }}" } } };
    // The SDK sends the type, and nothing of a configuration that it does not know.
    await refused(api.destination.create(app, slack), 422, ({ detail }) =>
      assert.deepEqual(detail[0].loc, ["body", "config", "url"]),
    );
    const answer = await fetch(`${url}/api/v1/app/${app}/destination`, {
      method: "POST",
      headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
      body: JSON.stringify(slack),
    });
    const made = await answer.json();
    assert.deepEqual([answer.status, made.type, made.config.url], [201, "slack", undefined]);
    await assert.rejects(api.destination.get(app, made.id), /Unexpected type: slack/);
    await api.message.create(app, { eventType: "order.paid", payload: { n: 7 } });
    assert.equal((await here.wait())[0].body.toString(), '{"text":"7"}');
    await api.destination.delete(app, made.id);
  });

  check("a destination has a transformation", async () => {
    const app = await application();
    const { id } = await api.destination.create(app, { type: "sqs", config: kinds.sqs[0] });
    const { transformation } = api.destination;
    const code = "function handler(webhook) { return webhook }";
    await transformation.patch(app, id, { code });
    const there = await transformation.get(app, id);
    assert.deepEqual([there.code, there.enabled], [code, true]);
    await refused(transformation.patch(app, id, { code: "let a = 1" }), 422);
    await transformation.patch(app, id, { code: "" });
    assert.equal((await transformation.get(app, id)).enabled, false);
  });
}
