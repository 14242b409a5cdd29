// Vendors' own JavaScript libraries beside destinations: given the same, they send the same.
//
// A real delivery and a call of the library go to receivers on loopback, and are compared: method,
// path, query, the headers that matter, and what the body says. Where a library can judge what
// arrives, it is asked. What is too large and how each vendor says when to come again are here too.
// Run by `cargo xtask test --only destinations-js`, which starts the server.

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { createRequire } from "node:module";
import { Sha256 } from "@aws-crypto/sha256-js";
import { SQSClient, SendMessageCommand } from "@aws-sdk/client-sqs";
import { BrevoClient } from "@getbrevo/brevo";
import { PipelineTriggerTokens } from "@gitbeaker/rest";
import hubspot from "@hubspot/api-client";
import mailchimp from "@mailchimp/mailchimp_marketing";
import { MessageActivity } from "@microsoft/teams.api";
import { AdaptiveCard, TextBlock } from "@microsoft/teams.cards";
import { Octokit } from "@octokit/rest";
import { IncomingWebhook } from "@slack/webhook";
import { SignatureV4 } from "@smithy/signature-v4";
import { EmbedBuilder, WebhookClient } from "discord.js";
import Jenkins from "jenkins";
import { run } from "./harness/cases.mjs";
import { complete, event, vendor } from "./vendors.mjs";

// Its modules for Node.js name files that only bundlers find.
const cards = createRequire(import.meta.url)("adaptivecards/dist/adaptivecards.js");

const { email, name, amount } = event;
const secret = "made-up";
const md5 = (text) => createHash("md5").update(text).digest("hex");
/** The part of an authorization that proves something: GitHub calls it `token`, or `Bearer`. */
const credentials = (value) => value.split(" ")[1];
const retryAfter = (status) => () => ({ status, headers: { "retry-after": "3" }, body: {} });

// --- chat

const blocks = [{ type: "section", text: { type: "mrkdwn", text: `*${name.length}*` } }];
vendor("slack", {
  config: ({ origin }) => ({
    url: `${origin}/services/T0/B0/${secret}`,
    fields: { text: "{{ body.name }} paid", blocks, thread_ts: "1503435956.000247" },
  }),
  good: { status: 200, body: "ok" },
  client: ({ origin }) => {
    const webhook = new IncomingWebhook(`${origin}/services/T0/B0/${secret}`);
    return webhook.send({ text: `${name} paid`, blocks, thread_ts: "1503435956.000247" });
  },
  large: {
    "a text of more than 40,000 characters is cut": {
      payload: { text: "é".repeat(40_001) },
      fields: { text: "{{ body.text }}" },
      sent: ({ text }) => assert.equal(text, "é".repeat(40_000)),
    },
    "what it refuses is not tried again": {
      answer: { status: 400, body: "invalid_blocks" },
    },
  },
  busy: { "Retry-After is heard": { answer: retryAfter(429), wait: 3 } },
});

const embed = {
  title: "Paid",
  description: name,
  color: 0x00ff00,
  fields: [{ name: "a", value: "b" }],
};
vendor("discord", {
  config: ({ origin }) => ({
    url: `${origin}/api/v10/webhooks/1/${secret}`,
    fields: { content: "@everyone {{ body.name }}", embeds: [embed], username: "Shop" },
  }),
  good: { status: 200, body: { id: "1" } },
  client: ({ origin }) => {
    const rest = { api: `${origin}/api` };
    const made = new EmbedBuilder()
      .setTitle(embed.title)
      .setDescription(embed.description)
      .setColor(embed.color)
      .addFields(embed.fields);
    return new WebhookClient({ id: "1", token: secret }, { rest }).send({
      content: `@everyone ${name}`,
      embeds: [made],
      username: "Shop",
      allowedMentions: { parse: [] },
    });
  },
  large: {
    "a text of more than 2,000 characters is cut": {
      payload: { text: "é".repeat(2_001) },
      fields: { content: "{{ body.text }}" },
      sent: ({ content }) => assert.equal(content, "é".repeat(2_000)),
    },
    "what it refuses is not tried again": {
      answer: {
        status: 400,
        body: { embeds: ["Must be 10 or fewer in length."] },
      },
    },
  },
  busy: {
    "the wait in the body is heard": {
      answer: () => ({
        status: 429,
        headers: { "retry-after": "3", "x-ratelimit-reset-after": "2.4" },
        body: { message: "You are being rate limited.", retry_after: 2.4, global: false },
      }),
      wait: 2.4,
    },
    "so is Retry-After of what stands before it": { answer: retryAfter(429), wait: 3 },
  },
});

vendor("microsoft-teams", {
  config: ({ origin }) => ({
    url: `${origin}/workflows/1?sig=${secret}`,
    fields: { text: "{{ body.name }} paid" },
  }),
  good: { status: 202, body: "" },
  client: ({ origin }) => {
    const card = new AdaptiveCard(new TextBlock(`${name} paid`, { wrap: true }));
    card.version = "1.4";
    card.$schema = "http://adaptivecards.io/schemas/adaptive-card.json";
    const activity = new MessageActivity().addCard("adaptive", card);
    return fetch(`${origin}/workflows/1?sig=${secret}`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(activity),
    });
  },
  // An activity knows where it came from; workflows take messages of the older form without.
  unsaid: ["channelId", "text"],
  accepts: ({ body }) => {
    const [{ content }] = JSON.parse(body).attachments;
    assert.deepEqual(mistakes(content), []);
    content.body[0].type = "TextBlok";
    assert.equal(mistakes(content).length, 1);
  },
  large: {
    "what is larger than 28 KiB is not sent": {
      payload: { text: "x".repeat(28 * 1024) },
      fields: { text: "{{ body.text }}" },
      refused: /bytes, and 28672 are taken/,
    },
  },
  busy: { "Retry-After is heard": { answer: retryAfter(429), wait: 3 } },
});

/** What Microsoft's library finds wrong with a card. */
function mistakes(content) {
  const context = new cards.SerializationContext();
  const card = new cards.AdaptiveCard();
  card.parse(content, context);
  const noticed = Array.from({ length: context.eventCount }, (_, at) => context.getEventAt(at));
  return [...noticed, ...card.validateProperties().validationEvents].map((one) => one.message);
}

// --- builds

const github = {
  headers: { authorization: credentials },
  client:
    (request) =>
    async ({ origin }) => {
      await request(new Octokit({ auth: secret, baseUrl: origin }).rest);
    },
  busy: {
    "Retry-After of a 403 is heard": { answer: retryAfter(403), wait: 3 },
    "so is the time when its limit ends": {
      answer: (now) => ({
        status: 403,
        headers: { "x-ratelimit-remaining": "0", "x-ratelimit-reset": String(now + 4) },
        body: { message: "API rate limit exceeded for user ID 1." },
      }),
      // It is written in whole seconds.
      wait: 3,
    },
  },
};
const repository = { owner: "example", repo: "shop" };
vendor("github-actions", {
  config: ({ origin: url }) => ({
    url,
    repository: "example/shop",
    token: secret,
    fields: { event_type: "paid", client_payload: { amount: "{{ body.amount }}", id: "1" } },
  }),
  good: { status: 204 },
  headers: github.headers,
  client: github.client((rest) =>
    rest.repos.createDispatchEvent({
      ...repository,
      event_type: "paid",
      client_payload: { amount, id: "1" },
    }),
  ),
  large: {
    "more than 64 KiB are not sent": {
      payload: { text: "x".repeat(65_536) },
      fields: { client_payload: { text: "{{ body.text }}" } },
      refused: /bytes, and 65536 are taken/,
    },
    "more than 10 fields are refused, and not tried again": {
      fields: { client_payload: Object.fromEntries([..."abcdefghijk"].map((key) => [key, 1])) },
      answer: {
        status: 422,
        body: { message: "Invalid request.\n\nNo more than 10 properties are allowed." },
      },
    },
  },
  busy: github.busy,
});

vendor("github-workflow", {
  config: ({ origin: url }) => ({
    url,
    repository: "example/shop",
    workflow: "deploy.yml",
    token: secret,
    fields: { ref: "main", inputs: { name: "{{ body.name }}" } },
  }),
  good: { status: 204 },
  headers: github.headers,
  client: github.client((rest) =>
    rest.actions.createWorkflowDispatch({
      ...repository,
      workflow_id: "deploy.yml",
      ref: "main",
      inputs: { name },
    }),
  ),
  busy: github.busy,
});

// Of GitLab and Jenkins there are no libraries by themselves; these are what people use.
vendor("gitlab-pipeline", {
  independent: true,
  config: ({ origin: url }) => ({
    url,
    project: "42",
    token: secret,
    fields: { ref: "main", variables: { EMAIL: "{{ body.email }}", AMOUNT: "{{ body.amount }}" } },
  }),
  good: { status: 201, body: {} },
  merged: true,
  client: ({ origin: host }) =>
    new PipelineTriggerTokens({ host, token: "of-the-api" }).trigger(42, "main", secret, {
      variables: { EMAIL: email, AMOUNT: String(amount) },
    }),
  busy: { "Retry-After is heard": { answer: retryAfter(429), wait: 3 } },
});

vendor("jenkins-job", {
  independent: true,
  config: ({ origin }) => ({
    url: `${origin}/job/shop/job/deploy`,
    user: "ada",
    apiToken: secret,
    token: "of-the-job",
    fields: { parameters: { NAME: "{{ body.name }}", AMOUNT: "{{ body.amount }}" } },
  }),
  good: { status: 201, headers: { location: "http://127.0.0.1/queue/item/1/" } },
  merged: true,
  headers: { authorization: String },
  // It cannot say why it is called.
  unsaid: ["cause"],
  client: ({ host }) =>
    new Jenkins({ baseUrl: `http://ada:${secret}@${host}`, crumbIssuer: false }).job.build({
      name: ["shop", "deploy"],
      token: "of-the-job",
      parameters: { NAME: name, AMOUNT: String(amount) },
    }),
});

// --- contacts

vendor("hubspot-contact", {
  config: ({ origin: url }) => ({
    url,
    token: secret,
    fields: { email: "{{ body.email }}", properties: { firstname: "{{ body.name }}" } },
  }),
  good: {
    status: 200,
    body: { status: "COMPLETE", results: [], startedAt: "2026-01-01", completedAt: "2026-01-01" },
  },
  headers: { authorization: String },
  client: ({ origin: basePath }) => {
    const { batchApi } = new hubspot.Client({ accessToken: secret, basePath }).crm.contacts;
    const properties = { firstname: name };
    return batchApi.upsert({ inputs: [{ id: email, idProperty: "email", properties }] });
  },
  busy: {
    "a limit of ten seconds is known by its name": {
      answer: () => ({ status: 429, body: { policyName: "TEN_SECONDLY_ROLLING" } }),
      wait: 10,
    },
    "an account that is being moved says how long": { answer: retryAfter(477), wait: 3 },
  },
});

vendor("mailchimp-member", {
  config: ({ origin: url }) => ({
    url,
    apiKey: `${secret}-us21`,
    dataCenter: "us21",
    audience: "a1",
    fields: {
      email: "{{ body.email }}",
      status: "subscribed",
      merge_fields: { FNAME: "{{ body.name }}" },
      language: "en",
    },
  }),
  good: { status: 200, body: {} },
  // The name of the user does not matter.
  headers: { authorization: (value) => atob(credentials(value)).split(":")[1] },
  client: ({ origin }) => {
    mailchimp.setConfig({ apiKey: `${secret}-us21`, server: "us21" });
    mailchimp.basePath = `${origin}/3.0`;
    return mailchimp.lists.setListMember("a1", md5(email.toLowerCase()), {
      email_address: email,
      status_if_new: "subscribed",
      merge_fields: { FNAME: name },
      language: "en",
    });
  },
});

vendor("brevo-contact", {
  config: ({ origin: url }) => ({
    url,
    apiKey: secret,
    fields: {
      email: "{{ body.email }}",
      attributes: { FIRSTNAME: "{{ body.name }}" },
      listIds: [3],
    },
  }),
  good: { status: 201, body: { id: 1 } },
  headers: { "api-key": String },
  client: ({ origin }) =>
    new BrevoClient({ apiKey: secret, baseUrl: `${origin}/v3` }).contacts.createContact({
      email,
      attributes: { FIRSTNAME: name },
      listIds: [3],
      updateEnabled: true,
    }),
  busy: {
    "its own header is heard": {
      answer: () => ({ status: 429, headers: { "x-sib-ratelimit-reset": "3" }, body: {} }),
      wait: 3,
    },
  },
});

// --- queues

const region = "eu-central-1";
const keys = { accessKeyId: "AKIDEXAMPLE", secretAccessKey: secret };
vendor("sqs", {
  config: ({ origin }) => ({
    queueUrl: `${origin}/1/orders.fifo`,
    region,
    ...keys,
    fields: { body: "{{ text }}", groupId: "{{ body.email }}" },
  }),
  // The library holds what was sent against what is answered.
  good: ({ body }) => {
    const MD5OfMessageBody = md5(JSON.parse(body).MessageBody);
    return { status: 200, body: { MessageId: "1", MD5OfMessageBody } };
  },
  headers: { "x-amz-target": String },
  client: ({ origin }, { id }) => {
    const client = new SQSClient({ region, endpoint: origin, credentials: { ...keys } });
    const text = (StringValue) => ({ DataType: "String", StringValue });
    return client.send(
      new SendMessageCommand({
        QueueUrl: `${origin}/1/orders.fifo`,
        MessageBody: JSON.stringify(event),
        MessageGroupId: email,
        MessageDeduplicationId: id,
        MessageAttributes: { "event-type": text("order.paid"), "event-id": text(id) },
      }),
    );
  },
  accepts: async ({ method, path, headers, body }, { host }) => {
    const date = headers["x-amz-date"].replace(/^(.{4})(..)(..T..)(..)(..Z)$/, "$1-$2-$3:$4:$5");
    const signer = new SignatureV4({
      credentials: keys,
      region,
      service: "sqs",
      sha256: Sha256,
      applyChecksum: false,
    });
    const [hostname, port] = host.split(":");
    const signed = Object.fromEntries(
      ["content-type", "x-amz-target"].map((name) => [name, headers[name]]),
    );
    const request = { method, protocol: "http:", hostname, port, path, body };
    const expect = await signer.sign(
      { ...request, query: {}, headers: { host, ...signed } },
      { signingDate: new Date(date) },
    );
    assert.equal(headers.authorization, expect.headers.authorization);
  },
  large: {
    "what is larger than 1 MiB is not sent": {
      // Each of them is two bytes in JSON.
      payload: { text: '"'.repeat(120_000) },
      fields: { body: "{{ body.text }}".repeat(5) },
      refused: /bytes, and 1048576 are taken/,
    },
  },
});

complete();
await run();
