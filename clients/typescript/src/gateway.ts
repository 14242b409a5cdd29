/**
 * Asks somebody else, hands out a URL, and gets exactly one answer: callbacks, as code.
 *
 * ```ts
 * const gateway = new Gateway("http://127.0.0.1:8071", process.env.RINGBACK_TOKEN);
 * const callback = await gateway.callback<{ approved: boolean }>({ application: "acme" });
 * await mail(`May we? ${callback.url}`);
 * const { approved } = await callback.wait();
 * ```
 */

import { randomUUID } from "node:crypto";
import { Connection, type Ask } from "./connection.js";
import { answerOf } from "./errors.js";
import { Following, patiently, type FollowOptions, type Until } from "./follow.js";
import { isEnd, type View } from "./view.js";

/** A callback that is wanted; docs/callbacks.md says what each field does. */
export interface NewCallback {
  /** Id or uid. */
  readonly application: string;
  readonly kind?: "result" | "redirect";
  /** Seconds from now; a day without it. */
  readonly expiresIn?: number;
  readonly expiresAt?: string;
  /** The longest silence of the other side, in seconds. */
  readonly heartbeat?: number;
  readonly mode?: "single" | "stream";
  readonly maxItems?: number;
  readonly methods?: readonly ("GET" | "POST" | "PUT" | "PATCH" | "DELETE")[];
  /** The other side's name for it: an order number. */
  readonly reference?: string;
  readonly source?: string;
  readonly tags?: readonly string[];
  readonly metadata?: Readonly<Record<string, string>>;
  readonly completer?:
    | { readonly bearer: string }
    | { readonly provider: string; readonly settings: Readonly<Record<string, unknown>> };
  /** A JSON Schema: what does not fit it is no answer. */
  readonly schema?: object;
  readonly successWhen?: object;
  readonly failureWhen?: object;
  readonly acknowledge?: { readonly status?: number; readonly contentType?: string; readonly body?: string };
  readonly confirm?: {
    readonly title?: string;
    readonly text?: string;
    readonly accept?: string;
    readonly decline?: string;
  };
  readonly redirect?: object;
}

/** A request that the gateway makes, with `{{callback.url}}` somewhere in it. */
export interface NewCall {
  readonly application: string;
  readonly request: {
    readonly method?: string;
    readonly url: string;
    readonly headers?: Readonly<Record<string, string>>;
    readonly body?: unknown;
  };
  readonly callback?: Omit<NewCallback, "application">;
  readonly poll?: object;
}

export interface Once extends Until {
  /** The same key is the same callback: after a crash, ask again with it. Random without it. */
  readonly idempotencyKey?: string;
}

export interface Answering extends Once {
  /** What the body is; without it, text for a string, bytes for bytes, and JSON for the rest. */
  readonly contentType?: string;
}

/** A Ringback server, seen from an application. */
export class Gateway {
  readonly #connection: Connection;
  readonly #options: FollowOptions;

  constructor(url: string, token: string, options: FollowOptions = {}) {
    this.#connection = new Connection(url, { authorization: `Bearer ${token}` }, options);
    this.#options = options;
  }

  /** A new callback. `T` is what its answer will be; give a `schema` to be sure of it. */
  async callback<T = unknown>(wanted: NewCallback, once: Once = {}): Promise<Callback<T>> {
    const made = await post(this.#connection, "/api/v1/callback", wanted, once);
    return new Callback<T>(this.#connection, made as Made, this.#options);
  }

  /** A callback that was made before, by its id: to go on waiting after a restart. */
  attach<T = unknown>(id: string): Callback<T> {
    return new Callback<T>(this.#connection, { id }, this.#options);
  }

  /**
   * Has the gateway make a request, and waits for the answer in whichever form it comes: at once,
   * polled for, or through the callback. To give up and ask again later, choose the key.
   */
  async call<T = unknown>(call: NewCall, once: Once = {}): Promise<T> {
    const view = (await post(this.#connection, "/api/v1/call", call, once, patiently())) as View;
    // From here on it is a callback like any other: no connection has to hold until the answer.
    return isEnd(view.status) ? (answerOf(view) as T) : this.attach<T>(view.id).wait(once);
  }
}

type Made = Pick<View, "id"> & { readonly url?: string; readonly waitToken?: string };

/** One callback, as its application sees it. */
export class Callback<T = unknown> extends Following<T> {
  /** Ringback's name for it, to `attach` to it later. */
  readonly id: string;
  /** Whoever has it may answer. Empty for one that was attached to: it is not stored. */
  readonly url: string;
  /** Whoever has it may wait, and nothing else: for a browser's `follow`. Empty like `url`. */
  readonly waitUrl: string;

  /** @internal */
  constructor(connection: Connection, made: Made, options: FollowOptions) {
    const { id, url = "", waitToken = "" } = made;
    super(connection, `/api/v1/callback/${encodeURIComponent(id)}`, "/result", options);
    this.id = id;
    this.url = url;
    this.waitUrl = waitToken && url.replace(/\/cb\/[^/]*$/, `/wait/${waitToken}`);
  }

  /** How it is now. */
  async get({ signal }: Until = {}): Promise<View> {
    const said = await this.connection.ask({ method: "GET", path: this.path, signal });
    return JSON.parse(said.text) as View;
  }

  /** Answers it. */
  async complete(body: unknown, answering: Answering = {}): Promise<void> {
    await this.#act("/complete", body, answering);
  }

  /**
   * Adds an item to a stream. Where it cannot be known whether it was taken, that is an
   * `UnavailableError`: twice is two items.
   */
  async item(body: unknown, answering: Answering = {}): Promise<void> {
    await post(this.connection, `${this.path}/complete`, body, answering, { isOnce: true });
  }

  /** Says that there will be no answer, and why. */
  async fail(body: unknown, answering: Answering = {}): Promise<void> {
    await this.#act("/fail", body, answering);
  }

  /** Does not want the answer any more; the other side is told when it asks. */
  async cancel(once: Once = {}): Promise<void> {
    await this.#act("/cancel", undefined, once);
  }

  /** Waits until another time: so many seconds from now, or then. */
  async extend(
    until: { readonly expiresIn: number } | { readonly expiresAt: string },
    once: Once = {},
  ): Promise<void> {
    await this.#act("/extend", until, once);
  }

  /** A stream has no more items. */
  async end(once: Once = {}): Promise<void> {
    await this.#act("/close", undefined, once);
  }

  /** The same callback with another URL; the one it had is closed. */
  async rotate(once: Once = {}): Promise<Callback<T>> {
    const made = (await this.#act("/rotate", undefined, once)) as Made;
    return new Callback<T>(this.connection, { ...made, id: this.id }, this.options);
  }

  #act(act: string, body: unknown, answering: Answering): Promise<unknown> {
    return post(this.connection, this.path + act, body, answering);
  }
}

/** What is special about a request. */
type Special = Pick<Ask, "headers" | "limitMs" | "isOnce">;

/** Posts something once: its key lets it be repeated. */
async function post(
  connection: Connection,
  path: string,
  body: unknown,
  { idempotencyKey = randomUUID(), signal, contentType = typeOf(body) }: Answering,
  special: Special = {},
): Promise<unknown> {
  const isRaw = typeof body === "string" || body instanceof Uint8Array;
  const said = await connection.ask({
    ...special,
    method: "POST",
    path,
    headers: {
      ...special.headers,
      "idempotency-key": idempotencyKey,
      ...(body !== undefined && { "content-type": contentType }),
    },
    ...(body !== undefined && { body: isRaw ? body : JSON.stringify(body) }),
    signal,
  });
  return said.text ? JSON.parse(said.text) : {};
}

function typeOf(body: unknown): string {
  if (typeof body === "string") return "text/plain; charset=utf-8";
  return body instanceof Uint8Array ? "application/octet-stream" : "application/json";
}
