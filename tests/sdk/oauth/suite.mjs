// Authorization servers that are not ours, and attacks, against OAuth connections.
//
// The checks are named after the section that asks for them: of an RFC by its number, of
// draft-ietf-oauth-security-topics-update as `update`, of other documents by their name. Together they
// are the 56 cases of docs/security/oauth.md, each of which has a check, or is told below where else it
// is. How many requests a server saw is counted at that server (authority.mjs). Run by
// `cargo xtask test --only oauth`.

import assert from "node:assert/strict";
import { last, names, run } from "./harness/cases.mjs";
import "./fixtures.mjs";
import "./state.mjs";
import "./issuer.mjs";
import "./code.mjs";
import "./identity.mjs";
import "./modes.mjs";
import "./pages.mjs";
import "./exchange.mjs";
import "./refresh.mjs";
import "./secrets.mjs";
import "./native.mjs";
import "./endpoint.mjs";
import "./more.mjs";
import "./browser.mjs";
import { shared } from "./gateway.mjs";

/** Cases that nobody can see from outside, by the Rust test that shows them. */
const ELSEWHERE = {};

last("every one of the 56 cases is shown", () => {
  const shown = new Set(Object.keys(ELSEWHERE).map(Number));
  for (const name of names())
    for (const [, number] of name.matchAll(/\(case (\d+)\)/g)) shown.add(Number(number));
  const missing = Array.from({ length: 56 }, (_, index) => index + 1).filter((number) => !shown.has(number));
  assert.deepEqual(missing, []);
});

last("the server ends as it should, and has never panicked", () => shared.stop());

await run();
