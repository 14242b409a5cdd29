/** What the gateway says about callbacks; docs/callbacks.md tells what each field means. */

export type Status = "pending" | "returned" | "completed" | "failed" | "expired" | "canceled";

/** What arrived: as JSON, as the fields of a form, as text or in Base64. */
export interface Content {
  readonly size: number;
  readonly contentType?: string;
  readonly json?: unknown;
  readonly form?: Readonly<Record<string, string | readonly string[]>>;
  readonly text?: string;
  readonly base64?: string;
  /** It is too large to be shown here. */
  readonly truncated?: true;
}

/** A callback as it is. Who follows it with a wait token sees less of it. */
export interface View {
  readonly id: string;
  readonly application?: string;
  readonly kind: "result" | "redirect";
  readonly status: Status;
  readonly source?: string;
  readonly reference?: string;
  readonly tags?: readonly string[];
  readonly metadata?: Readonly<Record<string, string>>;
  readonly createdAt: string;
  readonly expiresAt: string;
  readonly settledAt?: string;
  /** The request that settled it. */
  readonly settledBy?: string;
  readonly heartbeat?: number;
  readonly mode?: "single" | "stream";
  readonly items?: number;
  readonly maxItems?: number;
  readonly requests?: number;
  readonly result?: Content;
}

/** Something that happened to a callback. */
export interface CallbackEvent {
  /** Ringback's name for it; following can go on after it. Empty if it is known by polling only. */
  readonly id: string;
  readonly type: "progress" | "item" | Exclude<Status, "pending">;
  /** What came with it: JSON, the fields of a form, text or bytes. */
  readonly value: unknown;
  /** All that is said about it. */
  readonly data: Readonly<Record<string, unknown>>;
}

/** Whether nothing more happens to a callback in this state. */
export function isEnd(status: string): boolean {
  return ["completed", "failed", "expired", "canceled"].includes(status);
}

/** What arrived as a value: JSON, the fields of a form, text or bytes; undefined if nothing did. */
export function value(content: Content | undefined): unknown {
  if (content?.base64 !== undefined) {
    return Uint8Array.from(atob(content.base64), (char) => char.charCodeAt(0));
  }
  return content?.json !== undefined ? content.json : content?.form ?? content?.text;
}
