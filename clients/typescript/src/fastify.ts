/** For Fastify. */

import type { FastifyInstance } from "fastify";
import { bytes } from "./node.js";
import type { Receiver } from "./receiver.js";

/**
 * `app.register(fastify(receiver), { prefix: "/hooks" })`. Inside the plugin bodies are not parsed,
 * because what is signed is what arrived; the rest of the application keeps its parsers.
 */
export function fastify(receiver: Receiver) {
  return async (app: FastifyInstance): Promise<void> => {
    app.removeAllContentTypeParsers();
    app.addContentTypeParser("*", (_request, _payload, done) => done(null));
    app.all("/", async ({ raw, method, headers }, reply) => {
      const body = await bytes(raw, receiver.bodyLimit);
      const answer = await receiver.handle({ method, headers, body });
      // The rest of a body that is too long is not waited for.
      if (!raw.complete) reply.header("connection", "close");
      return reply.code(answer.status).headers(answer.headers).send(answer.body);
    });
  };
}
