/** For Express, and any other server whose requests are those of `node:http`. */

import type { IncomingMessage, ServerResponse } from "node:http";
import { bytes } from "./node.js";
import type { Receiver } from "./receiver.js";

/**
 * `app.post("/hooks", express(receiver))`, before any parser of bodies: what is signed is what
 * arrived. Only `express.raw()` may stand before it.
 */
export function express(receiver: Receiver) {
  return async (
    request: IncomingMessage & { body?: unknown },
    response: ServerResponse,
    next: (error: unknown) => void = rethrow,
  ): Promise<void> => {
    try {
      const raw = request.body instanceof Uint8Array ? request.body : undefined;
      const body = raw ?? (await bytes(request, receiver.bodyLimit));
      const { method = "", headers } = request;
      const answer = await receiver.handle({ method, headers, body });
      // The rest of a body that is too long is not waited for.
      if (!request.complete) response.shouldKeepAlive = false;
      response.writeHead(answer.status, answer.headers).end(answer.body);
    } catch (error) {
      next(error);
    }
  };
}

function rethrow(error: unknown): never {
  throw error;
}
