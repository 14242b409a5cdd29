// Plays the scenarios of callbacks that all clients share (clients/callbacks.json): against a real
// server, and against a script of what a server says.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import {
  CanceledError,
  ConflictError,
  ExpiredError,
  FailedError,
  Gateway,
  RefusedError,
  UnavailableError,
  follow,
} from "../dist/index.js";

const file = JSON.parse(readFileSync(new URL("../../callbacks.json", import.meta.url), "utf8"));
export const { live, scripted } = file;

const ERRORS = {
  expired: ExpiredError,
  canceled: CanceledError,
  failed: FailedError,
  conflict: ConflictError,
  refused: RefusedError,
  unavailable: UnavailableError,
};
const TOKEN = "client-suites-made-up-token";

/** The built server on a fresh directory, which can be killed and started again where it was. */
export class Server {
  #data = mkdtempSync(join(tmpdir(), "ringback-client-"));
  #port = 0;
  token = TOKEN;
  #child;

  async start() {
    const program = process.env.RINGBACK_PROGRAM;
    assert.ok(program, "RINGBACK_PROGRAM has to name the server's program");
    const own = Object.entries(process.env).filter(([name]) => !name.startsWith("RINGBACK_"));
    const env = {
      ...Object.fromEntries(own),
      RINGBACK_BOOTSTRAP_TOKEN: TOKEN,
      RINGBACK_DELIVERY_ALLOW_CIDRS: "127.0.0.0/8",
      RINGBACK_DELIVERY_REQUIRE_HTTPS: "false",
      RINGBACK_LOG_LEVEL: "error",
    };
    const words = ["serve", "--listen", `127.0.0.1:${this.#port}`, "--data", this.#data];
    this.#child = spawn(program, words, { env, stdio: ["ignore", "pipe", "inherit"] });
    const { value } = await createInterface({ input: this.#child.stdout })[Symbol.asyncIterator]().next();
    this.url = value.replace("listening on ", "");
    this.#port = new URL(this.url).port;
  }

  async kill() {
    const exited = new Promise((resolve) => this.#child.once("exit", resolve));
    this.#child.kill("SIGKILL");
    await exited;
  }

  async end() {
    if (this.#child) await this.kill();
    rmSync(this.#data, { recursive: true });
  }

  /** A gateway to it, with an application; starts it for the first who asks. */
  async gateway() {
    if (!this.#child) {
      await this.start();
      await this.#application();
    }
    return new Gateway(this.url, TOKEN);
  }

  async #application() {
    const headers = { authorization: `Bearer ${TOKEN}`, "content-type": "application/json" };
    const body = JSON.stringify({ name: "Acme", uid: "acme" });
    const response = await fetch(`${this.url}/api/v1/app`, { method: "POST", headers, body });
    assert.equal(response.status, 201);
  }
}

/** Plays against a server; `through` says how the application waits. */
export async function playLive(scenario, server, through) {
  const play = new Play(scenario, await server.gateway(), through, server);
  await play.act({ do: "create" });
  await play.all();
}

/** Plays against a server that says what the script says, in that order. */
export async function playScripted(scenario) {
  let key;
  const script = [...scenario.script];
  const server = createServer(async (request, response) => {
    let body = "";
    for await (const piece of request) body += piece;
    const { ask, headers = {}, json, again, answer } = script.shift() ?? {};
    try {
      assert.equal(`${request.method} ${request.url}`, ask);
      for (const [name, value] of Object.entries(headers)) assert.equal(request.headers[name], value);
      if (json) assert.deepEqual(JSON.parse(body), json);
      if (again) assert.equal(request.headers["idempotency-key"], key);
      key = request.headers["idempotency-key"];
    } catch (error) {
      wrong ??= error;
    }
    if (!answer) return request.socket.destroy();
    response.writeHead(answer.status, answer.headers);
    response.end(answer.text ?? (answer.json && JSON.stringify(answer.json)));
  });
  let wrong;
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  const patienceMs = (scenario.patience ?? 60) * 1000;
  const gateway = new Gateway(`http://127.0.0.1:${server.address().port}/`, "made-up", { patienceMs });
  try {
    await new Play(scenario, gateway, (callback) => callback).all();
  } finally {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }
  if (wrong) throw wrong;
  assert.deepEqual(script, [], "not all was asked for");
}

class Play {
  #key = randomUUID();
  #waiting = {};
  #heard = [];
  #hears;
  #following;

  constructor(scenario, gateway, through, server) {
    this.scenario = scenario;
    this.gateway = gateway;
    this.through = through;
    this.server = server;
    this.callback = gateway.attach("cb_1");
  }

  async all() {
    for (const step of this.scenario.steps) await this.#step(step);
  }

  async #step(step) {
    if (step.do) {
      await this.act(step);
    } else if (step.post !== undefined) {
      const { type, body } = content(step);
      const headers = { ...(type && { "content-type": type }) };
      const response = await fetch(this.callback.url + step.post, { method: "POST", headers, body });
      assert.equal(response.status, step.status, await response.text());
    } else if (step.wait) {
      await check(this.through(this.callback).wait(), step.wait);
    } else if (step.begin) {
      this.#waiting[step.begin] = Array.from({ length: step.times }, () => {
        const controller = new AbortController();
        const wait = this.through(this.callback).wait({ signal: controller.signal });
        wait.catch(() => {});
        return { controller, wait };
      });
    } else if (step.finish) {
      for (const { wait } of this.#waiting[step.finish]) await check(wait, step.ends);
    } else if (step.drop) {
      for (const { controller, wait } of this.#waiting[step.drop]) {
        controller.abort(new RangeError("not interested any more"));
        await assert.rejects(wait, RangeError);
      }
    } else if (step.on) {
      this.#following = this.through(this.callback);
      for (const type of step.on) {
        this.#following.on(type, async (event) => {
          assert.equal(event.type, type);
          this.#heard.push([type, event.value ?? null]);
          this.#hears?.();
        });
      }
    } else if (step.heard) {
      while (this.#heard.length < step.heard) {
        await new Promise((resolve) => {
          this.#hears = resolve;
        });
      }
    } else if (step.called) {
      await this.#following.followed();
      assert.deepEqual(this.#heard, step.called);
    } else if (step.call) {
      const url = step.call.url.replace("http://server", this.server?.url);
      const request = { ...step.call, url };
      const call = { application: "acme", request, callback: step.callback };
      await check(this.gateway.call(call), step.ends);
    } else {
      await this.server[step.server]();
    }
  }

  async act(step) {
    const { callback } = this;
    const wanted = { application: "acme", ...this.scenario.create };
    const acts = {
      create: async () => {
        const made = await this.gateway.callback(wanted, { idempotencyKey: this.#key });
        if (callback.url) assert.deepEqual([made.id, made.url], [callback.id, callback.url]);
        this.callback = made;
      },
      attach: () => {
        this.callback = this.gateway.attach(callback.id);
      },
      rotate: async () => {
        this.callback = await callback.rotate();
        assert.notEqual(this.callback.url, callback.url);
        assert.equal((await fetch(callback.url, { method: "POST" })).status, 404);
      },
      extend: () => callback.extend({ expiresIn: step.seconds }),
      complete: () => callback.complete(content(step).body, { contentType: "application/json" }),
      item: () => callback.item(content(step).body, { contentType: "application/json" }),
      fail: () => callback.fail(content(step).body, { contentType: "application/json" }),
      cancel: () => callback.cancel(),
      end: () => callback.end(),
    };
    if (step.error) await assert.rejects(acts[step.do], ERRORS[step.error]);
    else await acts[step.do]();
  }
}

/** A body that a step sends. */
function content({ json, text, form, large }) {
  if (json !== undefined) return { type: "application/json", body: JSON.stringify(json) };
  if (text !== undefined) return { type: "text/plain", body: text };
  if (form !== undefined) return { type: "application/x-www-form-urlencoded", body: form };
  return large ? { type: "application/json", body: JSON.stringify("x".repeat(large)) } : {};
}

/** Whether a wait ended as it should. */
async function check(wait, { answer, large, error, body }) {
  if (!error) return assert.deepEqual((await wait) ?? null, large ? "x".repeat(large) : answer);
  return assert.rejects(wait, (thrown) => {
    assert.ok(thrown instanceof ERRORS[error], thrown);
    if (body !== undefined) assert.deepEqual(thrown.body, body);
    return true;
  });
}

/** How an application waits: with its token, or with a wait token as a browser does. */
export const ways = {
  gateway: (callback) => callback,
  follow: (callback) => (callback.waitUrl ? follow(callback.waitUrl) : callback),
};
