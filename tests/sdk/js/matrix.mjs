// Every operation that the installed SDK has, read from the SDK, against what the server says.
//
// What the server's OpenAPI document has is called with things that exist, and has to succeed.
// Whatever else the SDK has answers 501 `not_implemented`; which of them may is the Python
// suite's matter.

import assert from "node:assert/strict";
import { kinds } from "./destinations.mjs";

/** Method and path without the names of its parameters. */
const shape = (method, path) => `${method} ${path.replaceAll(/\{\w+\}/g, "{}")}`;

/** The name, request and function of every operation of the SDK. */
function* operations(resource, names = []) {
  const prototype = Object.getPrototypeOf(resource);
  const members = Object.getOwnPropertyDescriptors(prototype);
  delete members.constructor;
  for (const [name, { get, value }] of Object.entries(members)) {
    if (get) yield* operations(resource[name], [...names, name]);
    const request = value?.toString().match(/new SvixRequest\("(\w+)", "([^"]+)"\)/);
    if (!request) continue;
    const [, method, path] = request;
    const parameters = value.toString().match(/\(([^)]*)\)/)[1].split(",");
    const required = parameters.map((one) => one.trim()).filter((one) => one && one !== "options");
    const call = (things) => resource[name](...required.map((one) => argument(one, things)));
    yield { name: [...names, name].join("."), method, path, call };
  }
}

const hour = 3_600_000;

/** What each kind of body needs, by the parameter's name. */
const bodies = {
  appUsageStatsIn: () => ({ since: new Date(Date.now() - hour), until: new Date() }),
  applicationIn: ({ name }) => ({ name: name() }),
  bulkExpungeContentsIn: ({ msgId }) => ({ ids: [msgId] }),
  bulkReplayIn: () => ({ since: new Date(Date.now() - hour) }),
  destinationIn: () => ({ type: "sqs", config: kinds.sqs[0] }),
  destinationPatch: () => ({ type: "sqs", config: {} }),
  endpointHeadersIn: () => ({ headers: {} }),
  endpointHeadersPatchIn: () => ({ headers: {} }),
  endpointIn: ({ place }) => ({ url: place().url }),
  endpointUpsertIn: ({ place }) => ({ url: place().url }),
  eventExampleIn: ({ eventTypeName }) => ({ eventType: eventTypeName }),
  eventTypeImportOpenApiIn: () => ({ spec: { webhooks: { "matrix.imported": { post: {} } } } }),
  eventTypeIn: ({ name }) => ({ name: name(), description: "d" }),
  eventTypeUpsertIn: () => ({ description: "d" }),
  ingestEndpointHeadersIn: () => ({ headers: {} }),
  ingestEndpointIn: ({ place }) => ({ url: place().url }),
  ingestEndpointUpsertIn: ({ place }) => ({ url: place().url }),
  ingestSourceIn: ({ name }) => ({ name: name(), type: "generic-webhook", config: {} }),
  messageIn: ({ eventTypeName }) => ({ eventType: eventTypeName, payload: {} }),
  messagePrecheckIn: ({ eventTypeName }) => ({ eventType: eventTypeName }),
  operationalWebhookEndpointHeadersIn: () => ({ headers: {} }),
  operationalWebhookEndpointIn: ({ place }) => ({ url: place().url }),
  operationalWebhookEndpointUpsertIn: ({ place }) => ({ url: place().url }),
  pollingEndpointConsumerSeekIn: () => ({ after: new Date(Date.now() - hour) }),
  recoverIn: () => ({ since: new Date(Date.now() - hour) }),
  replayIn: () => ({ since: new Date(Date.now() - hour) }),
};

/** What is passed for a parameter such as `appId`, `endpointIn` or `recoverIn = {}`. */
function argument(parameter, things) {
  const name = parameter.split("=")[0].trim();
  return things[name] ?? bodies[name]?.(things) ?? {};
}

/** One of each thing that a path can name. */
async function world({ api, place, name, eventually }, path) {
  const appId = (await api.application.create({ name: "Matrix", uid: name() })).id;
  const operational = path.includes("/operational-webhook/");
  const endpoint = await api.endpoint.create(appId, { url: place().url });
  const told = operational && (await api.operationalWebhook.endpoint.create({ url: place().url }));
  const ingest = path.includes("/ingest/") && (await ingesting(api, { place, name }));
  const eventTypeName = name();
  const schemas = { 1: { type: "object", examples: [{}] } };
  await api.eventType.create({ name: eventTypeName, description: "d", schemas });
  const message = { eventType: eventTypeName, payload: {} };
  const msgId = (await api.message.create(appId, message)).id;
  const list = () => api.messageAttempt.listByMsg(appId, msgId);
  const [attempt] = (await eventually(list, ({ data }) => data.length)).data;
  const since = new Date(Date.now() - hour);
  const recover = () => api.endpoint.recover(appId, endpoint.id, { since });
  const target = path.includes("{destination_id}") && bodies.destinationIn();
  const task = path.includes("{task_id}") && (await recover());
  const reading = path.includes("{sink_id}") && { type: "pollingEndpoint", config: {} };
  return {
    appId,
    destinationId: target && (await api.destination.create(appId, target)).id,
    endpointId: (told || ingest.endpoint || endpoint).id,
    eventTypeName,
    msgId,
    attemptId: attempt.id,
    taskId: task.id,
    sinkId: reading && (await api.destination.create(appId, reading)).id,
    consumerId: name(),
    sourceId: ingest.source?.id,
  };
}

/** A source and an endpoint of it. */
async function ingesting(api, things) {
  const source = await api.ingest.source.create(bodies.ingestSourceIn(things));
  const endpoint = await api.ingest.endpoint.create(source.id, bodies.ingestEndpointIn(things));
  return { source, endpoint };
}

/** The checks, to be run. */
export async function matrix(ground) {
  const { api, url, token, Svix, place, name } = ground;
  const { paths } = await (await fetch(`${url}/api/v1/openapi.json`)).json();
  const built = new Set();
  for (const [path, item] of Object.entries(paths)) {
    for (const method of Object.keys(item)) built.add(shape(method.toUpperCase(), path));
  }
  const found = [...operations(api)];
  assert.ok(found.length > 130, `${found.length} operations`);
  return found.map(({ name: operation, method, path, call }) => ({
    name: operation,
    run: built.has(shape(method, path))
      ? async () => {
          const things = { ...(await world(ground, path)), place, name };
          if (operation !== "authentication.logout") return call(things);
          // It ends the token that it is called with, so that must not be the one of all cases.
          const access = await api.authentication.appPortalAccess(things.appId, {});
          return new Svix(access.token, { serverUrl: url }).authentication.logout();
        }
      : async () => {
          const body = method === "GET" || method === "DELETE" ? undefined : "{}";
          const headers = { authorization: `Bearer ${token}` };
          const nowhere = url + path.replaceAll(/\{\w+\}/g, "x");
          const answer = await fetch(nowhere, { method, headers, body });
          const { code } = await answer.json();
          // Who may log out is looked at first.
          const refused = operation === "authentication.logout" && answer.status === 403;
          assert.ok(refused || (answer.status === 501 && code === "not_implemented"), code);
        },
  }));
}
