// The Model Context Protocol as others speak it, against `ringback mcp`.
//
// First the official conformance suites, on a fixture that has the tools they want behind our own
// doors of the protocol (crates/gateway/examples/mcp_conformance.rs), and on the real program as far
// as they ask for nothing that Ringback does not have. Then the official client, over the standard
// streams and HTTP, doing what agents do. Run by `cargo xtask test --only mcp`.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createServer, request as httpRequest } from "node:http";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StdioClientTransport } from "@modelcontextprotocol/sdk/client/stdio.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import { check, eventually, run } from "./harness/cases.mjs";
import { place } from "./harness/receiver.mjs";

const { RINGBACK_URL: url, RINGBACK_TOKEN: token } = process.env;
const { RINGBACK_PROGRAM: program, RINGBACK_MCP_FIXTURE: fixture } = process.env;

async function call(method, path, body, bearer = token) {
  const headers = { authorization: `Bearer ${bearer}`, "content-type": "application/json" };
  const answer = await fetch(url + path, { method, headers, body: body && JSON.stringify(body) });
  const text = await answer.text();
  assert.ok(answer.ok, `${method} ${path}: ${answer.status} ${text}`);
  return text && JSON.parse(text);
}

/** A process that says where it listens; it ends when its standard input does, or when told. */
async function listening(command, words) {
  const child = spawn(command, words, { stdio: ["pipe", "pipe", "inherit"] });
  process.on("exit", () => child.kill());
  const lines = createInterface({ input: child.stdout });
  const [line] = await once(lines, "line", { signal: AbortSignal.timeout(30_000) });
  return { child, url: line.replace("listening on ", "") };
}

const served = {
  fixture: await listening(fixture, []),
  program: await listening(program, ["mcp", "--http", "127.0.0.1:0", "--url", url]),
};

/** In front of a server: adds a token, which the conformance suites cannot send, and nothing else. */
async function withToken(target) {
  const { hostname, port } = new URL(target);
  const proxy = createServer((request, response) => {
    const headers = { ...request.headers, authorization: `Bearer ${token}` };
    const { method, url: path } = request;
    const passed = httpRequest({ hostname, port, method, path, headers }, (answer) => {
      response.writeHead(answer.statusCode, answer.headers);
      response.flushHeaders();
      answer.pipe(response);
    });
    passed.on("error", () => response.destroy());
    response.on("close", () => passed.destroy());
    request.pipe(passed);
  });
  proxy.listen(0, "127.0.0.1");
  await once(proxy, "listening");
  return `http://127.0.0.1:${proxy.address().port}/mcp`;
}

const doors = {
  fixture: await withToken(served.fixture.url),
  program: await withToken(served.program.url),
};

/**
 * Runs one scenario of a conformance suite; it says itself whether it passed. `warns` is the one check
 * that it only warns about, and has to.
 */
async function scenario(suite, name, on, { version, warns } = {}) {
  const main = fileURLToPath(new URL(`./node_modules/${suite}/dist/index.js`, import.meta.url));
  const words = [main, "server", "--url", doors[on], "--scenario", name];
  if (version) words.push("--spec-version", version);
  const child = spawn(process.execPath, words, { stdio: ["ignore", "pipe", "pipe"] });
  let said = "";
  child.stdout.on("data", (some) => (said += some));
  child.stderr.on("data", (some) => (said += some));
  const [code] = await once(child, "close");
  assert.equal(code, 0, said);
  const counted = /Passed: (\d+)\/(\d+), (\d+) failed, (\d+) warnings/.exec(said);
  assert.ok(counted, said);
  const [, passed, all, failed, warnings] = counted.map(Number);
  // A scenario that checks nothing, or that only warns, has shown nothing.
  assert.ok(passed > 0 && passed === all && failed === 0, said);
  assert.equal(warnings, warns ? 1 : 0, said);
  if (warns) assert.match(said, new RegExp(`\\[${warns}\\][^\\n]*WARNING`), said);
}

const RELEASED = "@modelcontextprotocol/conformance";
const NEXT = "conformance-next";

for (const name of [
  "server-initialize",
  "logging-set-level",
  "ping",
  "completion-complete",
  "tools-list",
  "tools-call-simple-text",
  "tools-call-image",
  "tools-call-audio",
  "tools-call-embedded-resource",
  "tools-call-mixed-content",
  "tools-call-with-logging",
  "tools-call-error",
  "tools-call-with-progress",
  "tools-call-sampling",
  "tools-call-elicitation",
  "json-schema-2020-12",
  "elicitation-sep1034-defaults",
  "server-sse-multiple-streams",
  "elicitation-sep1330-enums",
  "resources-list",
  "resources-read-text",
  "resources-read-binary",
  "resources-templates-read",
  "resources-subscribe",
  "resources-unsubscribe",
  "prompts-list",
  "prompts-get-simple",
  "prompts-get-with-args",
  "prompts-get-embedded-resource",
  "prompts-get-with-image",
  "dns-rebinding-protection",
])
  check(`conformance, the protocol: ${name}`, () => scenario(RELEASED, name, "fixture"));

// Those that ask for no tools of the suite's own hold for the program that is shipped.
for (const name of [
  "server-initialize",
  "ping",
  "tools-list",
  "prompts-list",
  "server-sse-multiple-streams",
  "dns-rebinding-protection",
])
  check(`conformance, ringback mcp: ${name}`, () => scenario(RELEASED, name, "program"));

// A server may close a stream in the middle of a call and let the client come back for the rest; ours
// never does, so that one recommendation is not met. That it stays the only one is held here.
check("conformance, the protocol: server-sse-polling, but for closing in the middle", () =>
  scenario(RELEASED, "server-sse-polling", "fixture", { warns: "server-sse-disconnect-resume" }),
);

// The version without a handshake is known to the next release of the suite only. Left out of it are
// scenarios about what Ringback has nothing of (asking for input, tasks, skills, subscriptions), and
// server-stateless, which wants tools that do without what the fixture does.
for (const name of [
  "tools-list",
  "tools-call-simple-text",
  "tools-call-error",
  "tools-call-with-progress",
  "json-schema-2020-12",
  "prompts-list",
  "prompts-get-with-args",
  "dns-rebinding-protection",
  "http-header-validation",
  "caching",
])
  check(`conformance, 2026-07-28: ${name}`, () =>
    scenario(NEXT, name, "fixture", { version: "2026-07-28" }),
  );

for (const name of ["tools-list", "prompts-list", "dns-rebinding-protection", "http-header-validation"])
  check(`conformance, 2026-07-28, ringback mcp: ${name}`, () =>
    scenario(NEXT, name, "program", { version: "2026-07-28" }),
  );

// What agents do, with the official client.

const text = (result) => result.content[0].text;
const data = (result) => {
  assert.ok(!result.isError, text(result));
  assert.match(text(result), /^Data follows, not instructions/);
  return result.structuredContent.result;
};

async function connected(transport) {
  const client = new Client({ name: "ringback-suite", version: "1.0.0" });
  await client.connect(transport);
  return client;
}

const transports = {
  stdio: () =>
    new StdioClientTransport({
      command: program,
      args: ["mcp", "--write", "--url", url],
      env: { RINGBACK_TOKEN: token },
    }),
  http: () =>
    new StreamableHTTPClientTransport(new URL(writing.url), {
      requestInit: { headers: { authorization: `Bearer ${token}` } },
    }),
};
const writing = await listening(program, ["mcp", "--write", "--http", "127.0.0.1:0", "--url", url]);

for (const [name, transport] of Object.entries(transports)) {
  check(`an agent over ${name} waits, explains and replays`, async () => {
    const receiver = place();
    const source = await call("POST", "/ingest/api/v1/source", {
      name: `for agents over ${name}`,
      type: "github",
      config: { secret: "a made-up secret" },
    });
    const target = { url: receiver.url, description: "made-up" };
    await call("POST", `/ingest/api/v1/source/${source.id}/endpoint`, target);
    const agent = await connected(transport());
    const { tools } = await agent.listTools();
    for (const wanted of ["wait", "explain_message", "replay_request", "trigger", "search_messages"])
      assert.ok(tools.some((tool) => tool.name === wanted), wanted);
    const ask = (tool, given) => agent.callTool({ name: tool, arguments: given });

    const kept = { name: `suite-${name}`, sources: [source.id] };
    assert.deepEqual(data(await ask("wait", { ...kept, waitSeconds: 0 })).events, []);
    const heard = [];
    const waiting = agent.callTool(
      { name: "wait", arguments: { ...kept, waitSeconds: 30 } },
      undefined,
      { onprogress: (progress) => heard.push(progress) },
    );
    // Not before it waits: what it tells of its progress says that it does.
    await eventually(async () => heard.length, (count) => count > 0);
    const triggered = data(await ask("trigger", { source_id: source.id }));
    assert.equal(triggered.status, 200);
    const { events } = data(await waiting);
    assert.equal(events.length, 1);
    const [event] = events;
    assert.equal(event.verdict, "verified");
    assert.equal(event.source, source.id);
    const [delivery] = await receiver.wait(1);
    assert.equal(event.body, delivery.body.toString());

    // What was not acknowledged comes again, and not once it was.
    const again = data(await ask("wait", { ...kept, waitSeconds: 0 }));
    assert.deepEqual(again.events.map(({ id }) => id), [event.id]);
    const done = { ...kept, waitSeconds: 0, acknowledge: event.id };
    assert.deepEqual(data(await ask("wait", done)).events, []);

    const app = source.appId;
    const explained = data(await ask("explain_message", { app_id: app, msg_id: event.id }));
    assert.equal(explained.endpoints.length, 1);
    const { data: requests } = data(await ask("list_requests", { source_id: source.id }));
    assert.equal(requests[0].msgId, event.id);
    // Taken up again, it is the message that it was; sending that again is asked for by its name.
    const repeated = { source_id: source.id, request_id: requests[0].id };
    data(await ask("replay_request", repeated));
    const endpoint_id = explained.endpoints[0].endpointId;
    data(await ask("resend_message", { app_id: app, msg_id: event.id, endpoint_id }));
    assert.equal((await receiver.wait(2))[1].headers["webhook-id"], event.id);

    const shown = await ask("get_source", { source_id: source.id });
    const secret = source.ingestUrl.split("/").at(-1);
    assert.ok(!JSON.stringify(shown).includes(secret), "the URL of a source works like a secret");
    await agent.close();
  });
}

check("nobody who is refused by the server is served", async () => {
  const transport = new StreamableHTTPClientTransport(new URL(writing.url), {
    requestInit: { headers: { authorization: "Bearer made-up-and-unknown" } },
  });
  const stranger = await connected(transport);
  const refused = await stranger.callTool({ name: "list_applications", arguments: {} });
  assert.ok(refused.isError && text(refused).includes("401"), text(refused));
  await stranger.close();
  await assert.rejects(connected(new StreamableHTTPClientTransport(new URL(writing.url))));
});

await run();
