// Ringback itself, started by the suite, so that it can be killed, and what an application asks of it.

import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import {
  closeSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  readdirSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { authority } from "./authority.mjs";
import { Person } from "./person.mjs";

const TOKEN = "oauth-suite-made-up-token";
/** Where people are sent on to, and where applications that are not on the web are. */
export const home = "http://app.localhost/connected";
export const TARGETS = [home, "http://127.0.0.1/native", "com.example.app:/connected"];

/** A provider of the operator's own: as any of OpenID Connect, but that something of the response is kept. */
export const KEEPING = "keeping";
const keeping = readFileSync("oauth/openid.toml", "utf8")
  .replace('id = "openid"', `id = "${KEEPING}"`)
  .replace("[account]", '[callback]\nkeep = ["realmId"]\n\n[account]');

/** Everything that was started, to look at when all is over. */
export const gateways = [];
export const authorities = [];
export const flows = [];
process.on("exit", (code) => gateways.forEach((gateway) => gateway.abandon(code)));

/** A server of ringback on SQLite with a directory of its own. */
export class Gateway {
  #place = mkdtempSync(join(tmpdir(), "ringback-oauth-"));
  #port = 0;
  #child;

  constructor(env = {}) {
    this.data = join(this.#place, "data");
    this.logFile = join(this.#place, "log");
    const providers = join(this.#place, "providers");
    mkdirSync(providers);
    writeFileSync(join(providers, `${KEEPING}.toml`), keeping);
    this.env = { RINGBACK_OAUTH_PROVIDERS: providers, ...env };
    gateways.push(this);
  }

  get #environment() {
    const own = Object.entries(process.env).filter(([name]) => !name.startsWith("RINGBACK_"));
    return {
      ...Object.fromEntries(own),
      RINGBACK_BOOTSTRAP_TOKEN: TOKEN,
      // Neither everything on loopback: what is at 127.0.0.66 must not be asked.
      RINGBACK_DELIVERY_ALLOW_CIDRS: "127.0.0.1/32,127.0.0.2/31",
      RINGBACK_DELIVERY_REQUIRE_HTTPS: "false",
      RINGBACK_CALLBACK_REDIRECT_TARGETS: TARGETS.join(),
      RINGBACK_OAUTH_REFRESH_LEASE: "10",
      RINGBACK_LOG_FORMAT: "json",
      RINGBACK_LOG_LEVEL: "trace",
      ...this.env,
    };
  }

  async start() {
    const program = process.env.RINGBACK_PROGRAM;
    assert.ok(program, "RINGBACK_PROGRAM has to name the server's program");
    const log = openSync(this.logFile, "a");
    const words = ["serve", "--listen", `127.0.0.1:${this.#port}`, "--data", this.data];
    this.#child = spawn(program, words, { env: this.#environment, stdio: ["ignore", "pipe", log] });
    closeSync(log);
    const { value, done } = await createInterface({ input: this.#child.stdout })
      [Symbol.asyncIterator]()
      .next();
    if (done) throw new Error(`the server did not start:\n${this.log.slice(-4000)}`);
    this.url = value.replace("listening on ", "");
    this.#port = new URL(this.url).port;
    return this;
  }

  async #end(signal) {
    const child = this.#child;
    if (!child || child.exitCode !== null || child.signalCode !== null) return child?.exitCode;
    const exited = new Promise((resolve) => child.once("exit", resolve));
    child.kill(signal);
    return exited;
  }

  kill = () => this.#end("SIGKILL");

  /** Ends it as an operator would; it has to be willing, and to be well. */
  async stop() {
    assert.equal(await this.#end("SIGTERM"), 0, "the server did not end as it should");
    assert.doesNotMatch(this.log, /panicked at/);
  }

  /** What is left when the suite ends: its log, if there is something to look for. */
  abandon(code) {
    this.#child?.kill("SIGKILL");
    if (code === 0) rmSync(this.#place, { recursive: true });
    else console.error(`the log of a server: ${this.logFile}`);
  }

  /** A command of the same program about the same data. */
  command = (...words) =>
    execFileSync(process.env.RINGBACK_PROGRAM, [...words, "--data", this.data], {
      env: this.#environment,
      encoding: "utf8",
    });

  get log() {
    return readFileSync(this.logFile, "utf8");
  }

  /** Every byte of the store. */
  get stored() {
    const files = readdirSync(this.data).filter((name) => name.startsWith("ringback.sqlite"));
    return Buffer.concat(files.map((name) => readFileSync(join(this.data, name))));
  }

  /** One request of the API; the answer whatever its status. */
  async call(method, path, body, headers = {}) {
    const answer = await fetch(this.url + path, {
      method,
      headers: { authorization: `Bearer ${TOKEN}`, "content-type": "application/json", ...headers },
      body: body && JSON.stringify(body),
    });
    const text = await answer.text();
    const json = answer.headers.get("content-type")?.includes("json");
    return {
      status: answer.status,
      headers: answer.headers,
      text,
      body: json && text ? JSON.parse(text) : undefined,
    };
  }

  /** One request of the API that succeeds; what is answered. */
  async ask(method, path, body) {
    const answer = await this.call(method, path, body);
    assert.ok(answer.status < 300, `${method} ${path}: ${answer.status} ${answer.text}`);
    return answer.body;
  }

  authorization = (id) => this.ask("GET", `/api/v1/authorization/${id}`);
  connection = (id) => this.ask("GET", `/api/v1/connection/${id}`);
  /** The answer to an application that wants the access token. */
  token = (id) => this.call("GET", `/api/v1/connection/${id}/token`);

  /** The id of a new application. */
  application = async (name = randomUUID()) => (await this.ask("POST", "/api/v1/app", { name })).id;
}

/** The gateway of all checks that need none of their own. */
export const shared = await new Gateway().start();

/** An authorization server that is remembered. */
export async function server(options) {
  const made = await authority(options);
  authorities.push(made);
  return made;
}

/**
 * An application's client at an authorization server, both of which are new unless they are given.
 * `wanted` goes to Ringback, `metadata` to the server.
 */
export async function client({ gateway = shared, as, application, wanted = {}, metadata = {} } = {}) {
  as ??= await server();
  application ??= await gateway.application();
  const clientId = metadata.client_id ?? `client-${randomUUID()}`;
  const clientSecret = `made-up-secret-${randomUUID()}`;
  const made = await gateway.ask("POST", "/api/v1/oauth-client", {
    application,
    provider: "openid",
    settings: { issuer: as.issuer },
    clientId,
    clientSecret,
    ...wanted,
  });
  const registered = await as.register({
    client_id: clientId,
    client_secret: clientSecret,
    redirect_uris: [made.redirectUri],
    ...metadata,
  });
  return { gateway, as, application, client: made, registered };
}

/** One attempt of a person to connect their account. */
export class Flow {
  person = new Person();

  constructor(set) {
    Object.assign(this, set);
    flows.push(this);
  }

  /** Asks for an authorization at the client of `set`, or at a client of its own. */
  static async begin(set, wanted = {}) {
    const flow = new Flow(set?.client ? set : await client(set));
    flow.userRef = wanted.userRef ?? `user-${randomUUID()}`;
    flow.authorization = await flow.gateway.ask("POST", "/api/v1/authorization", {
      client: flow.client.id,
      userRef: flow.userRef,
      scopes: ["openid", "email"],
      returnTo: home,
      ...wanted,
    });
    return flow;
  }

  /** Goes to the server and consents; answers the authorization response, which goes nowhere yet. */
  async back(person = this.person, from = this.authorization.url) {
    const stop = (url) => url.startsWith(this.client.redirectUri);
    const { next, form, ...else_ } = await person.go(from, { stop });
    assert.ok(next, `the server sends nobody back: ${else_.status} ${else_.text}`);
    return { url: next, form };
  }

  /** The parameters of the authorization request, wherever they were said. */
  get asked() {
    const pushed = this.as.requests("push").findLast((one) => one.client === this.registered.client_id);
    const said = this.as.requests("authorize").findLast((one) => one.client === this.registered.client_id);
    const object = said?.query.get("request") ?? pushed?.form.get("request");
    if (object) return new URLSearchParams(JSON.parse(Buffer.from(object.split(".")[1], "base64url")));
    return pushed?.form ?? said?.query;
  }

  /** Brings an authorization response; where it leads. */
  bring = (response, person = this.person) => person.go(response.url, { form: response.form });

  /** Goes all the way home; what the application is told there. */
  async land(person = this.person) {
    const { landed, ...else_ } = await person.go(this.authorization.url);
    assert.ok(landed, `nobody comes home: ${else_.status} ${else_.text}`);
    assert.equal(landed.searchParams.get("error"), null, landed.href);
    this.confirmation = landed.searchParams.get("confirmation");
    return landed.searchParams;
  }

  /** The application says who finished. */
  confirm = (wanted = {}) =>
    this.gateway.call("POST", `/api/v1/authorization/${this.authorization.id}/confirm`, {
      userRef: this.userRef,
      confirmation: this.confirmation,
      ...wanted,
    });

  /** Everything, up to the connection. */
  async connect() {
    await this.land();
    const answer = await this.confirm();
    assert.equal(answer.status, 200, answer.text);
    return answer.body.granted;
  }

  /** How often a code was brought to the server. */
  get exchanges() {
    return this.as.tokenRequests().length;
  }

  status = async () => (await this.gateway.authorization(this.authorization.id)).status;

  connections = async () =>
    (await this.gateway.ask("GET", `/api/v1/connection?userRef=${encodeURIComponent(this.userRef)}`)).data;

  /** Nothing came of it, and no code was brought to the server beyond those that may have been. */
  async nothingCame(exchanges = 0) {
    assert.equal(this.exchanges, exchanges, "requests for tokens");
    assert.deepEqual(await this.connections(), []);
    assert.notEqual(await this.status(), "completed");
  }
}

/** A connection, and what it was made with. */
export async function connected(set, wanted) {
  const flow = await Flow.begin(set, wanted);
  flow.connection = await flow.connect();
  return flow;
}

/** A browser that is told that this is nothing: by a page of this status, without being sent anywhere. */
export function page(answer, ...statuses) {
  const expected = statuses.length ? statuses : [400];
  assert.ok(expected.includes(answer.status), `${answer.status}: ${answer.text ?? answer.landed}`);
  assert.equal(answer.headers.get("location"), null);
  assert.match(answer.headers.get("content-type"), /^text\/html/);
  return answer;
}

/** A browser that is turned away: by a page, or at home, where an error is told and nothing else. */
export function turnedAway(answer) {
  if (!answer.landed) return page(answer, 400, 410);
  assert.equal(answer.landed.origin + answer.landed.pathname, home);
  assert.ok(answer.landed.searchParams.get("error"), answer.landed.href);
  assert.equal(answer.landed.searchParams.get("confirmation"), null);
  return answer;
}
