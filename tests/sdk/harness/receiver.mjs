// An HTTP receiver on loopback that answers as told and keeps what it got, byte for byte.

import assert from "node:assert/strict";
import { createServer } from "node:http";

const places = new Map();
const server = createServer((request, response) => {
  const chunks = [];
  request.on("data", (chunk) => chunks.push(chunk));
  request.on("end", () => {
    const place = places.get(request.url);
    const status = place.statuses.shift() ?? 200;
    place.deliveries.push({ headers: request.headers, body: Buffer.concat(chunks) });
    response.writeHead(status).end(`answer of ${request.url}`);
    place.arrived();
  });
});
await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));

/** A place of its own that answers with `statuses` in turn and with 200 from then on. */
export function place(...statuses) {
  const path = `/place/${places.size + 1}`;
  const waiting = [];
  const made = {
    url: `http://127.0.0.1:${server.address().port}${path}`,
    statuses,
    deliveries: [],
    arrived: () => waiting.splice(0).forEach((wake) => wake()),
    /** The first `count` deliveries, as soon as they are there. */
    async wait(count = 1, within = 15_000) {
      const late = setTimeout(() => made.arrived(), within);
      const deadline = Date.now() + within;
      while (made.deliveries.length < count && Date.now() < deadline) {
        await new Promise((wake) => waiting.push(wake));
      }
      clearTimeout(late);
      assert.ok(made.deliveries.length >= count, `${made.deliveries.length} of ${count} arrived`);
      return made.deliveries.slice(0, count);
    },
  };
  places.set(path, made);
  return made;
}
