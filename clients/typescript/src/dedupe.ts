/** Whether an event was seen before: `new` has been claimed by the caller, who has to settle it. */
export type Claim = "new" | "in_flight" | "done";

/**
 * Remembers ids, so that an event that arrives again is handled once.
 *
 * With several processes, keep them in a store that all of them share. There a claim needs an end,
 * later than the longest handler: else an event whose process died is never handled.
 */
export interface Dedupe {
  /** Claims an id, in one step: of two who ask at once, one gets `new`. */
  begin(id: string): Claim | Promise<Claim>;
  /** The event was handled. */
  done(id: string): void | Promise<void>;
  /** It was not: the next who asks gets `new`. */
  forget(id: string): void | Promise<void>;
}

/** Remembers the latest ids in this process. */
export class MemoryDedupe implements Dedupe {
  readonly #inFlight = new Set<string>();
  readonly #done = new Set<string>();
  readonly #limit: number;

  /** `limit`: how many handled events are remembered. */
  constructor(limit = 10_000) {
    this.#limit = limit;
  }

  begin(id: string): Claim {
    if (this.#done.has(id)) return "done";
    if (this.#inFlight.has(id)) return "in_flight";
    this.#inFlight.add(id);
    return "new";
  }

  done(id: string): void {
    this.#inFlight.delete(id);
    this.#done.add(id);
    if (this.#done.size > this.#limit) {
      // A set is in the order of insertion.
      for (const oldest of this.#done) {
        this.#done.delete(oldest);
        break;
      }
    }
  }

  forget(id: string): void {
    this.#inFlight.delete(id);
  }
}
