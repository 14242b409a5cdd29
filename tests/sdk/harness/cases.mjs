// The frame of the suites in JavaScript: named checks, and a run that counts them.

import assert from "node:assert/strict";

const cases = [];

/** Registers one check of the suite. */
export const check = (name, run) => cases.push({ name, run });

/** Runs every check; the exit status says whether all passed. */
export async function run() {
  let failed = 0;
  for (const { name, run } of cases) {
    const started = performance.now();
    let verdict = "ok    ";
    try {
      await run();
    } catch (error) {
      // The next check may still tell something. What the SDKs raise has the answer's body.
      console.log(`  ${error.stack}\n  ${JSON.stringify(error.body ?? null)}`);
      verdict = "FAILED";
      failed += 1;
    }
    console.log(`${verdict} ${name} (${((performance.now() - started) / 1000).toFixed(2)} s)`);
  }
  console.log(`${cases.length - failed} passed, ${failed} failed`);
  process.exit(failed === 0 ? 0 : 1);
}

/** Asks until `accept` is content: a record follows its delivery, it does not precede it. */
export async function eventually(read, accept, within = 15_000) {
  const deadline = Date.now() + within;
  for (;;) {
    const value = await read();
    if (accept(value)) return value;
    assert.ok(Date.now() < deadline, `not in time; last: ${JSON.stringify(value)}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
