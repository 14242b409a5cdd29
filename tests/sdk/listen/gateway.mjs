// Ringback itself, started by the suite, so that it can be started again, and its other commands.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdtempSync, openSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { eventually } from "./harness/cases.mjs";

const TOKEN = "listen-suite-made-up-token";
const program = process.env.RINGBACK_PROGRAM;
assert.ok(program, "RINGBACK_PROGRAM has to name the server's program");

const place = mkdtempSync(join(tmpdir(), "ringback-listen-"));
const logFile = join(place, "log");
const log = openSync(logFile, "a");
let server;
let port = 0;
export let url;

/** Programs that are running. */
const children = new Set();
process.on("exit", (code) => {
  children.forEach((child) => child.kill("SIGKILL"));
  if (code === 0) rmSync(place, { recursive: true });
  else console.error(`the log of the server: ${logFile}`);
});

/** What programs see of the environment: neither settings of somebody's own nor a proxy. */
const inherited = Object.fromEntries(
  Object.entries(process.env).filter(([name]) => !/^ringback_|_proxy$/i.test(name)),
);

/** A program that is running, and ends with the suite. `ended` has its exit code and output. */
export function start(program, words, env = {}) {
  const child = spawn(program, words, { env: { ...inherited, ...env }, stdio: ["ignore", "pipe", "pipe"] });
  children.add(child);
  const told = { out: "", err: "" };
  child.stdout.on("data", (data) => (told.out += data));
  child.stderr.on("data", (data) => (told.err += data));
  const ended = new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (code) => children.delete(child) && resolve({ code, ...told }));
  });
  return { child, told, ended };
}

/** Starts the server, on the port that it had before if there was one. */
export async function serve() {
  const words = ["serve", "--listen", `127.0.0.1:${port}`, "--data", join(place, "data")];
  const env = { ...inherited, RINGBACK_BOOTSTRAP_TOKEN: TOKEN };
  server = spawn(program, words, { env, stdio: ["ignore", "pipe", log] });
  children.add(server);
  const lines = createInterface({ input: server.stdout })[Symbol.asyncIterator]();
  const { value, done } = await lines.next();
  assert.ok(!done, `the server did not start:\n${readFileSync(logFile, "utf8").slice(-4000)}`);
  url = value.replace("listening on ", "");
  ({ port } = new URL(url));
}

/** Ends the server as an operator would; it has to be willing, and to be well. */
export async function stop() {
  const ended = new Promise((resolve) => server.once("exit", resolve));
  server.kill("SIGTERM");
  assert.equal(await ended, 0, "the server did not end as it should");
  children.delete(server);
  assert.doesNotMatch(readFileSync(logFile, "utf8"), /panicked at/);
}

export async function call(method, path, body) {
  const headers = { authorization: `Bearer ${TOKEN}`, "content-type": "application/json" };
  const answer = await fetch(url + path, { method, headers, body: body && JSON.stringify(body) });
  const text = await answer.text();
  assert.ok(answer.ok, `${method} ${path}: ${answer.status} ${text}`);
  return text && JSON.parse(text);
}

/** A source with an id of one's own. */
export const source = (uid, type, secret, options = {}) =>
  call("POST", "/ingest/api/v1/source", { name: uid, uid, type, config: { secret }, options });

/** What a provider sends, and the answer that it gets. */
export async function send({ ingestUrl }, headers, body) {
  const type = headers["content-type"] ?? "application/json";
  const answer = await fetch(ingestUrl, { method: "POST", headers: { ...headers, "content-type": type }, body });
  const text = await answer.text();
  assert.ok(answer.ok, `the source answered ${answer.status} ${text}`);
  return { status: answer.status, text };
}

/** A command of ringback that talks to the server. */
export const command = (...words) =>
  start(program, words, { RINGBACK_URL: url, RINGBACK_TOKEN: TOKEN });

/** The output of a command that has to end well. */
export async function done({ ended }) {
  const { code, out, err } = await ended;
  assert.equal(code, 0, `exit code ${code}\n${out}${err}`);
  return out;
}

/** `ringback listen` from the first event on, until so many were forwarded; how localhost answered each. */
export async function listen(source, count, to, ...words) {
  const ends = ["--since", "start", "--once", `${count}`, "--json"];
  const out = await done(command("listen", source, "--forward", to, ...ends, ...words));
  return out.trim().split("\n").map((line) => JSON.parse(line).outcome.status);
}

/** `ringback listen` under this name, connected. */
export async function listening(name, ...words) {
  const running = command("listen", "--name", name, ...words);
  const read = async () => (await call("GET", "/api/v1/listener")).data.find((one) => one.name === name);
  await eventually(read, (listener) => listener?.connections.length === 1);
  return running;
}
