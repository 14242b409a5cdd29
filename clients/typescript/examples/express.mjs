// Receives with Express: SECRET=whsec_… node examples/express.mjs

import app from "express";
import { MemoryDedupe, Receiver, Reject, Retry } from "ringback-client";
import { express } from "ringback-client/express";

const receiver = new Receiver(process.env.SECRET ?? "", { dedupe: new MemoryDedupe() })
  .on("invoice.paid", async (event) => {
    const { data } = /** @type {{ data: { invoice?: string } }} */ (event.json());
    if (!data.invoice) throw new Reject("an invoice without a number");
    console.log("paid", data.invoice, event.id);
  })
  .on("invoice.*", () => {
    throw new Retry("the books are closed until the morning", 3600);
  });

const server = app()
  .post("/hooks", express(receiver))
  .listen(Number(process.env.PORT ?? 8072), "127.0.0.1", () => {
    const { port } = /** @type {import("node:net").AddressInfo} */ (server.address());
    console.log(`listening on http://127.0.0.1:${port}/hooks`);
  });

process.once("SIGTERM", async () => {
  await receiver.close();
  server.close();
});
