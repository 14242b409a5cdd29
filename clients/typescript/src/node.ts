/** What the adapters share: the body of a request of `node:http`, before anyone parses it. */

import type { IncomingMessage } from "node:http";
import { read } from "./receiver.js";

/** The bytes that arrived, and one more than the limit at most. */
export async function bytes(request: IncomingMessage, limit: number): Promise<Uint8Array> {
  if (request.readableDidRead) {
    throw new Error("the body was parsed before it was verified: put the receiver before parsers");
  }
  // Not destroyed where it is too long: the answer goes out over the same connection.
  return read(request.iterator({ destroyOnReturn: false }), limit);
}
