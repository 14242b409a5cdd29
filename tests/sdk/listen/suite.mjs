// What arrives on localhost, and whether those who verify there take it.
//
// Senders are the providers' own libraries where those can sign, and verifiers are those they ship
// to applications. A relay's client follows a source's event stream, unmodified. Run by
// `cargo xtask test --only listen-js`.

import { serve, stop } from "./gateway.mjs";
import { last, run } from "./harness/cases.mjs";
import "./answer.mjs";
import "./forward.mjs";
import "./smee.mjs";
import "./trigger.mjs";

await serve();
last("the server ends as it should", stop);
await run();
