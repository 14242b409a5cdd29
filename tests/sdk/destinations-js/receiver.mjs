// Receivers on loopback, each with a port of its own: what is sent to a vendor's host is sent here.

import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http";

/**
 * A receiver that gives `answers` in turn, and then the last of them for good. An answer has a
 * `status`, and perhaps `headers` and a `body`; or is a function of the request that makes one.
 */
export async function receive(...answers) {
  const requests = [];
  const arrivals = [];
  const server = createServer((request, response) => {
    const chunks = [];
    request.on("data", (chunk) => chunks.push(chunk));
    request.on("end", () => {
      const body = Buffer.concat(chunks).toString();
      const { method, url: path, headers } = request;
      const arrived = { method, path, headers, body, at: Date.now() };
      requests.push(arrived);
      const next = answers.length > 1 ? answers.shift() : answers[0];
      const answer = typeof next === "function" ? next(arrived) : next;
      const text = typeof answer.body === "object" ? JSON.stringify(answer.body) : answer.body;
      const type = typeof answer.body === "object" ? "application/json" : "text/plain";
      response.writeHead(answer.status, { "content-type": type, ...answer.headers }).end(text);
      arrivals.splice(0).forEach((wake) => wake());
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  server.unref();
  return {
    host: `127.0.0.1:${server.address().port}`,
    origin: `http://127.0.0.1:${server.address().port}`,
    requests,
    /** The first `count` requests, as soon as they are there. */
    async wait(count = 1, within = 15_000) {
      const late = setTimeout(() => arrivals.splice(0).forEach((wake) => wake()), within);
      const deadline = Date.now() + within;
      while (requests.length < count && Date.now() < deadline) {
        await new Promise((wake) => arrivals.push(wake));
      }
      clearTimeout(late);
      assert.ok(requests.length >= count, `${requests.length} of ${count} arrived`);
      return requests.slice(0, count);
    },
  };
}
