// Asks for an approval and waits for it: RINGBACK_URL=… RINGBACK_TOKEN=… node examples/approve.mjs

import { ExpiredError, FailedError, Gateway } from "ringback-client";

const gateway = new Gateway(process.env.RINGBACK_URL ?? "", process.env.RINGBACK_TOKEN ?? "");

/** @type {import("ringback-client").Callback<{ approved: boolean }>} */
const callback = await gateway.callback({
  application: "acme",
  expiresIn: 3600,
  schema: { type: "object", required: ["approved"], properties: { approved: { type: "boolean" } } },
});
callback.on("progress", (event) => console.log("progress", event.value));
console.log("waiting at", callback.url);

try {
  const { approved } = await callback.wait();
  await callback.followed();
  console.log(approved ? "approved" : "not approved");
} catch (error) {
  if (error instanceof FailedError) console.log("failed", error.body);
  else if (error instanceof ExpiredError) console.log("nobody has answered");
  else throw error;
}
