/** Why there is no answer, as types: each end of a callback, and what went wrong on the way to it. */

import { value, type View } from "./view.js";

/** Whatever comes from the gateway. What a `signal` says is thrown as it is, and is none of these. */
export class GatewayError extends Error {
  override readonly name: string = "GatewayError";
}

/** A deadline passed before an answer came. */
export class ExpiredError extends GatewayError {
  override readonly name = "ExpiredError";
  constructor(readonly view: View) {
    super("the callback has expired");
  }
}

/** The application did not want the answer any more. */
export class CanceledError extends GatewayError {
  override readonly name = "CanceledError";
  constructor(readonly view: View) {
    super("the callback was canceled");
  }
}

/** The other side, or the application, said that there will be no answer. */
export class FailedError extends GatewayError {
  override readonly name = "FailedError";
  /** What it said: JSON, the fields of a form, text or bytes. */
  readonly body: unknown;
  constructor(readonly view: View) {
    super("the callback has failed");
    this.body = value(view.result);
  }
}

/** It has ended otherwise, or the idempotency key belongs to another request; `wait()` says how. */
export class ConflictError extends GatewayError {
  override readonly name = "ConflictError";
}

/** The server was not to be had for as long as was waited, or kept saying that it has no time. */
export class UnavailableError extends GatewayError {
  override readonly name = "UnavailableError";
}

/** The server refused the request; doing it again is in vain. */
export class RefusedError extends GatewayError {
  override readonly name = "RefusedError";
  constructor(
    readonly status: number,
    /** `not_found` and the like; empty if the answer has none. */
    readonly code: string,
    detail: string,
  ) {
    super(`${status} ${code} ${detail}`.trimEnd());
  }
}

/** The answer of a callback that has ended, or the error that stands for its end. */
export function answerOf(view: View): unknown {
  if (view.status === "completed") return value(view.result);
  if (view.status === "failed") throw new FailedError(view);
  throw view.status === "expired" ? new ExpiredError(view) : new CanceledError(view);
}

/** What an answer of the server that is none of success means. */
export function refusal(status: number, text: string): GatewayError {
  const { code = "", detail = "" } = parsed(text);
  const told = typeof detail === "string" ? detail : JSON.stringify(detail);
  return status === 409 ? new ConflictError(told) : new RefusedError(status, String(code), told);
}

function parsed(text: string): { code?: unknown; detail?: unknown } {
  try {
    const json: unknown = JSON.parse(text);
    return typeof json === "object" && json !== null ? json : {};
  } catch {
    return {};
  }
}
