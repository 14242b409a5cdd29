// Vendors' own JavaScript libraries as independent clients of sources.
//
// A library that can sign is the provider: what it signs is accepted, and refused once a digit of
// it changes. A library that can verify is the destination: it gets the exact bytes with the
// provider's own signature, and takes them. Run by `cargo xtask test --only vendors-js`, which
// starts the server.

import assert from "node:assert/strict";
import {
  createHash,
  createHmac,
  createSecretKey,
  generateKeyPairSync,
  randomUUID,
  sign as signWith,
} from "node:crypto";
import { createRequire } from "node:module";
import adyen from "@adyen/api-library";
import * as contentful from "@contentful/node-apps-toolkit";
import easypost from "@easypost/api";
import hubspot from "@hubspot/api-client";
import hygraph from "@hygraph/utils";
import { validateSignature as validateLine } from "@line/bot-sdk";
import { LinearWebhookClient } from "@linear/sdk/webhooks";
import Mux from "@mux/mux-node";
import { signWebhookPayload, verifyWebhookSignature } from "@notionhq/client";
import { sign as signGithub, verify as verifyGithub } from "@octokit/webhooks-methods";
import { Paddle } from "@paddle/paddle-node-sdk";
import { encodeSignatureHeader, isValidSignature as isValidSanity } from "@sanity/webhook";
import sendgrid from "@sendgrid/eventwebhook";
import "@shopify/shopify-api/adapters/node";
import { LogSeverity, shopifyApi } from "@shopify/shopify-api";
import Finch from "@tryfinch/finch-api";
import { WorkOS } from "@workos-inc/node";
import atlassian from "atlassian-jwt";
import braintree from "braintree";
import coinbase from "coinbase-commerce-node";
import { verifyKey as verifyDiscord } from "discord-interactions";
import { AccessToken } from "livekit-server-sdk";
import messagebird from "messagebird/lib/webhook-signature-jwt.js";
import ModernTreasury from "modern-treasury";
import OpenAI from "openai";
import Pusher from "pusher";
import razorpay from "razorpay";
import { validateWebhook as validateReplicate } from "replicate";
import { Resend } from "resend";
import { WebhooksHelper as square } from "square";
import { Webhook as StandardWebhook } from "standardwebhooks";
import Stripe from "stripe";
import { Webhook as SvixWebhook } from "svix";
import Telnyx from "telnyx";
import twilio from "twilio";
import { WebflowClient } from "webflow-api";
import { check, run } from "./harness/cases.mjs";
import { forged, post, requests, secret, shown, source, vendor } from "./sources.mjs";
import "./examples.mjs";

const PusherToken = createRequire(import.meta.url)("pusher/lib/token");

const event = JSON.stringify({ id: "evt_1", type: "order.paid", amount: 1000, name: "Zoë 🚀" });
// White space and an escape that do not survive being read and written again.
const odd = '{ "id":"evt_1",\n  "type":"order.paid", "amount":1000.0, "name":"Zo\\u00eb 🚀" }';
const seconds = () => Math.floor(Date.now() / 1000);
const hmac = (secret, text, encoding) => createHmac("sha256", secret).update(text).digest(encoding);
const whsec = "whsec_" + Buffer.from("thirty-two bytes of a secret key").toString("base64");
const ed25519 = generateKeyPairSync("ed25519");
const ed25519Raw = Buffer.from(ed25519.publicKey.export({ format: "jwk" }).x, "base64url");
const p256 = generateKeyPairSync("ec", { namedCurve: "P-256" });

const stripe = new Stripe("sk_test_1");
vendor("stripe", {
  config: { secret: "whsec_made_up" },
  text: odd,
  sign: (payload) => ({
    headers: {
      "stripe-signature": stripe.webhooks.generateTestHeaderString({
        payload,
        secret: "whsec_made_up",
      }),
    },
  }),
  verify: ({ body, headers }) =>
    stripe.webhooks.constructEvent(body, headers["stripe-signature"], "whsec_made_up"),
});

vendor("github", {
  text: odd,
  sign: async (text) => ({
    headers: {
      "x-hub-signature-256": await signGithub(secret, text),
      "x-github-event": "push",
      "x-github-delivery": randomUUID(),
    },
  }),
  verify: ({ text, headers }) => verifyGithub(secret, text, headers["x-hub-signature-256"]),
});

vendor("standard-webhooks", {
  config: { secret: whsec },
  text: odd,
  sign: (text) => standard(new StandardWebhook(whsec), text, "webhook"),
  resigned: ({ text, headers }, secret) => new StandardWebhook(secret).verify(text, headers),
});

for (const provider of ["svix", "clerk"]) {
  vendor(provider, {
    config: { secret: whsec },
    text: odd,
    sign: (text) => standard(new SvixWebhook(whsec), text, "svix"),
    resigned: ({ text, headers }, secret) => new SvixWebhook(secret).verify(text, headers),
  });
}

vendor("resend", {
  config: { secret: whsec },
  text: odd,
  sign: (text) => standard(new SvixWebhook(whsec), text, "svix"),
  resigned: ({ text: payload, headers }, webhookSecret) => {
    const [id, timestamp, signature] = ["id", "timestamp", "signature"].map(
      (part) => headers[`svix-${part}`],
    );
    const resend = new Resend("re_made_up");
    resend.webhooks.verify({ payload, headers: { id, timestamp, signature }, webhookSecret });
  },
});

vendor("openai", {
  config: { secret: whsec },
  text: odd,
  make: (text) => standard(new StandardWebhook(whsec), text, "webhook"),
  resigned: ({ text, headers }, secret) =>
    new OpenAI({ apiKey: "made-up" }).webhooks.unwrap(text, headers, secret),
});

vendor("replicate", {
  config: { secret: whsec },
  text: odd,
  make: (text) => standard(new StandardWebhook(whsec), text, "webhook"),
  resigned: ({ text: body, headers }, secret) => validateReplicate({ headers, body }, secret),
});

function standard(webhook, text, family) {
  const now = new Date();
  return {
    headers: {
      [`${family}-id`]: "msg_1",
      [`${family}-timestamp`]: String(Math.floor(now.getTime() / 1000)),
      [`${family}-signature`]: webhook.sign("msg_1", now, text),
    },
  };
}

vendor("notion", {
  config: { secret: "secret_made_up" },
  text: odd,
  sign: async (body) => ({
    headers: {
      "x-notion-signature": await signWebhookPayload({ body, verificationToken: "secret_made_up" }),
    },
  }),
  verify: ({ text, headers }) =>
    verifyWebhookSignature({
      body: text,
      signature: headers["x-notion-signature"],
      verificationToken: "secret_made_up",
    }),
});

const contentfulSecret = "0123456789abcdef".repeat(4);
vendor("contentful", {
  config: { secret: contentfulSecret },
  type: "application/vnd.contentful.management.v1+json",
  text: odd,
  sign: (body, { publicUrl }) => {
    const headers = {
      "content-type": "application/vnd.contentful.management.v1+json",
      "x-contentful-topic": "ContentManagement.Entry.publish",
    };
    const path = new URL(publicUrl).pathname;
    const request = { method: "POST", path, headers, body };
    return { headers: { ...headers, ...contentful.signRequest(contentfulSecret, request) } };
  },
  verify: ({ text, headers }, { publicUrl }) => {
    const path = new URL(publicUrl).pathname;
    return contentful.verifyRequest(
      contentfulSecret,
      { method: "POST", path, headers, body: text },
      30,
    );
  },
});

check("atlassian-connect", async () => {
  // The token covers the method, the path and the query, and not the body.
  const of = await source("atlassian-connect", { secret, clientKey: "a-client" });
  const signed = (secret) => {
    const request = atlassian.fromMethodAndUrl("POST", of.publicUrl);
    const claims = { iss: "a-client", iat: seconds(), exp: seconds() + 180 };
    claims.qsh = atlassian.createQueryStringHash(request, false);
    return { authorization: `JWT ${atlassian.encodeSymmetric(claims, secret)}` };
  };
  assert.equal(await post(of, { headers: signed(secret), body: odd }), 200);
  const [delivery] = await of.place.wait(1);
  assert.equal(delivery.body.toString(), odd);
  assert.ok(!("authorization" in delivery.headers), "the token left");
  assert.equal(await post(of, { headers: signed("another secret"), body: event }), 401);
  assert.deepEqual(
    (await requests(of)).map((one) => one.status),
    ["unverified", "accepted"],
  );
  shown.signs.add("atlassian-connect");
});

check("livekit", async () => {
  const of = await source("livekit", {
    secret: "it is a secret of some length ....",
    apiKey: "key",
  });
  const access = new AccessToken("key", "it is a secret of some length ....");
  access.sha256 = createHash("sha256").update(odd).digest("base64");
  const headers = {
    authorization: await access.toJwt(),
    "content-type": "application/webhook+json",
  };
  assert.equal(await post(of, { headers, body: odd }), 200);
  assert.equal((await of.place.wait(1))[0].body.toString(), odd);
  assert.equal(await post(of, { headers, body: forged(odd) }), 401);
  assert.deepEqual(
    (await requests(of)).map((one) => one.status),
    ["unverified", "accepted"],
  );
  shown.signs.add("livekit");
});

const form =
  "AccountSid=AC1&MessageSid=SM1&MessageStatus=delivered&Body=1000+%F0%9F%9A%80&From=%2B1500";
const fields = (text) => Object.fromEntries(new URLSearchParams(text));
vendor("twilio", {
  type: "application/x-www-form-urlencoded",
  text: form,
  sign: (text, { publicUrl }) => ({
    headers: {
      "x-twilio-signature": twilio.getExpectedTwilioSignature(secret, publicUrl, fields(text)),
    },
  }),
  verify: ({ text, headers }, { publicUrl }) =>
    twilio.validateRequest(secret, headers["x-twilio-signature"], publicUrl, fields(text)),
});

const gateway = new braintree.BraintreeGateway({
  environment: braintree.Environment.Sandbox,
  merchantId: "merchant",
  publicKey: "public",
  privateKey: "private",
});
vendor("braintree", {
  config: { secret: "private", publicKeyId: "public" },
  type: "application/x-www-form-urlencoded",
  sign: () => {
    const kind = braintree.WebhookNotification.Kind.SubscriptionWentPastDue;
    const { bt_signature, bt_payload } = gateway.webhookTesting.sampleNotification(kind, "my_id");
    return { body: new URLSearchParams({ bt_signature, bt_payload }).toString() };
  },
  verify: ({ text }) => {
    const { bt_signature, bt_payload } = fields(text);
    return gateway.webhookNotification.parse(bt_signature, bt_payload);
  },
});

vendor("paddle", {
  text: JSON.stringify({
    event_id: "evt_1",
    event_type: "address.created",
    occurred_at: "2026-01-01T00:00:00Z",
    notification_id: "ntf_1",
    data: { id: "add_1", postal_code: "1000" },
  }),
  make: (text) => {
    const ts = seconds();
    return {
      headers: { "paddle-signature": `ts=${ts};h1=${hmac(secret, `${ts}:${text}`, "hex")}` },
    };
  },
  verify: ({ text, headers }) =>
    new Paddle("made-up").webhooks.unmarshal(text, secret, headers["paddle-signature"]),
});

const workos = new WorkOS("sk_made_up");
vendor("workos", {
  // The library signs what it writes itself.
  text: event,
  sign: async (text) => {
    const now = Date.now();
    const signature = await workos.webhooks.computeSignature(now, JSON.parse(text), secret);
    return { headers: { "workos-signature": `t=${now}, v1=${signature}` } };
  },
  verify: ({ text, headers }) =>
    workos.webhooks.verifyHeader({
      payload: JSON.parse(text),
      sigHeader: headers["workos-signature"],
      secret,
    }),
});

vendor("square", {
  text: odd,
  make: (text, { publicUrl }) => ({
    headers: { "x-square-hmacsha256-signature": hmac(secret, publicUrl + text, "base64") },
  }),
  verify: ({ text, headers }, { publicUrl }) =>
    square.verifySignature({
      requestBody: text,
      signatureHeader: headers["x-square-hmacsha256-signature"],
      signatureKey: secret,
      notificationUrl: publicUrl,
    }),
});

vendor("mux", {
  text: odd,
  make: (text) => {
    const t = seconds();
    return { headers: { "mux-signature": `t=${t},v1=${hmac(secret, `${t}.${text}`, "hex")}` } };
  },
  verify: async ({ text, headers }) => {
    const mux = new Mux({ tokenId: "made-up", tokenSecret: "made-up", webhookSecret: secret });
    await mux.webhooks.verifySignature(text, headers);
  },
});

vendor("sanity", {
  text: odd,
  sign: async (text) => ({
    headers: {
      "sanity-webhook-signature": await encodeSignatureHeader(text, Date.now(), secret),
      "idempotency-key": "key-1",
    },
  }),
  verify: ({ text, headers }) => isValidSanity(text, headers["sanity-webhook-signature"], secret),
});

vendor("line", {
  text: odd,
  make: (text) => ({ headers: { "x-line-signature": hmac(secret, text, "base64") } }),
  verify: ({ body, headers }) => validateLine(body, secret, headers["x-line-signature"]),
});

vendor("pusher", {
  text: odd,
  sign: (text) => ({
    headers: {
      "x-pusher-key": "key",
      "x-pusher-signature": new PusherToken("key", secret).sign(text),
    },
  }),
  verify: ({ text, headers }) => {
    const pusher = new Pusher({ appId: "1", key: "key", secret, cluster: "eu" });
    return pusher.webhook({ rawBody: text, headers }).isValid();
  },
});

const hex = "44782DEF547AAA06C910C43932B1EB0C71FC68D9D0C057550C48EC2ACF6BA056";
const adyenItem = {
  pspReference: "RBTEST0000000001",
  originalReference: "",
  merchantAccountCode: "RbTestAccount",
  merchantReference: "order-1",
  amount: { currency: "EUR", value: 1000 },
  eventCode: "AUTHORISATION",
  success: "true",
};
const { hmacValidator: HmacValidator } = adyen;
vendor("adyen", {
  config: { secret: hex },
  sign: () => {
    const hmacSignature = new HmacValidator().calculateHmac(adyenItem, hex);
    const item = { ...adyenItem, additionalData: { hmacSignature } };
    return {
      body: JSON.stringify({
        live: "false",
        notificationItems: [{ NotificationRequestItem: item }],
      }),
    };
  },
  verify: ({ text }) => {
    const [{ NotificationRequestItem: item }] = JSON.parse(text).notificationItems;
    return new HmacValidator().validateHMAC(item, hex);
  },
});
vendor("adyen-platform", {
  config: { secret: hex },
  text: odd,
  sign: (text) => ({ headers: { hmacsignature: new HmacValidator().calculateHmac(text, hex) } }),
  verify: ({ text, headers }) =>
    new HmacValidator().validateHMACSignature(hex, headers.hmacsignature, text),
});

for (const version of ["v1", "v2", "v3"]) {
  const header = version === "v3" ? "x-hubspot-signature-v3" : "x-hubspot-signature";
  const options = (text, { publicUrl }, timestamp) => ({
    method: "POST",
    signatureVersion: version,
    clientSecret: secret,
    requestBody: text,
    url: publicUrl,
    timestamp,
  });
  vendor(`hubspot-${version}`, {
    text: `[${odd}]`,
    sign: (text, of) => {
      const now = Date.now();
      const signature = hubspot.Signature.getSignature("POST", version, options(text, of, now));
      return {
        headers: {
          [header]: signature,
          "x-hubspot-signature-version": version,
          "x-hubspot-request-timestamp": String(now),
        },
      };
    },
    verify: ({ text, headers }, of) => {
      const timestamp = Number(headers["x-hubspot-request-timestamp"]);
      return hubspot.Signature.isValid({
        ...options(text, of, timestamp),
        signature: headers[header],
      });
    },
  });
}

for (const [provider, type] of [
  ["discord", '"type":1,"event":{"type":"ENTITLEMENT_CREATE"}'],
  ["discord-interactions", '"type":2'],
]) {
  const text = odd.replace('"type":"order.paid"', type);
  vendor(provider, {
    config: { publicKey: ed25519Raw.toString("hex") },
    text,
    make: (text) => {
      const t = String(seconds());
      const signature = signWith(null, Buffer.from(t + text), ed25519.privateKey).toString("hex");
      return { headers: { "x-signature-ed25519": signature, "x-signature-timestamp": t } };
    },
    verify: ({ body, headers }) =>
      verifyDiscord(
        body,
        headers["x-signature-ed25519"],
        headers["x-signature-timestamp"],
        ed25519Raw.toString("hex"),
      ),
  });
}

vendor("telnyx", {
  config: { publicKey: ed25519Raw.toString("base64") },
  text: odd,
  make: (text) => {
    const t = String(seconds());
    const signature = signWith(null, Buffer.from(`${t}|${text}`), ed25519.privateKey).toString(
      "base64",
    );
    return { headers: { "telnyx-signature-ed25519": signature, "telnyx-timestamp": t } };
  },
  verify: async ({ text, headers }) => {
    const key = ed25519Raw.toString("base64");
    const telnyx = new Telnyx({ apiKey: "made-up", publicKey: key });
    await telnyx.webhooks.unwrap(text, { headers, key });
  },
});

const p256Key = p256.publicKey.export({ type: "spki", format: "der" }).toString("base64");
vendor("sendgrid", {
  config: { publicKey: p256Key },
  text: `[${odd}]\r\n`,
  make: (text) => {
    const t = String(seconds());
    const signature = signWith("sha256", Buffer.from(t + text), p256.privateKey).toString("base64");
    return {
      headers: {
        "x-twilio-email-event-webhook-signature": signature,
        "x-twilio-email-event-webhook-timestamp": t,
      },
    };
  },
  verify: ({ body, headers }) => {
    const events = new sendgrid.EventWebhook();
    return events.verifySignature(
      events.convertPublicKeyToECDSA(p256Key),
      body,
      headers["x-twilio-email-event-webhook-signature"],
      headers["x-twilio-email-event-webhook-timestamp"],
    );
  },
});

vendor("razorpay", {
  text: odd,
  make: (text) => ({ headers: { "x-razorpay-signature": hmac(secret, text, "hex") } }),
  verify: ({ text, headers }) =>
    razorpay.validateWebhookSignature(text, headers["x-razorpay-signature"], secret),
});

vendor("linear", {
  make: () => {
    const now = Date.now();
    const body = JSON.stringify({ type: "Issue", amount: 1000, webhookTimestamp: now });
    const signature = hmac(secret, body, "hex");
    return { headers: { "linear-signature": signature, "linear-delivery": "1" }, body };
  },
  verify: ({ body, headers }) =>
    new LinearWebhookClient(secret).verify(body, headers["linear-signature"]),
});

vendor("easypost", {
  text: odd,
  make: (text) => ({
    headers: { "x-hmac-signature": `hmac-sha256-hex=${hmac(secret, text, "hex")}` },
  }),
  verify: ({ body, headers }) =>
    new easypost("made-up").Utils.validateWebhook(
      body,
      { "X-Hmac-Signature": headers["x-hmac-signature"] },
      secret,
    ),
});

vendor("coinbase-commerce", {
  text: '{ "id":"1", "event": {"id":"2","type":"charge:confirmed","amount":1000.0} }',
  sign: (text) => ({
    headers: { "x-cc-webhook-signature": coinbase.Webhook.computeSignature(text, secret) },
  }),
  verify: ({ text, headers }) =>
    coinbase.Webhook.verifyEventBody(text, headers["x-cc-webhook-signature"], secret),
});

vendor("finch", {
  config: { secret: Buffer.from("thirty-two bytes of a secret key").toString("base64") },
  text: odd,
  make: (text) => {
    const { headers } = standard(new StandardWebhook(whsec), text, "webhook");
    return {
      headers: {
        "finch-event-id": headers["webhook-id"],
        "finch-timestamp": headers["webhook-timestamp"],
        "finch-signature": headers["webhook-signature"],
      },
    };
  },
  verify: ({ text, headers }) =>
    new Finch().webhooks.verifySignature(text, headers, whsec.slice("whsec_".length)),
});

const treasury = new ModernTreasury({ apiKey: "made-up", organizationID: "made-up" });
vendor("modern-treasury", {
  text: odd,
  sign: (text) => ({
    headers: {
      "x-signature": treasury.webhooks.getSignature(text, { key: secret }),
      "x-topic": "order",
    },
  }),
  verify: ({ text, headers }) =>
    treasury.webhooks.validateSignature(text, headers["x-signature"], { key: secret }),
});

vendor("webflow", {
  text: odd,
  make: (text) => {
    const now = String(Date.now());
    const signature = hmac(secret, `${now}:${text}`, "hex");
    return { headers: { "x-webflow-timestamp": now, "x-webflow-signature": signature } };
  },
  verify: ({ text, headers }) =>
    new WebflowClient({ accessToken: "made-up" }).webhooks.verifySignature({
      headers,
      body: text,
      secret,
    }),
});

vendor("hygraph", {
  text: odd,
  sign: (rawPayload) => ({
    headers: { "gcms-signature": hygraph.generateWebhookSignature({ rawPayload, secret }) },
  }),
  verify: ({ text: rawPayload, headers }) =>
    hygraph.verifyWebhookSignature({ rawPayload, signature: headers["gcms-signature"], secret }),
});

vendor("messagebird", {
  text: odd,
  make: (text, { publicUrl }) => {
    const digest = (text) => createHash("sha256").update(text).digest("hex");
    const claims = { iss: "MessageBird", jti: randomUUID(), nbf: seconds(), exp: seconds() + 60 };
    const hashes = { url_hash: digest(publicUrl), payload_hash: digest(text) };
    const parts = [{ alg: "HS256" }, { ...claims, ...hashes }].map((part) =>
      Buffer.from(JSON.stringify(part)).toString("base64url"),
    );
    const token = parts.join(".");
    return {
      headers: { "messagebird-signature-jwt": `${token}.${hmac(secret, token, "base64url")}` },
    };
  },
  verify: async ({ body, headers }, { publicUrl }) => {
    const token = headers["messagebird-signature-jwt"];
    await messagebird.verify(publicUrl, body, token, createSecretKey(Buffer.from(secret)));
  },
});

const shopify = shopifyApi({
  apiKey: "made-up",
  apiSecretKey: secret,
  apiVersion: "2026-01",
  hostName: "app.example.com",
  isEmbeddedApp: false,
  logger: { level: LogSeverity.Error },
});
vendor("shopify", {
  text: odd,
  make: (text) => ({
    headers: {
      "x-shopify-hmac-sha256": hmac(secret, text, "base64"),
      "x-shopify-topic": "orders/create",
      "x-shopify-shop-domain": "made-up.myshopify.com",
      "x-shopify-api-version": "2026-01",
      "x-shopify-webhook-id": randomUUID(),
    },
  }),
  verify: async ({ text: rawBody, headers }) => {
    const rawRequest = { headers, method: "POST", url: "/" };
    return (await shopify.webhooks.validate({ rawBody, rawRequest })).valid;
  },
});

check("there are enough of them", () => {
  for (const [what, providers] of Object.entries(shown)) {
    console.log(`  ${what}: ${[...providers].sort().join(" ")}`);
  }
  assert.ok(shown.signs.size >= 12 && shown.verifies.size >= 12);
});

await run();
