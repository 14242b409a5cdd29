// `ringback listen --answer`: localhost answers the provider.

import assert from "node:assert/strict";
import bolt from "@slack/bolt";
import { done, listening, source } from "./gateway.mjs";
import { check } from "./harness/cases.mjs";
import { application, secret, slack } from "./providers.mjs";

check("answer: a slash command is answered by bolt on localhost", async () => {
  const reply = { mode: "destination", deadlineMs: 20_000, fallback: { status: 503 } };
  const of = await source("slash", "slack", secret, { reply });
  const receiver = new bolt.HTTPReceiver({ signingSecret: secret, logLevel: "error" });
  const app = new bolt.App({ receiver, authorize: async () => ({ botId: "B1" }) });
  app.command("/deploy", ({ command, ack }) => ack(`${command.user_name} deploys ${command.text} 🚀`));
  const to = await application((request, response) => receiver.requestListener(request, response));

  const words = ["--forward", `${to}/slack/events`, "--answer", "--once", "1"];
  const running = await listening("slash", "slash", ...words);
  const form = new URLSearchParams({
    command: "/deploy",
    text: "now & here",
    user_name: "Zoë",
    user_id: "U1",
    team_id: "T1",
    channel_id: "C1",
    trigger_id: "1.2.made-up",
    response_url: "http://127.0.0.1/made-up",
  });
  const answer = await slack(of, form.toString(), "application/x-www-form-urlencoded");
  assert.deepEqual(answer, { status: 200, text: "Zoë deploys now & here 🚀" });
  await done(running);
});
