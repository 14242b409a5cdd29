/**
 * Verifies what Ringback delivers and calls the handler that is registered for its type.
 *
 * Nothing is handled that is not verified. A handler's end decides the answer, and with it whether
 * Ringback sends the event again.
 */

import type { Dedupe } from "./dedupe.js";
import { VerificationError, Verifier } from "./signature.js";

/** A verified event. */
export class Event {
  constructor(
    /** The id of the message, the same whenever it is sent again. */
    readonly id: string,
    /** `invoice.paid`; empty if neither a header nor the body says it. */
    readonly type: string,
    /** Names in lower case. The signature does not cover them, but for the id and the time. */
    readonly headers: Readonly<Record<string, string>>,
    /** The bytes that were signed. */
    readonly body: Uint8Array,
  ) {}

  /** The body as text. */
  text(): string {
    return new TextDecoder().decode(this.body);
  }

  /** The body as JSON; throws if it is none. Its shape is not checked. */
  json<T = unknown>(): T {
    return JSON.parse(this.text()) as T;
  }
}

/** Thrown by a handler that cannot do it now: the answer is 503, and the event is sent again. */
export class Retry extends Error {
  override readonly name = "Retry";
  /** `message` is told to the sender. `afterSeconds`: not before (`Retry-After`). */
  constructor(message = "retry", readonly afterSeconds?: number) {
    super(message);
  }
}

/** Thrown by a handler that will never take this event: the answer is 422. */
export class Reject extends Error {
  override readonly name = "Reject";
  /** `message` is told to the sender. */
  constructor(message = "rejected") {
    super(message);
  }
}

/** Returned by a handler whose caller reads the answer, such as a chat command: 200 with this. */
export class Reply {
  constructor(
    readonly body: string,
    readonly contentType = "text/plain; charset=utf-8",
  ) {}
}

/** A handler did not end in time. It goes on; the answer was 503. */
export class DeadlineError extends Error {
  override readonly name = "DeadlineError";
}

/** Does what an event asks for. Ends well (204; 200 with a `Reply`), throws `Retry`, `Reject` or anything else (500). */
export type Handler = (event: Event) => unknown;

/** A request, whatever the server. */
export interface Incoming {
  readonly method: string;
  /** Names in any case. */
  readonly headers: Headers | Readonly<Record<string, string | readonly string[] | undefined>>;
  /** What arrived, byte for byte: not parsed, not decoded. */
  readonly body: Uint8Array;
}

/** What to answer. */
export interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

export interface Options {
  /** How far a timestamp may lie from the present, in either direction; 300. */
  readonly toleranceSeconds?: number;
  /** How long a request waits for its handler; 10 000. The handler goes on behind the answer. */
  readonly deadlineMs?: number;
  /** The longest body, in bytes; 1 MiB, which is what applications can send. */
  readonly bodyLimit?: number;
  /** How many events are handled at once; 1000. Beyond it the answer is 503. */
  readonly maxRunning?: number;
  /** Remembers what was handled. Without it, an event that is sent again is handled again. */
  readonly dedupe?: Dedupe;
  /** Told of whatever goes wrong. Without it, all but refused requests are written to the console. */
  readonly onError?: (error: unknown, event?: Event) => void;
  /** The present in Unix seconds, for tests. */
  readonly clock?: () => number;
}

const ACCEPTED: Answer = { status: 204, headers: {}, body: "" };

export class Receiver {
  /** The longest body, in bytes. */
  readonly bodyLimit: number;
  readonly #verifier: Verifier;
  readonly #options: Options;
  readonly #handlers = new Map<string, Handler>();
  /** What is under way, also behind an answer; waited for at the end. */
  readonly #running = new Set<Promise<Answer>>();
  #closing = false;

  /** `keys`: one or more of `whsec_…` and `whpk_…`; during a rotation the new one and the old one. */
  constructor(keys: string | readonly string[], options: Options = {}) {
    this.#verifier = new Verifier(typeof keys === "string" ? [keys] : keys, options.toleranceSeconds);
    this.#options = options;
    this.bodyLimit = options.bodyLimit ?? 1024 * 1024;
  }

  /**
   * Calls `handler` for events of a type: `invoice.paid`, `invoice.*` (what begins with
   * `invoice.`), or `*`. The most exact one is called, and no other.
   */
  on(type: string, handler: Handler): this {
    const stars = type.split("*").length - 1;
    if (type === "" || stars > 1 || (stars === 1 && type !== "*" && !type.endsWith(".*"))) {
      throw new TypeError(`\`${type}\` is no type: invoice.paid, invoice.* or * is expected`);
    }
    if (this.#handlers.has(type)) throw new TypeError(`\`${type}\` has a handler already`);
    this.#handlers.set(type, handler);
    return this;
  }

  /** Verifies a request, calls its handler, and says what to answer. Never rejects. */
  async handle({ method, headers, body }: Incoming): Promise<Answer> {
    if (method !== "POST") return plain(405, "method_not_allowed", { allow: "POST" });
    if (body.length > this.bodyLimit) return plain(413, "too_large");
    // What is refused now comes again, to a process that has time for it.
    if (this.#closing) return plain(503, "closing");
    let event: Event;
    try {
      event = this.#verified(lowerCase(headers), body);
    } catch (error) {
      this.#report(error);
      return plain(401, (error as VerificationError).reason);
    }
    const handler = this.#handlerOf(event.type);
    // Nobody wants it: to refuse it would have it sent for days.
    if (!handler) return ACCEPTED;
    if (this.#running.size >= (this.#options.maxRunning ?? 1000)) return plain(503, "busy");
    const work = this.#once(event, handler);
    this.#running.add(work);
    void work.then(() => this.#running.delete(work));
    return this.#inTime(work, event);
  }

  /** The same for the `Request` and `Response` of the web: `Deno.serve(receiver.fetch)`. */
  readonly fetch = async (request: Request): Promise<Response> => {
    const body = await read(request.body, this.bodyLimit);
    const answer = await this.handle({ method: request.method, headers: request.headers, body });
    return new Response(answer.body || null, { status: answer.status, headers: answer.headers });
  };

  /** Refuses what arrives from now on (503), and resolves when the handlers under way have ended. */
  async close(): Promise<void> {
    this.#closing = true;
    await Promise.all(this.#running);
  }

  #verified(headers: Record<string, string>, body: Uint8Array): Event {
    const now = this.#options.clock?.() ?? Math.floor(Date.now() / 1000);
    const id = this.#verifier.verify(headers, body, now);
    return new Event(id, typeOf(headers, body), headers, body);
  }

  #handlerOf(type: string): Handler | undefined {
    const exact = this.#handlers.get(type);
    if (exact) return exact;
    for (let dot = type.lastIndexOf("."); dot > 0; dot = type.lastIndexOf(".", dot - 1)) {
      const handler = this.#handlers.get(`${type.slice(0, dot)}.*`);
      if (handler) return handler;
    }
    return this.#handlers.get("*");
  }

  /** Handles an event unless it was, or is being, handled. */
  async #once(event: Event, handler: Handler): Promise<Answer> {
    const { dedupe } = this.#options;
    if (!dedupe) return this.#call(event, handler);
    try {
      const claim = await dedupe.begin(event.id);
      if (claim === "done") return ACCEPTED;
      if (claim === "in_flight") return plain(503, "in_flight");
    } catch (error) {
      this.#report(error, event);
      return plain(503, "dedupe_failed");
    }
    const answer = await this.#call(event, handler);
    try {
      await (answer.status < 300 ? dedupe.done(event.id) : dedupe.forget(event.id));
    } catch (error) {
      // What the handler has done stays done, so its answer stays, too.
      this.#report(error, event);
    }
    return answer;
  }

  async #call(event: Event, handler: Handler): Promise<Answer> {
    try {
      const ended = await handler(event);
      if (!(ended instanceof Reply)) return ACCEPTED;
      return { status: 200, headers: { "content-type": ended.contentType }, body: ended.body };
    } catch (error) {
      if (error instanceof Retry) {
        const after = error.afterSeconds;
        const headers = after === undefined ? {} : { "retry-after": String(Math.ceil(after)) };
        return plain(503, error.message, headers);
      }
      if (error instanceof Reject) return plain(422, error.message);
      this.#report(error, event);
      return plain(500, "handler_failed");
    }
  }

  async #inTime(work: Promise<Answer>, event: Event): Promise<Answer> {
    const milliseconds = this.#options.deadlineMs ?? 10_000;
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<Answer>((resolve) => {
      timer = setTimeout(() => {
        this.#report(new DeadlineError(`not handled in ${milliseconds} ms`), event);
        resolve(plain(503, "deadline"));
      }, milliseconds);
    });
    try {
      return await Promise.race([work, late]);
    } finally {
      clearTimeout(timer);
    }
  }

  #report(error: unknown, event?: Event): void {
    try {
      if (this.#options.onError) this.#options.onError(error, event);
      else if (!(error instanceof VerificationError)) {
        console.error("ringback:", event?.type, event?.id, error);
      }
    } catch {
      // What fails while it is told of a failure must not change the answer.
    }
  }
}

/** The type that Ringback's header says, else the body; written as Ringback writes types. */
function typeOf(headers: Readonly<Record<string, string>>, body: Uint8Array): string {
  const said = headers["ringback-event"] || typeIn(body);
  return [...said].slice(0, 256).join("").replace(/[^A-Za-z0-9_.-]/gu, "_");
}

function typeIn(body: Uint8Array): string {
  try {
    const json: unknown = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(body));
    if (typeof json !== "object" || json === null) return "";
    const { type, eventType } = json as Record<string, unknown>;
    return [type, eventType].find((one): one is string => typeof one === "string") ?? "";
  } catch {
    return "";
  }
}

function lowerCase(headers: Incoming["headers"]): Record<string, string> {
  const pairs = headers instanceof Headers ? [...headers] : Object.entries(headers);
  const present = pairs.filter(([, value]) => value !== undefined);
  return Object.fromEntries(present.map(([name, value]) => [name.toLowerCase(), String(value)]));
}

function plain(status: number, text: string, headers: Record<string, string> = {}): Answer {
  return { status, headers: { "content-type": "text/plain; charset=utf-8", ...headers }, body: text };
}

/** Reads a body, and stops where it is longer than the limit. */
export async function read(
  stream: AsyncIterable<Uint8Array> | null,
  limit: number,
): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of stream ?? []) {
    chunks.push(chunk);
    length += chunk.length;
    if (length > limit) break;
  }
  return Buffer.concat(chunks);
}
