/**
 * Follows one callback: waits for its answer, hears of what happens to it. Waiting only reads, so it
 * can be given up and begun again, by anybody and any number of times, before or after the answer.
 *
 * For browsers and servers alike.
 */

import { Connection, TEMPORARY, seconds, sleep, type Away, type Reach } from "./connection.js";
import { GatewayError, answerOf, refusal } from "./errors.js";
import { serverSentEvents } from "./sse.js";
import { isEnd, value, type CallbackEvent, type Content, type View } from "./view.js";

export {
  CanceledError,
  ConflictError,
  ExpiredError,
  FailedError,
  GatewayError,
  RefusedError,
  UnavailableError,
} from "./errors.js";
export type { CallbackEvent, Content, Status, View } from "./view.js";

export interface FollowOptions extends Reach {
  /** Told when a handler of `on` fails, or its following does. Without it, the console is. */
  readonly onError?: (error: unknown, event?: CallbackEvent) => void;
}

export interface Until {
  /** Ends the waiting, and nothing else: `AbortSignal.timeout(60_000)`. Its reason is thrown. */
  readonly signal?: AbortSignal | undefined;
}

export type EventType = CallbackEvent["type"];
/** Called for each event, one at a time. */
export type CallbackHandler = (event: CallbackEvent) => unknown;

/** Seconds that the server holds a request back for which there is no answer yet. */
const POLL_SECONDS = 30;
/** Nobody who waited says so soon that there is none. */
const SOON_MS = 1_000;
/** A stream of events that is silent for this long has died: there is a comment every 15 s. */
const SILENCE_MS = 45_000;
/** What those answer who know nothing of streams of events. */
const NO_STREAM = new Set([405, 406, 501]);

/** In the place of an event, for whoever has heard of the end before. */
const NOTHING_MORE = happened("", "", {});

/** One callback, as whoever may only wait sees it. */
export class Following<T = unknown> {
  /** The server, and the path of the callback there. */
  protected readonly connection: Connection;
  protected readonly path: string;
  protected readonly options: FollowOptions;
  readonly #result: string;
  /** Handlers that are registered and not yet called back. */
  #next: [EventType | "*", CallbackHandler][] = [];
  readonly #calling = new Set<Promise<void>>();
  readonly #closed = new AbortController();

  /** @internal */
  constructor(connection: Connection, path: string, result: string, options: FollowOptions) {
    this.connection = connection;
    this.path = path;
    this.options = options;
    this.#result = path + result;
  }

  /** The answer, once it is there. Throws how else the callback ended, as an error. */
  async wait(until: Until = {}): Promise<T> {
    return answerOf(await this.ended(until)) as T;
  }

  /** The callback once it has ended, however that was. */
  async ended({ signal }: Until = {}): Promise<View> {
    for (;;) {
      const view = await this.#poll(signal);
      if (isEnd(view.status)) return view;
    }
  }

  /** What happens to it, from the beginning or after an event; ends with it. */
  async *events({ after = "", signal }: Until & { after?: string } = {}): AsyncGenerator<CallbackEvent> {
    const away = this.connection.away();
    for (let last = after; ; ) {
      let problem: unknown = new Error("the stream of events ended early");
      try {
        for await (const event of this.#stream(last, away, signal)) {
          if (event === NOTHING_MORE) return;
          last = event.id || last;
          yield event;
          if (isEnd(event.type)) return;
        }
      } catch (error) {
        signal?.throwIfAborted();
        if (error instanceof GatewayError) throw error;
        problem = error;
      }
      await away.pause(problem, undefined, signal);
    }
  }

  /**
   * Calls `handler` for what happens to the callback: `completed`, `progress` …, or `*`. Each handler
   * hears everything of its kind from the beginning. Those registered together share a connection.
   */
  on(type: EventType | "*", handler: CallbackHandler): this {
    this.#next.push([type, handler]);
    if (this.#next.length === 1) {
      // Those that are registered in the same breath are called from the same stream.
      const calling = Promise.resolve().then(() => this.#call());
      this.#calling.add(calling);
      void calling.then(() => this.#calling.delete(calling));
    }
    return this;
  }

  /** Resolves when the handlers of `on` have heard of the end, or will hear of nothing more. */
  async followed(): Promise<void> {
    await Promise.all(this.#calling);
  }

  /** Calls no handlers any more. The callback itself goes on. */
  close(): void {
    this.#closed.abort();
  }

  async #call(): Promise<void> {
    const handlers = this.#next;
    this.#next = [];
    const { signal } = this.#closed;
    try {
      for await (const event of this.events({ signal })) {
        for (const [type, handler] of handlers) {
          if (type !== "*" && type !== event.type) continue;
          try {
            await handler(event);
          } catch (error) {
            this.#report(error, event);
          }
        }
      }
    } catch (error) {
      if (!signal.aborted) this.#report(error);
    }
  }

  /** Asks how far it is; the server may take a while to say that there is no answer yet. */
  async #poll(signal: AbortSignal | undefined): Promise<View> {
    const asked = performance.now();
    const said = await this.connection.ask({
      method: "GET",
      path: this.#result,
      ...patiently(),
      signal,
    });
    const view = JSON.parse(said.text) as View;
    if (!isEnd(view.status) && performance.now() - asked < SOON_MS) {
      // The server is about to end, or something before it keeps it from waiting.
      await sleep((seconds(said.headers.get("retry-after")) ?? 1) * 1000, signal);
    }
    return view;
  }

  /** The events of one connection. */
  async *#stream(last: string, away: Away, signal?: AbortSignal): AsyncGenerator<CallbackEvent> {
    const { response, limit } = await this.connection.open({
      method: "GET",
      path: `${this.path}/events`,
      headers: { accept: "text/event-stream", ...(last && { "last-event-id": last }) },
      limitMs: SILENCE_MS,
      signal,
    });
    let heard = false;
    const alive = () => {
      heard = true;
      limit.renew();
      away.ended();
    };
    try {
      const { status, body } = response;
      // Everything was heard before.
      if (status === 204) {
        yield NOTHING_MORE;
        return;
      }
      const isStream = response.headers.get("content-type")?.startsWith("text/event-stream");
      if (status === 200 && isStream && body) {
        for await (const { id, event, data } of serverSentEvents(body, alive)) {
          yield happened(id, event, JSON.parse(data) as Told);
        }
        return;
      }
      // Not a success, and nothing that another way would mend.
      if (status >= 300 && !NO_STREAM.has(status)) {
        const refused = refusal(status, await response.text());
        throw TEMPORARY.has(status) ? new Error(refused.message) : refused;
      }
    } catch (error) {
      // A proxy that gathers a stream until its end lets nothing through.
      if (heard || !limit.isSilent) throw error;
    } finally {
      limit.end();
    }
    yield* this.#polled(signal);
  }

  /** What can be said without a stream of events: that a browser came back, and how it ended. */
  async *#polled(signal?: AbortSignal): AsyncGenerator<CallbackEvent> {
    for (let known = "pending"; !isEnd(known); ) {
      const view = await this.#poll(signal);
      if (view.status === known || view.status === "pending") continue;
      known = view.status;
      yield happened("", view.status, { ...view });
    }
  }

  #report(error: unknown, event?: CallbackEvent): void {
    try {
      if (this.options.onError) this.options.onError(error, event);
      else console.error("ringback:", event?.type, event?.id, error);
    } catch {
      // What fails while it is told of a failure must not end the others.
    }
  }
}

/** What is special about a request that the server is to hold back until there is an answer. */
export function patiently() {
  return { headers: { prefer: `wait=${POLL_SECONDS}` }, limitMs: (POLL_SECONDS + 15) * 1000 };
}

type Told = Readonly<Record<string, unknown>> & { readonly body?: Content; readonly result?: Content };

function happened(id: string, type: string, data: Told): CallbackEvent {
  return { id, type: type as EventType, value: value(data.result ?? data.body), data };
}

/**
 * Follows a callback in the browser: `follow(waitUrl).on("progress", show)`. The URL holds a token
 * that reads this one callback and changes nothing; `Callback.waitUrl` is one.
 */
export function follow<T = unknown>(waitUrl: string, options: FollowOptions = {}): Following<T> {
  return new Following<T>(new Connection(waitUrl, {}, options), "", "", options);
}
