/**
 * Requests that survive a server that is away for a while: what is safe to repeat is repeated, with
 * pauses that grow, until the patience is at its end.
 */

import { UnavailableError, refusal } from "./errors.js";

export interface Reach {
  /** How long the server may be away before that is an error, in milliseconds; 60 000. */
  readonly patienceMs?: number;
  /** In the place of the global `fetch`. */
  readonly fetch?: typeof fetch;
}

export interface Ask {
  readonly method: "GET" | "POST";
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Uint8Array;
  /** How long the server may take, in milliseconds; 15 000 without it. */
  readonly limitMs?: number;
  readonly signal?: AbortSignal | undefined;
  /** Repeated only where it is certain that it was not taken. */
  readonly isOnce?: boolean;
}

export interface Said {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
}

/** The server is away or busy, or something before it says so. */
export const TEMPORARY: ReadonlySet<number> = new Set([408, 429, 502, 503, 504]);
/** The server says so before it does anything. */
const NOT_TAKEN: ReadonlySet<number> = new Set([429, 503]);
const LIMIT_MS = 15_000;
const SHORTEST_PAUSE_MS = 100;
const LONGEST_PAUSE_MS = 5_000;

export class Connection {
  readonly #base: string;
  readonly #headers: Readonly<Record<string, string>>;
  readonly #reach: Reach;

  constructor(base: string, headers: Readonly<Record<string, string>>, reach: Reach) {
    this.#base = base.replace(/\/+$/, "");
    this.#headers = headers;
    this.#reach = reach;
  }

  /** What the server says, if it is a success. Throws a `GatewayError`, or what the signal says. */
  async ask(ask: Ask): Promise<Said> {
    const away = this.away();
    for (;;) {
      let problem: unknown;
      let after: number | undefined;
      let notTaken = false;
      try {
        const said = await this.#once(ask);
        if (said.status < 300) return said;
        const refused = refusal(said.status, said.text);
        if (!TEMPORARY.has(said.status)) throw new Final(refused);
        notTaken = NOT_TAKEN.has(said.status);
        problem = refused;
        after = seconds(said.headers.get("retry-after"));
      } catch (error) {
        if (error instanceof Final) throw error.cause;
        ask.signal?.throwIfAborted();
        problem = error;
      }
      if (ask.isOnce && !notTaken) throw unavailable(problem);
      await away.pause(problem, after, ask.signal);
    }
  }

  async #once(ask: Ask): Promise<Said> {
    const { response, limit } = await this.open(ask);
    try {
      return { status: response.status, headers: response.headers, text: await response.text() };
    } finally {
      limit.end();
    }
  }

  /** Sends it once. Whoever has read the response ends the limit. */
  async open(ask: Ask): Promise<{ response: Response; limit: Limit }> {
    ask.signal?.throwIfAborted();
    const limit = new Limit(ask.limitMs ?? LIMIT_MS, ask.signal);
    try {
      const send = this.#reach.fetch ?? fetch;
      const response = await send(this.#base + ask.path, {
        method: ask.method,
        headers: { ...this.#headers, ...ask.headers },
        signal: limit.signal,
        ...(ask.body !== undefined && { body: ask.body }),
      });
      return { response, limit };
    } catch (error) {
      limit.end();
      throw error;
    }
  }

  /** Counts how long the server has been away. */
  away(): Away {
    return new Away(this.#reach.patienceMs ?? 60_000);
  }
}

/** How long the server has been away, and the pauses before it is asked again. */
export class Away {
  readonly #patience: number;
  #since = performance.now();
  #attempts = 0;

  constructor(patience: number) {
    this.#patience = patience;
  }

  /** It has just been there. */
  ended(): void {
    this.#since = performance.now();
    this.#attempts = 0;
  }

  /** Waits before the next attempt; throws if that would be too late. */
  async pause(problem: unknown, after: number | undefined, signal?: AbortSignal): Promise<void> {
    const longest = Math.min(SHORTEST_PAUSE_MS * 2 ** this.#attempts, LONGEST_PAUSE_MS);
    this.#attempts += 1;
    // Those who were cut off together do not come back together.
    const pause = Math.max(longest * (0.5 + Math.random() / 2), (after ?? 0) * 1000);
    if (performance.now() - this.#since + pause > this.#patience) throw unavailable(problem);
    await sleep(pause, signal);
  }
}

function unavailable(cause: unknown): UnavailableError {
  const told = cause instanceof Error ? cause.message : String(cause);
  return new UnavailableError(`the server cannot be reached: ${told}`, { cause });
}

/** Resolves after a while, or rejects with what the signal says. */
export function sleep(milliseconds: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(signal.reason);
    const aborted = () => {
      clearTimeout(timer);
      reject(signal?.reason);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener("abort", aborted);
      resolve();
    }, milliseconds);
    signal?.addEventListener("abort", aborted, { once: true });
  });
}

/** Seconds of a `Retry-After`. */
export function seconds(text: string | null): number | undefined {
  return text && /^\d+$/.test(text) ? Number(text) : undefined;
}

/** An error that no attempt would mend. */
class Final extends Error {
  constructor(override readonly cause: unknown) {
    super();
  }
}

/** Ends a request when the caller's signal says so, or after a silence. */
export class Limit {
  readonly #controller = new AbortController();
  readonly #milliseconds: number;
  readonly #outer: AbortSignal | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;
  /** Nothing arrived for so long. */
  isSilent = false;

  constructor(milliseconds: number, outer: AbortSignal | undefined) {
    this.#milliseconds = milliseconds;
    this.#outer = outer;
    outer?.addEventListener("abort", this.#abort, { once: true });
    this.renew();
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  renew(): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      this.isSilent = true;
      this.#controller.abort(new Error("the server does not answer"));
    }, this.#milliseconds);
  }

  /** Whatever has not arrived is not wanted any more. */
  end(): void {
    clearTimeout(this.#timer);
    this.#controller.abort();
    this.#outer?.removeEventListener("abort", this.#abort);
  }

  readonly #abort = () => this.#controller.abort(this.#outer?.reason);
}
