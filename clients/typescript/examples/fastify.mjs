// Receives with Fastify: SECRET=whsec_… node examples/fastify.mjs

import { fastify as server } from "fastify";
import { MemoryDedupe, Receiver, Reject, Retry } from "ringback-client";
import { fastify } from "ringback-client/fastify";

const receiver = new Receiver(process.env.SECRET ?? "", { dedupe: new MemoryDedupe() })
  .on("invoice.paid", async (event) => {
    const { data } = /** @type {{ data: { invoice?: string } }} */ (event.json());
    if (!data.invoice) throw new Reject("an invoice without a number");
    console.log("paid", data.invoice, event.id);
  })
  .on("invoice.*", () => {
    throw new Retry("the books are closed until the morning", 3600);
  });

const app = server();
app.register(fastify(receiver), { prefix: "/hooks" });
const url = await app.listen({ port: Number(process.env.PORT ?? 8072), host: "127.0.0.1" });
console.log(`listening on ${url}/hooks`);

process.once("SIGTERM", async () => {
  await receiver.close();
  await app.close();
});
